import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batch_server.recognition.messages import Word
from service.batch_server.transcript import items, json_v2, srt, txt
from tests.support import spec

JOB = {"created_at": "2026-01-01T00:00:00.000000Z", "data_name": "a.wav", "duration": 3, "id": "a1b2c3d4e5"}


def transcript(*channels, config=None, language="en", labels=("Agent", "Caller"), srt_overrides=None):
    """A json-v2 transcript of channels, each a list of (start, end, text)."""
    metadata = {
        "created_at": "2026-01-01T00:00:03.000000Z",
        "type": "transcription",
        "transcription_config": {"language": language, **(config or {})},
    }
    if srt_overrides:
        metadata["output_config"] = {"srt_overrides": srt_overrides}
    apart = (config or {}).get("diarization") == "channel"
    split = [
        list(items.split([Word(a, b, text, 0.5) for a, b, text in words], channel=label if apart else None))
        for words, label in zip(channels, labels, strict=False)
    ]
    found = items.merged(split) if apart else split[0]
    return json_v2.render(found, language=language, job=JOB, metadata=metadata)


def words(text, *, each=0.5):
    return [(n * each, (n + 1) * each, f" {word}") for n, word in enumerate(text.split())]


def test_json_v2_is_a_documented_transcript():
    content = json.loads(transcript(words('He said: "Yes, U.S. Mr. Smith!"')))
    spec.assert_valid(content, "RetrieveTranscriptResponse")
    first, second, colon = content["results"][:3]
    assert first["alternatives"][0] == {
        "content": "He",
        "confidence": 0.5,
        "language": "en",
        "speaker": "UU",
        "display": {"direction": "ltr"},
    }
    assert (second["start_time"], second["end_time"], second["type"]) == (0.5, 1.0, "word")
    assert (colon["type"], colon["attaches_to"], colon["is_eos"]) == ("punctuation", "previous", False)


def test_the_language_pack_says_how_the_language_is_written():
    hebrew = json.loads(transcript([(0, 1, " שלום")], language="he"))
    assert hebrew["metadata"]["language_pack_info"]["writing_direction"] == "right-to-left"
    assert hebrew["results"][0]["alternatives"][0]["display"]["direction"] == "rtl"
    japanese = transcript([(0, 1, "はい"), (1, 2, "そう。")], language="ja")
    assert json.loads(japanese)["metadata"]["language_pack_info"]["word_delimiter"] == ""
    assert txt.render(json_v2.read(japanese)) == "はいそう。\n"


def test_txt_is_running_text():
    content = transcript(words('Well, "yes," he said. Good.'))
    assert txt.render(json_v2.read(content)) == 'Well, "yes," he said. Good.\n'


def test_txt_of_silence_is_empty():
    assert txt.render(json_v2.read(transcript([]))) == ""


def test_txt_names_channels_when_they_are_told_apart():
    content = transcript(
        [(0.0, 1.0, " Hello."), (4.0, 5.0, " Bye.")], [(2.0, 3.0, " Hi!")], config={"diarization": "channel"}
    )
    assert txt.render(json_v2.read(content)) == (
        "SPEAKER: Agent\nHello.\n\nSPEAKER: Caller\nHi!\n\nSPEAKER: Agent\nBye.\n"
    )


def test_srt_numbers_and_times_its_subtitles():
    content = transcript([(0.0, 0.5, " One."), (3661.5, 3662.25, " Two.")])
    assert srt.render(json_v2.read(content)) == (
        "1\n00:00:00,000 --> 00:00:00,500\nOne.\n\n2\n01:01:01,500 --> 01:01:02,250\nTwo.\n"
    )


def blocks(content):
    return [block.splitlines() for block in srt.render(json_v2.read(content)).split("\n\n")]


@pytest.mark.parametrize(
    ("overrides", "length", "lines"), [(None, 37, 2), ({"max_line_length": 12, "max_lines": 1}, 12, 1)]
)
def test_srt_keeps_to_its_limits(overrides, length, lines):
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    found = blocks(transcript(words(text, each=0.2), srt_overrides=overrides))
    assert " ".join(line for block in found for line in block[2:]) == text
    assert all(len(line) <= length for block in found for line in block[2:])
    assert all(1 <= len(block[2:]) <= lines for block in found)


def test_srt_gives_a_word_that_is_too_long_a_line_of_its_own():
    found = blocks(transcript(words("a " + "x" * 60 + " b")))
    assert [line for block in found for line in block[2:]] == ["a", "x" * 60, "b"]


@given(
    st.lists(
        st.tuples(st.floats(0.0, 20.0), st.floats(0.01, 3.0), st.from_regex(r"\A [a-z]{1,50}[.,?]?\Z")), max_size=30
    ),
    st.integers(1, 60),
    st.integers(1, 4),
)
def test_srt_shows_every_word_once_in_order_without_overlap(raw, length, lines):
    clock, timed = 0.0, []
    for pause, duration, text in raw:
        timed.append((clock + pause, clock + pause + duration, text))
        clock += pause + duration
    content = transcript(timed, srt_overrides={"max_line_length": length, "max_lines": lines})
    if not raw:
        assert srt.render(json_v2.read(content)) == ""
        return
    found = blocks(content)
    assert " ".join(line for block in found for line in block[2:]) == "".join(text for _, _, text in raw).strip()
    times = [time for block in found for time in block[1].split(" --> ")]
    assert times == sorted(times)
    assert all(len(line) <= length or " " not in line for block in found for line in block[2:])
    assert all(len(block[2:]) <= lines for block in found)
