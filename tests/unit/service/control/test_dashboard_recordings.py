"""Transcripts and recordings as they are handed out."""

import pytest

from service.control.media import MEDIA_TYPES, available, make, phrases
from service.control.responses import ApiError
from tests.support.dashboard import json_v2
from watcher.errors import DropscribeError
from watcher.models import OutputFormat

TWO = json_v2(("S1", 0.0, "Hello there."), ("S2", 2.0, "Good day!"))


def test_every_format_has_a_type():
    assert set(MEDIA_TYPES) == set(OutputFormat)


@pytest.mark.parametrize(
    ("originals", "formats"),
    [
        ([], []),
        (["txt"], ["txt"]),
        (["json-v2"], ["json-v2", "vtt", "md"]),
        (["srt", "json-v2", "txt"], ["txt", "json-v2", "srt", "vtt", "md"]),
    ],
)
def test_what_can_be_made_is_told(originals, formats):
    assert available(originals) == formats


def test_the_services_bytes_are_handed_out_as_they_are():
    assert make(OutputFormat.TXT, {"txt": b"\xff as it came"}, title="x") == b"\xff as it came"
    assert make(OutputFormat.MD, {"json-v2": TWO}, title="talk").startswith(b"# talk\n")


def test_what_is_not_there_is_explained():
    with pytest.raises(ApiError, match="no transcript"):
        make(OutputFormat.TXT, {}, title="x")
    with pytest.raises(ApiError, match="not asked for srt") as refused:
        make(OutputFormat.SRT, {"txt": b"", "json-v2": TWO}, title="x")
    assert refused.value.fix == "There is txt, json-v2, vtt, md."


def test_phrases_carry_the_words_and_their_times():
    told = phrases(TWO)
    assert [phrase["voice"] for phrase in told["phrases"]] == ["Speaker 1", "Speaker 2"]
    assert told["phrases"][1]["words"] == [["Good", 2.0, 2.5, " "], ["day!", 2.5, 3.0, " "]]


def test_a_damaged_transcript_is_an_error_with_a_name():
    with pytest.raises(DropscribeError):
        phrases(b"{}")
