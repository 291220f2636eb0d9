"""From json-v2 to text, segments and words."""

import contextlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.speechmatics import Segment, TranscriptResult
from watcher.speechmatics.answers import Answer, decode
from watcher.speechmatics.errors import ResponseError


def item(content, at, *, kind="word", speaker=None, channel=None, confidence=0.8, attaches_to=None, language="en"):
    alternative = {"content": content, "confidence": confidence, "language": language}
    if speaker:
        alternative["speaker"] = speaker
    found = {"type": kind, "start_time": at, "end_time": at + 0.5, "alternatives": [alternative]}
    if channel:
        found["channel"] = channel
    if attaches_to:
        found["attaches_to"] = attaches_to
    return found


def transcript(*results, pack=None, **more):
    metadata = {"created_at": "2026-01-01T00:00:00Z", "type": "transcription"}
    if pack is not None:
        metadata["language_pack_info"] = pack
    return msgspec.convert(
        {"format": "2.9", "job": {"id": "a"}, "metadata": metadata, "results": list(results), **more},
        TranscriptResult,
    )


def test_plain_text_is_one_segment():
    found = transcript(
        item("Hello", 0.0), item(",", 0.5, kind="punctuation", attaches_to="previous"), item("world", 1.0),
        item(".", 1.5, kind="punctuation", attaches_to="previous"),
    )  # fmt: skip
    assert found.transcript_text == "Hello, world."
    assert found.segments == [Segment("Hello, world.", 0.0, 2.0)]
    assert [word.text for word in found.words] == ["Hello", "world"]


def test_speakers_make_segments_and_unknown_ones_have_no_label():
    found = transcript(
        item("Hi", 0.0, speaker="S1"), item(".", 0.5, kind="punctuation"), item("Yes", 1.0, speaker="S2"),
        item("So", 2.0, speaker="S1"), item("um", 3.0, speaker="UU"),
    )  # fmt: skip
    assert [(each.speaker, each.text, each.start_time, each.end_time) for each in found.segments] == [
        ("S1", "Hi.", 0.0, 1.0), ("S2", "Yes", 1.0, 1.5), ("S1", "So", 2.0, 2.5), ("UU", "um", 3.0, 3.5),
    ]  # fmt: skip
    assert found.transcript_text == "SPEAKER S1: Hi.\nSPEAKER S2: Yes\nSPEAKER S1: So\num"


def test_channels_make_segments():
    found = transcript(item("Hello", 0.0, channel="Agent"), item("Hi", 1.0, channel="Caller"))
    assert [(each.channel, each.text) for each in found.segments] == [("Agent", "Hello"), ("Caller", "Hi")]
    assert found.transcript_text == "CHANNEL Agent: Hello\nCHANNEL Caller: Hi"


def test_speakers_within_channels_are_both_named():
    found = transcript(
        item("Hello", 0.0, channel="Agent", speaker="S1"), item("Hi", 1.0, channel="Caller", speaker="UU"),
        item(".", 0.9, channel="Agent", kind="punctuation"), item("Yes", 2.0, channel="Agent", speaker="S2"),
    )  # fmt: skip
    assert found.transcript_text.splitlines() == [
        "CHANNEL Agent, SPEAKER S1: Hello",
        "CHANNEL Caller: Hi",
        "CHANNEL Agent, SPEAKER S1: .",
        "CHANNEL Agent, SPEAKER S2: Yes",
    ]


def test_marks_attach_where_they_ask():
    def mark(content, at, side):
        return item(content, at, kind="punctuation", attaches_to=side)

    found = transcript(
        mark("¿", 0.0, "next"), item("Qué", 0.1), mark("?", 0.6, "previous"), item("uno", 1.0),
        mark("-", 1.5, "both"), item("dos", 2.0), mark("&", 2.5, "none"), item("tres", 3.0),
    )  # fmt: skip
    assert found.transcript_text == "¿Qué? uno-dos & tres"


def test_languages_join_words_in_their_own_way():
    words = [item("你好", 0.0, language="cmn"), item("世界", 1.0, language="cmn"), item("hello", 2.0), item("you", 3.0)]
    assert transcript(*words[:2], pack={"word_delimiter": ""}).transcript_text == "你好世界"
    mixed = {"word_delimiter": " ", "per_language_word_delimiters": {"cmn": ""}}
    assert transcript(*words, pack=mixed).transcript_text == "你好世界 hello you"


def test_confidence_is_the_mean_and_none_for_silence():
    assert transcript(item("a", 0, confidence=0.5), item("b", 1, confidence=1.0)).confidence == 0.75
    silence = transcript()
    assert (silence.confidence, silence.transcript_text, silence.segments, silence.words) == (None, "", [], [])


def test_unknown_items_and_extra_stages_are_kept():
    found = transcript(
        {"type": "gesture", "start_time": 0, "end_time": 1},
        item("$100", 1.0, kind="entity"),
        summary={"content": "brief"},
        chapters=[{"title": "One", "start_time": 0, "end_time": 5, "mood": "new"}],
        translations={"de": [{"content": "Hallo"}]},
        audio_events=[{"type": "music", "start_time": 0.0, "end_time": 1.0}],
        speakers=[{"label": "S1", "speaker_identifiers": ["abc"]}],
        something_newer=True,
    )
    assert found.results[0].type == "gesture"
    assert [word.text for word in found.words] == ["$100"]
    assert found.summary.content == "brief"
    assert found.chapters[0].title == "One"
    assert found.translations["de"][0].content == "Hallo"
    assert found.audio_events[0].type == "music"
    assert found.speakers[0].label == "S1"


SPEAKERS = st.sampled_from([None, "S1", "S2", "UU"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.text(max_size=5), SPEAKERS, st.sampled_from([None, "A", "B"]), st.booleans())))
def test_segments_hold_every_word_in_order(said):
    found = transcript(
        *(
            item(content, float(at), speaker=speaker, channel=channel, kind="punctuation" if mark else "word")
            for at, (content, speaker, channel, mark) in enumerate(said)
        )
    )
    segments = found.segments
    together = "".join(each.text for each in segments)
    assert "".join(together.split()) == "".join("".join(content for content, *_ in said).split())
    assert all(each.start_time <= each.end_time for each in segments)
    assert [each.start_time for each in segments] == sorted(each.start_time for each in segments)


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["format", "job", "metadata", "results", "type", "start_time", "alternatives", "id"]), inner
        )
    ),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60) | HOSTILE.map(msgspec.json.encode))
def test_no_answer_breaks_the_reader(body):
    for kind in (TranscriptResult, dict[str, msgspec.Raw]):
        answer = Answer(200, {"content-type": "application/json"}, body, "GET /x")
        with contextlib.suppress(ResponseError):
            decode(answer, kind)


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe", b"", b"null", b'"\\ud800"'])
def test_bodies_made_to_break_parsers_are_response_errors(body):
    with pytest.raises(ResponseError):
        decode(Answer(200, {"content-type": "application/json; charset=utf-8"}, body, "GET /x"), TranscriptResult)
