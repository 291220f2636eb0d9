"""What people read: captions that players accept, Markdown that shows the words and nothing but the words."""

from __future__ import annotations

import html
import io
import itertools
import json
import re
import unicodedata

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from watcher.models import OutputFormat
from watcher.transcripts.errors import DamagedTranscript
from watcher.transcripts.formats import needed_originals, render, transcript_duration
from watcher.transcripts.jsonv2 import read
from watcher.transcripts.webvtt import cues

TXT, JSON, SRT, VTT, MD = OutputFormat


def item(content, start, end, *, kind="word", speaker=None, **more):
    alternative = {"content": content, "confidence": 1.0, "language": "en"}
    alternative |= {"speaker": speaker} if speaker else {}
    return {"type": kind, "start_time": start, "end_time": end, "alternatives": [alternative], **more}


def stop(content, at, *, attaches_to="previous", eos=False, **more):
    return item(content, at, at, kind="punctuation", attaches_to=attaches_to, is_eos=eos, **more)


def document(*items, delimiter=" ", **more):
    pack = {"word_delimiter": delimiter, "writing_direction": "left-to-right"}
    return json.dumps(
        {
            "format": "2.9",
            "job": {"created_at": "2026-05-01T10:00:00Z", "data_name": "meeting.wav", "duration": 75, "id": "j1"},
            "metadata": {"created_at": "x", "type": "transcription", "language_pack_info": pack},
            "results": list(items),
            **more,
        }
    ).encode()


def text(json_v2):
    return [(phrase.voice, phrase.text) for phrase in read(json_v2).phrases]


def vtt(json_v2):
    return render(VTT, {JSON: json_v2}).decode()


def markdown(json_v2, **more):
    return render(MD, {JSON: json_v2}, **more).decode()


def test_the_services_own_formats_are_written_as_they_came():
    originals = {TXT: b"\xff\r\n", JSON: b"not even json", SRT: b""}
    assert {format_: render(format_, originals) for format_ in originals} == originals


@pytest.mark.parametrize(
    ("formats", "needed"),
    [
        ((TXT,), (TXT,)),
        ((VTT,), (JSON,)),
        ((MD, VTT), (JSON,)),
        ((SRT, MD, TXT), (TXT, JSON, SRT)),
        ((), ()),
    ],
)
def test_only_what_the_service_makes_is_fetched(formats, needed):
    assert needed_originals(formats) == needed


def test_the_duration_is_what_the_service_heard():
    assert transcript_duration(document()) == 75.0
    assert transcript_duration(b'{"results": [], "job": {"duration": 12.5}}') == 12.5
    assert transcript_duration(b'{"results": []}') is None


@pytest.mark.parametrize(
    "json_v2",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"{}",
        b"[]",
        b'{"results": {}}',
        b'{"results": [], "job": 1}',
        b'{"results": ["\xff"]}',
    ],
)
@pytest.mark.parametrize("make", [transcript_duration, vtt, markdown])
def test_what_is_no_json_v2_is_said_to_be_damaged(json_v2, make):
    with pytest.raises(DamagedTranscript, match="json-v2"):
        make(json_v2)


def test_punctuation_clings_where_it_says():
    json_v2 = document(
        stop("¿", 0, attaches_to="next"),
        item("Qué", 0, 0.2),
        stop("?", 0.2, eos=True),
        item("well", 0.3, 0.4),
        stop("-", 0.4, attaches_to="both"),
        item("known", 0.4, 0.6),
        stop("\N{EN DASH}", 0.6, attaches_to="none"),
        item("yes", 0.7, 0.8),
        stop(".", 0.8, attaches_to=None),
    )
    assert text(json_v2) == [("", "¿Qué? well-known \N{EN DASH} yes.")]


def test_odd_items_are_understood_or_passed_over():
    entity = {"type": "entity", "start_time": 1, "end_time": 2, "entity_class": "date"}
    words = [item("1", 1, 1.5), item("May", 1.5, 2)]
    json_v2 = document(
        {"type": "speaker_change", "start_time": 0, "end_time": 0, "score": 1},
        {"type": "word", "start_time": 0, "end_time": 1},
        {"type": "word", "start_time": 0, "end_time": 1, "alternatives": []},
        {"type": "word", "start_time": 0, "end_time": 1, "alternatives": None},
        item("", 0, 1),
        item("On", 0.5, 1),
        {**entity, "written_form": words, "spoken_form": [item("first", 1, 2)]},
        {**entity, "alternatives": [{"content": "2026"}], "written_form": words},
        stop(".", 2, eos=True),
        {"type": "word", "alternatives": [{"content": "Undated", "speaker": None}]},
    )
    assert text(json_v2) == [("", "On 1 May 2026. Undated")]


