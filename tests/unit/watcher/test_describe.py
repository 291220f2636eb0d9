"""What is told about an entry, in words."""

from dataclasses import replace
from pathlib import Path

import pytest

from watcher.errors import sentences
from watcher.ledger import Change, Hold
from watcher.models import Engine, Entry, EntryState, Fingerprint, JobProgress, MediaInfo, OutputFormat
from watcher.wording import activity_text, blockers, describe_entry, format_duration, next_step_text, strip_path


def entry(state, *, duration=1860.0, **more):
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
        **more,
    )


@pytest.mark.parametrize(
    ("state", "more", "words"),
    [
        (EntryState.SUBMITTING, {"sent": 12_340_000, "total": 45_600_000}, "uploading, 12.3 of 45.6 MB"),
        (EntryState.SUBMITTING, {}, "uploading"),
        (EntryState.SUBMITTED, {}, "transcribing 31:00 of audio, submitted 2:10 ago"),
        (EntryState.SUBMITTED, {"ahead": 2}, "queued, 2 ahead of it"),
        (EntryState.SUBMITTED, {"job": JobProgress(0, 754.0, 1860.0)}, "transcribing, 12:34 of 31:00"),
        (EntryState.SUBMITTED, {"job": JobProgress(0, 754.0)}, "transcribing, 12:34 done"),
        (EntryState.TRANSCRIBED, {}, "writing its transcript"),
    ],
)
def test_what_goes_on_is_said_with_the_figures_there_are(state, more, words):
    assert activity_text(entry(state), now=1130.0, **more) == words


def test_an_unknown_length_and_a_clock_that_was_set_back_are_no_trouble():
    assert activity_text(entry(EntryState.SUBMITTED, duration=None), now=900.0) == "transcribing, submitted 0:00 ago"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (754, "12:34"), (3723, "1:02:03")])
def test_times_read_as_on_a_clock(seconds, text):
    assert format_duration(seconds) == text


PAUSE = Hold("pause", 0.0, None, "You paused it.", "dropscribe resume")
CLOUD = Hold("account:speechmatics https://x/v2", 0.0, None, "The key is refused.", "dropscribe login")
LOCAL = Hold("account:local", 0.0, None, "The model is broken.", "")


@pytest.mark.parametrize(
    ("holds", "paused", "says"),
    [
        ([], False, []),
        ([PAUSE], False, ["You paused it. dropscribe resume"]),
        ([CLOUD], False, []),
        ([LOCAL, CLOUD], False, ["The model is broken."]),
        ([], True, ["Its folder is paused. To resume it: dropscribe folders resume '/r'"]),
    ],
)
def test_what_keeps_a_waiting_recording_back_is_said(holds, paused, says):
    waiting = entry(EntryState.WAITING)
    found = blockers(waiting, holds, folder_paused=paused)
    assert found == says
    coming = next_step_text(waiting, stopped=found)
    assert coming.startswith("It waits to be submitted." if says else "It is next in line")
    assert all(reason in coming for reason in says)


def test_a_path_is_not_repeated_where_it_is_shown():
    failed = entry(EntryState.FAILED, reason="/r/talk.mp3 is empty (0 bytes).", fix="Copy it again.")
    assert describe_entry(failed)["reason"] == "It is empty (0 bytes)."
    assert strip_path("/r/talk.mp3x is empty.", failed.path) == "/r/talk.mp3x is empty."
    odd = Path("/r/a\udcff.wav")
    assert strip_path("/r/a\ufffd.wav has no sound track.", odd) == "It has no sound track."
    assert strip_path(f"{odd} has no sound track.", odd) == "It has no sound track."


CLOUD_NAME = "speechmatics https://eu1.example/v2"


W, G, J, H, C, D = (EntryState[n] for n in ("WAITING", "SUBMITTING", "SUBMITTED", "HELD", "CANCELLED", "DONE"))
CLOUDY = {"engine": Engine.SPEECHMATICS, "account": CLOUD_NAME}
THERE = "https://eu1.example/v2"


@pytest.mark.parametrize(
    ("way", "more", "says"),
    [
        ((W, G, J, D), {"account": "local", "job_id": "j"}, "Stays on this machine; nothing is billed."),
        ((W,), {"engine": Engine.SPEECHMATICS}, "It has no job at Speechmatics; nothing is billed."),
        ((W, G, W), CLOUDY, f"It has no job at {THERE}; nothing is billed."),
        ((W, G, J, D), {**CLOUDY, "job_id": "j1"}, f"Sent to {THERE} as job j1, and billed there once."),
        ((W, G, J, D), {"account": CLOUD_NAME, "job_id": "j1"}, "as job j1"),
        ((W, G, J, D), CLOUDY, f"Sent to {THERE}, and billed there"),
        ((W, G, J, C), CLOUDY, f"Sent to {THERE}, and billed there"),
        ((W, G), CLOUDY, "no job is known, but there may be one"),
        ((W, G, H), CLOUDY, "no job is known, but there may be one"),
        ((W, G, H, W), CLOUDY, "no job is known, but there may be one"),
        ((W, G, C), CLOUDY, "no job is known, but there may be one"),
        ((W, D), {"engine": Engine.SPEECHMATICS, "copy_of": 7}, "Not submitted: it uses the transcript"),
    ],
)
def test_it_is_said_whether_a_recording_left_the_machine_and_is_billed(way, more, says):
    history = [Change(1.0, before, after, "") for before, after in zip((None, *way), way, strict=False)]
    told = describe_entry(replace(entry(way[-1]), **more), history=history)["billing"]
    assert says in told
    assert ("nothing is billed" in told) == ("nothing is billed" in says)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("It is damaged", "Copy it again."), "It is damaged. Copy it again."),
        (("You paused it.", "dropscribe resume"), "You paused it. dropscribe resume"),
        (("", " Why? ", ""), "Why?"),
        (("dropscribe resume", ""), "dropscribe resume"),
        ((), ""),
    ],
)
def test_what_is_said_of_one_thing_reads_as_sentences(parts, text):
    assert sentences(*parts) == text
