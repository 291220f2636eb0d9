import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batch_server.recognition.messages import SpeakerTurn, Word
from service.batch_server.transcript import items, speakers


def said(text, *, start=0.0, each=0.4):
    """Items of a text: a word every 0.5 s."""
    words = [Word(start + n * 0.5, start + n * 0.5 + each, f" {word}", 0.9) for n, word in enumerate(text.split())]
    return list(items.split(words))


def who(found):
    return [(item.content, item.speaker) for item in found]


def labels(found):
    return "".join(item.speaker[-1] for item in found if item.kind == "word")


def test_speakers_are_numbered_as_they_appear_and_marks_follow_their_words():
    found = said("Well, yes. (No) way!")
    turns = [SpeakerTurn(0.0, 1.0, "b"), SpeakerTurn(1.0, 3.0, "a"), SpeakerTurn(5.0, 6.0, "c")]
    assert who(speakers.labelled(found, turns)) == [
        ("Well", "S1"), (",", "S1"), ("yes", "S1"), (".", "S1"),
        ("(", "S2"), ("No", "S2"), (")", "S2"), ("way", "S2"), ("!", "S2"),
    ]  # fmt: skip


def test_a_word_is_whose_turn_covers_most_of_it():
    found = [*said("one", each=1.0), *said("two", start=1.0, each=1.0)]
    turns = [
        SpeakerTurn(0.0, 0.6, "a"),
        SpeakerTurn(0.6, 1.3, "b"),
        SpeakerTurn(1.3, 1.4, "a"),
        SpeakerTurn(1.4, 2.0, "b"),
    ]
    assert labels(speakers.labelled(found, turns)) == "12"


def test_a_long_turn_reaches_over_those_that_begin_after_it():
    found = said("far", start=60.0)
    turns = [SpeakerTurn(0.0, 100.0, "a"), *(SpeakerTurn(10.0 + n, 10.5 + n, "b") for n in range(40))]
    assert labels(speakers.labelled(found, turns)) == "1"


def test_a_word_beside_a_turn_belongs_to_it_and_one_far_from_all_to_nobody():
    found = [*said("near", start=1.2), *said("far", start=9.0)]
    assert who(speakers.labelled(found, [SpeakerTurn(0.0, 1.0, "a"), SpeakerTurn(2.5, 3.0, "b")])) == [
        ("near", "S1"),
        ("far", "UU"),
    ]


def test_without_turns_nobody_is_known():
    assert labels(speakers.labelled(said("Who is there?"), [])) == "UUU"
    assert speakers.labelled([], [SpeakerTurn(0.0, 1.0, "a")]) == []


def test_marks_without_any_word_have_no_speaker():
    found = list(items.split([Word(0.0, 0.5, " …", 0.5)]))
    assert who(speakers.labelled(found, [SpeakerTurn(0.0, 1.0, "a")])) == [("…", "UU")]


@pytest.mark.parametrize("change", [1.0, 1.5, 2.0])
def test_a_change_just_beside_the_end_of_a_sentence_is_at_it(change):
    found = said("I came home. Did you see anyone there?")
    turns = [SpeakerTurn(0.0, change, "a"), SpeakerTurn(change, 9.0, "b")]
    assert labels(speakers.labelled(found, turns)) == "11122222"


def test_a_change_far_from_the_end_of_a_sentence_stays_where_it_is():
    found = said("I came home very late yesterday. Did you?")
    assert labels(speakers.labelled(found, [SpeakerTurn(0.0, 1.0, "a"), SpeakerTurn(1.0, 9.0, "b")])) == "11222222"


def test_who_says_only_one_word_keeps_it():
    found = said("Are you sure? Yes. And where was it?")
    turns = [SpeakerTurn(0.0, 1.5, "a"), SpeakerTurn(1.5, 2.0, "b"), SpeakerTurn(2.0, 9.0, "a")]
    assert labels(speakers.labelled(found, turns)) == "11121111"