def test_speakers_are_named_and_an_unknown_one_is_not():
    json_v2 = document(
        item("Hello", 0, 0.4, speaker="S1"),
        stop(".", 0.4, eos=True, speaker="S2"),
        stop("¿", 0.5, attaches_to="next", speaker="S1"),
        item("Quién", 0.5, 0.9, speaker="S12"),
        item("noise", 1, 1.2, speaker="UU"),
        item("Agreed", 1.3, 1.5, speaker="Ann <ann@example.org>"),
    )
    assert text(json_v2) == [
        ("Speaker 1", "Hello."),
        ("Speaker 12", "¿Quién"),
        ("", "noise"),
        ("Ann <ann@example.org>", "Agreed"),
    ]
    assert "<v Ann &lt;ann@example.org&gt;>Agreed" in vtt(json_v2)


@pytest.mark.parametrize("by_time", [True, False])
def test_channels_are_kept_apart_however_the_service_sorts_them(by_time):
    items = [
        item("How", 0.0, 0.4, channel="channel_1"),
        item("are", 0.5, 0.8, channel="channel_1"),
        item("you", 0.9, 1.2, channel="channel_1"),
        item("I", 0.6, 0.7, channel="Agent", speaker="S1"),
        item("see", 0.7, 0.95, channel="Agent", speaker="S1"),
        stop(".", 0.95, channel="Agent", eos=True),
    ]
    items.sort(key=lambda i: i["start_time"] if by_time else i["channel"])
    assert text(document(*items)) == [("Channel 1", "How are you"), ("Agent, Speaker 1", "I see.")]


def test_a_language_without_spaces_gets_none():
    words = ["今日", "は", "いい", "天気", "です", "ね"] * 8
    json_v2 = document(*(item(w, n / 5, n / 5 + 0.2) for n, w in enumerate(words)), delimiter="")
    assert text(json_v2) == [("", "".join(words))]
    assert all(len(line) <= 21 for cue in cues(read(json_v2)) for line in cue.lines)


def test_each_language_of_a_mixed_transcript_has_its_own_delimiter():
    items = [item("hello", 0, 1), item("你", 1, 2), item("好", 2, 3)]
    for one in items[1:]:
        one["alternatives"][0]["language"] = "cmn"
    pack = {"word_delimiter": " ", "per_language_word_delimiters": {"cmn": ""}}
    assert text(document(*items, metadata={"language_pack_info": pack})) == [("", "hello你好")]


def test_captions_are_short_enough_to_read_and_long_enough_to_see():
    words = [item(f"word{n}", n * 0.3, n * 0.3 + 0.25) for n in range(200)]
    found = cues(read(document(*words, item("Late", 100, 100.05), stop(".", 100.05, eos=True))))
    assert all(len(cue.lines) <= 2 and max(map(len, cue.lines)) <= 42 for cue in found)
    assert all(cue.end - cue.start <= 7 for cue in found)
    assert found[-1].end - found[-1].start == pytest.approx(5 / 6)
    assert all(before.end <= after.start for before, after in itertools.pairwise(found))


def test_lines_of_a_caption_are_about_equally_long():
    words = ["this", "caption", "has", "two", "lines", "and", "they", "are", "much", "alike"]
    (cue,) = cues(read(document(*(item(w, n / 5, n / 5 + 0.1) for n, w in enumerate(words)))))
    assert cue.lines == ("this caption has two lines", "and they are much alike")


def test_a_whole_webvtt_file():
    json_v2 = document(item("Rock", 0, 0.5), item("&", 0.5, 0.6), item("-->", 3661, 3662.0005))
    assert vtt(json_v2) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:00.833\nRock &amp;\n\n01:01:01.000 --> 01:01:02.000\n--&gt;\n"
    )
    assert vtt(document()) == "WEBVTT\n"


def test_a_whole_markdown_file():
    json_v2 = document(
        item("Hello", 0, 1, speaker="S1"),
        stop(".", 1, eos=True, speaker="S1"),
        item("#1", 62, 63, speaker="S2"),
        summary={"content": "A greeting."},
        chapters={"chapters": [{"title": "Start", "summary": "They meet.", "start_time": 0}]},
    )
    assert markdown(json_v2, title="a_b.wav") == (
        "# a\\_b.wav\n\nLength 1:15\n\n## Summary\n\nA greeting.\n\n## Chapters\n\n**Start** (0:00)\n\nThey meet.\n\n"
        "## Transcript\n\n**Speaker 1** (0:00)\n\nHello.\n\n**Speaker 2** (1:02)\n\n\\#1\n"
    )
    assert markdown(document()) == "# meeting.wav\n\nLength 1:15\n\n*No speech was recognised.*\n"


def test_long_speech_is_divided_into_paragraphs_at_the_end_of_sentences():
    words = [item("word", n, n + 0.9) for n in range(1000)]
    stops = [stop(".", n + 0.9, eos=True) for n in range(9, 1000, 10)]
    sentences = sorted([*words, *stops], key=lambda one: one["end_time"])
    paragraphs = markdown(document(*sentences)).split("\n\n")[3::2]
    assert all(600 <= len(one) <= 700 and one.endswith(".") for one in paragraphs[:-1])
    unpunctuated = markdown(document(*words)).split("\n\n")[3::2]
    assert [len(one.strip()) for one in unpunctuated] == [2399, 2399, 199]


