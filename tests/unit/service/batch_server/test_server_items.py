import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batch_server.recognition.messages import Word
from service.batch_server.transcript import items


def parts(text):
    return [(item.kind, item.content, item.attaches_to) for item in items.split([Word(1.0, 2.0, text, 0.9)])]


def word(content):
    return ("word", content, None)


def closing(mark):
    return ("punctuation", mark, "previous")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Hello,", [word("Hello"), closing(",")]),
        (" world.", [word("world"), closing(".")]),
        (" really?!", [word("really"), closing("?"), closing("!")]),
        (' "Yes"', [("punctuation", '"', "next"), word("Yes"), closing('"')]),
        (" ¿Qué?", [("punctuation", "¿", "next"), word("Qué"), closing("?")]),
        (" don't", [word("don't")]),
        (" ill-disposed", [word("ill-disposed")]),
        (" $500", [word("$500")]),
        (" 3.30pm.", [word("3.30pm"), closing(".")]),
        (" -5", [word("-5")]),
        (" -Hello", [word("Hello")]),
        (" wait--", [word("wait")]),
        (" U.S.", [word("U.S.")]),
        (" U.S.,", [word("U.S."), closing(",")]),
        (" well...", [word("well"), closing("…")]),
        (" 50%", [word("50%")]),
        (" C++", [word("C++")]),
        (" .", [("punctuation", ".", "none")]),
        (" -", []),
        ("はい。", [word("はい"), closing("。")]),
    ],
)
def test_marks_become_items_of_their_own(text, expected):
    assert parts(text) == expected


def test_marks_end_sentences_unless_they_mark_a_title():
    found = {
        item.content: item.is_eos
        for text in ("Mr.", "done?", "so,")
        for item in items.split([Word(0.0, 1.0, text, 1.0)])
        if item.kind == "punctuation"
    }
    assert found == {".": False, "?": True, ",": False}


def test_a_mark_takes_no_time_and_stands_at_its_word():
    _, mark = items.split([Word(1.0, 1.5, " end.", 0.7)])
    assert (mark.start, mark.end, mark.confidence) == (1.5, 1.5, 0.7)


def test_pieces_without_a_space_between_are_one_word():
    words = [Word(0.0, 0.2, " 3", 0.9), Word(0.2, 0.6, ".30", 0.4), Word(0.6, 0.8, " pm", 0.8)]
    assert list(items.joined(words)) == [Word(0.0, 0.6, " 3.30", 0.4), Word(0.6, 0.8, " pm", 0.8)]


def test_channels_are_merged_by_time_and_marks_stay_with_their_words():
    left = items.split([Word(0.0, 1.0, " One,", 1.0), Word(3.0, 4.0, " three.", 1.0)], channel="a")
    right = items.split([Word(0.5, 2.0, ' "two"', 1.0)], channel="b")
    merged = items.merged([left, right])
    assert [item.content for item in merged] == ["One", ",", '"', "two", '"', "three", "."]
    assert [item.channel for item in merged] == ["a", "a", "b", "b", "b", "a", "a"]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 5), st.text(max_size=8), st.floats(0, 1)), max_size=8))
def test_every_item_has_content_and_its_end_is_not_before_its_start(raw):
    words = [Word(start, start + length, text, confidence) for start, length, text, confidence in raw]
    for item in items.split(words):
        assert item.content
        assert item.end >= item.start
        assert (item.attaches_to is None) == (item.kind == "word")