def test_who_speaks_shortly_between_sentence_ends_is_not_lost():
    found = said("Did you go? Me. I. Well then it is so.")
    turns = [SpeakerTurn(0.0, 1.0, "a"), SpeakerTurn(1.0, 2.5, "b"), SpeakerTurn(2.5, 9.0, "a")]
    assert labels(speakers.labelled(found, turns)) == "1112211111"


def test_the_current_speaker_is_preferred_within_a_sentence_if_that_is_asked():
    found = said("We went over the long bridge. Yes. Then we all went home.")
    turns = [
        SpeakerTurn(0.0, 1.0, "a"),
        SpeakerTurn(1.0, 1.5, "b"),
        SpeakerTurn(1.5, 3.0, "a"),
        SpeakerTurn(3.0, 3.5, "b"),
        SpeakerTurn(3.5, 9.0, "a"),
    ]
    assert labels(speakers.labelled(found, turns)) == "112111" + "2" + "11111"
    assert labels(speakers.labelled(found, turns, prefer_current=True)) == "111111" + "2" + "11111"


times = st.floats(0, 60, allow_nan=False).map(lambda seconds: round(seconds, 2))
turn_lists = st.lists(
    st.builds(lambda start, length, who: SpeakerTurn(start, start + length, who), times, times, st.sampled_from("abc")),
    max_size=12,
)
texts = st.lists(st.from_regex(r"\A[a-z]{1,6}[.,?]?\Z"), max_size=25).map(" ".join)


@given(texts, turn_lists, st.booleans())
def test_only_speakers_are_added_and_they_come_from_the_turns(text, turns, prefer):
    found = said(text)
    given_out = speakers.labelled(found, turns, prefer_current=prefer)
    assert [(item.kind, item.content, item.start) for item in given_out] == [
        (item.kind, item.content, item.start) for item in found
    ]
    appeared = list(dict.fromkeys(item.speaker for item in given_out if item.speaker != "UU"))
    assert appeared == [f"S{n + 1}" for n in range(len(appeared))]
    assert len(appeared) <= len({turn.speaker for turn in turns})
    for before, mark in itertools.pairwise(given_out):
        if mark.attaches_to == "previous":
            assert mark.speaker == before.speaker


@given(texts, turn_lists)
def test_a_word_is_given_to_somebody_beside_it(text, turns):
    """Within a word or two and a second: each of them lasts 0.4 s."""
    for item in speakers.labelled(said(text), turns):
        near = [turn for turn in turns if turn.start - 2.5 <= item.end and item.start - 2.5 <= turn.end]
        assert near or item.speaker == "UU"


@given(texts, turn_lists)
def test_the_order_and_the_names_of_turns_do_not_matter(text, turns):
    found = said(text)
    renamed = [SpeakerTurn(turn.start, turn.end, "xyz"["abc".index(turn.speaker)]) for turn in reversed(turns)]
    assert speakers.labelled(found, turns) == speakers.labelled(found, renamed)


@given(texts, st.sampled_from("ab"), st.booleans())
def test_one_speaker_throughout_is_one_speaker(text, name, prefer):
    found = said(text)
    given_out = speakers.labelled(found, [SpeakerTurn(0.0, 100.0, name)], prefer_current=prefer)
    assert {item.speaker for item in given_out} <= {"S1"}


@given(texts, turn_lists)
def test_preferring_the_current_speaker_adds_no_changes(text, turns):
    def changes(found):
        return sum(a != b for a, b in itertools.pairwise(labels(found)))

    found = said(text)
    usual = speakers.labelled(found, turns)
    assert changes(speakers.labelled(found, turns, prefer_current=True)) <= changes(usual)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=25))
def test_nobody_loses_a_turn_to_the_end_of_a_sentence(spoken):
    words = [item for item in said(" ".join("word" for _ in spoken)) if item.kind == "word"]
    ends = {number for number, (_, ended) in enumerate(spoken) if ended}
    before = [who for who, _ in spoken]
    after = speakers._at_sentence_ends(words, before, ends)
    assert [who for who, _ in itertools.groupby(after)] == [who for who, _ in itertools.groupby(before)]