# Anything a document can hold, as long as its times don't run backwards.

contents = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(
        [
            "1.",
            "-",
            "+",
            "# a",
            "***",
            "<b>",
            "&amp;",
            "```",
            "a_b_c",
            "[x](y)",
            "--> x",
            "NOTE",
            "~~~",
            "1)",
            "=",
            "$x$",
            "| a |",
            "http://a.b",
            "\\",
        ]
    ),
)
voices = st.sampled_from([None, "S1", "S2", "UU", "Ann > Bob", "*Eve*"])


@st.composite
def documents(draw):
    now, items = 0.0, []
    channels = draw(st.sampled_from([(None,), ("channel_1", "channel_2")]))
    for _ in range(draw(st.integers(0, 25))):
        start = now + draw(st.sampled_from([0.0, 0.05, 0.4, 2.5]))
        now = start + draw(st.sampled_from([0.0, 0.0004, 0.3, 8.0]))
        kind = draw(st.sampled_from(["word", "word", "word", "punctuation", "entity", "whatever"]))
        attaches = draw(st.sampled_from([None, "previous", "next", "both", "none"]))
        one = item(draw(contents), start, now, kind=kind, speaker=draw(voices))
        one |= {"attaches_to": attaches, "is_eos": draw(st.booleans())} if kind == "punctuation" else {}
        one |= {"channel": channel} if (channel := draw(st.sampled_from(channels))) else {}
        items.append(one)
    return document(*items, delimiter=draw(st.sampled_from([" ", "", "\u3000"])))


def letters(value):
    """What must survive: all but white space, and but control characters, which are replaced."""
    kept = (c for c in value if not c.isspace())
    return "".join(
        c for c in kept if unicodedata.category(c) not in ("Cc", "Cf", "Cn", "Co", "Zl", "Zp") and c != "\ufffd"
    )


def said(json_v2):
    return [
        letters(one["alternatives"][0]["content"])
        for one in json.loads(json_v2)["results"]
        if one["type"] != "whatever"
    ]


TIME = r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})"
CUE = re.compile(rf"{TIME} --> {TIME}\n(?:<v ([^\n<>]+)>)?((?:[^\n<>]+\n?)+)\Z")


def parse_webvtt(content):
    """Read a WebVTT file by the grammar of the standard, strictly; give back (start, end, voice, text)."""
    header, *blocks = content.removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    assert "\r" not in content
    found = []
    for block in blocks:
        match = CUE.match(block)
        assert match, block
        assert "-->" not in block.partition("\n")[2]
        assert not re.search(r"&(?!amp;|lt;|gt;)", match[10])
        start, end = ([int(part) for part in match.groups()[n : n + 4]] for n in (0, 4))
        in_ms = [((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (start, end)]
        found.append((*in_ms, html.unescape(match[9] or ""), html.unescape(match[10])))
    return found


@settings(max_examples=300, deadline=None)
@given(documents())
def test_any_transcript_makes_valid_captions_that_lose_no_word(json_v2):
    found = parse_webvtt(vtt(json_v2))
    assert sorted("".join(letters(cue[3]) for cue in found)) == sorted("".join(said(json_v2)))
    if "channel" not in json_v2.decode():
        assert "".join(letters(cue[3]) for cue in found) == "".join(said(json_v2))
    assert all(start < end for start, end, _, _ in found)
    assert [cue[0] for cue in found] == sorted(cue[0] for cue in found)
    assert {cue[2] for cue in found} == {phrase.voice for phrase in read(json_v2).phrases}


@settings(max_examples=50, deadline=None)
@given(documents())
def test_ffmpeg_reads_the_captions_as_we_wrote_them(json_v2):
    content = render(VTT, {JSON: json_v2})
    ours = parse_webvtt(content.decode())
    if not ours:
        return
    with av.open(io.BytesIO(content), format="webvtt") as container:
        packets = [(p.pts, p.pts + p.duration, bytes(p).decode()) for p in container.demux() if p.pts is not None]
    theirs = [(start, end, html.unescape(re.sub(r"<v [^>]*>", "", text_))) for start, end, text_ in packets]
    assert theirs == [(start, end, text_) for start, end, _, text_ in ours]


@settings(max_examples=300, deadline=None)
@given(documents())
def test_any_transcript_makes_markdown_that_shows_just_its_words(json_v2):
    tokens = MarkdownIt("commonmark").enable(["strikethrough", "table"]).parse(markdown(json_v2))
    kinds = {token.type for token in tokens}
    assert kinds <= {"heading_open", "heading_close", "paragraph_open", "paragraph_close", "inline"}
    shown = [token.children or [] for token in tokens if token.type == "inline"]
    assert {child.type for line in shown for child in line} <= {
        "text",
        "strong_open",
        "strong_close",
        "em_open",
        "em_close",
    }
    if read(json_v2).phrases:
        paragraphs = ["".join(child.content for child in line) for line in shown][3::2]
        assert sorted(letters("".join(paragraphs))) == sorted("".join(said(json_v2)))
