"""What is told about an entry, in words."""

from pathlib import Path

import pytest

from watcher.describe import doing, minutes
from watcher.models import Engine, Entry, EntryState, Fingerprint, MediaInfo, OutputFormat


def entry(state, *, duration=1860.0):
    return Entry(
        id=1,
        uid="u",
        root=Path("/r"),
        path=Path("/r/talk.mp3"),
        fingerprint=Fingerprint(45_600_000, 0, "0" * 64),
        state=state,
        engine=Engine.LOCAL,
        config={},
        config_key="k",
        formats=(OutputFormat.TXT,),
        media=MediaInfo("mp3", "mp3", duration, 2, 44100),
        changed_at=1000.0,
        added_at=1000.0,
    )


@pytest.mark.parametrize(
    ("state", "more", "words"),
    [
        (EntryState.SUBMITTING, {"sent": 12_340_000, "total": 45_600_000}, "uploading, 12.3 of 45.6 MB"),
        (EntryState.SUBMITTING, {}, "about to be uploaded, or its answer is being looked for"),
        (EntryState.SUBMITTED, {}, "transcribing 31:00 of sound, 2:10 since it was submitted"),
        (EntryState.SUBMITTED, {"ahead": 2}, "submitted, with 2 before it"),
        (EntryState.TRANSCRIBED, {}, "writing its transcript"),
    ],
)
def test_what_goes_on_is_said_with_the_figures_there_are(state, more, words):
    assert doing(entry(state), now=1130.0, **more) == words


def test_an_unknown_length_and_a_clock_that_was_set_back_are_no_trouble():
    assert doing(entry(EntryState.SUBMITTED, duration=None), now=900.0) == "transcribing, 0:00 since it was submitted"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_times_read_as_on_a_clock(seconds, text):
    assert minutes(seconds) == text
