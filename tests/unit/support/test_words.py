import itertools

import pytest

from tests.support.words import MOST_WRONG, READ, assert_contains, assert_reads, error_rate, plain


def test_text_is_compared_by_its_words_alone():
    assert plain("10 of clubs. “Cold-hearted”, Mister Dashwood!") == "ten of clubs cold hearted mr dashwood"


def test_the_words_of_all_recordings_count_alike():
    assert error_rate([("a", "b"), ("c d e", "c d e")]) == 0.25


APART = list(itertools.permutations(["leisure", "cards", "after ten_seconds"], 2))


@pytest.mark.parametrize(("said", "other"), APART)
def test_no_other_recording_passes_for_this_one(said, other):
    assert error_rate([(READ[said], READ[other])]) > MOST_WRONG + 0.2
    with pytest.raises(AssertionError, match="wrong"):
        assert_reads(READ[other], said)
    with pytest.raises(AssertionError, match="missing"):
        assert_contains(READ[other], said)


def test_half_of_a_recording_does_not_pass_for_the_whole():
    words = READ["dashwood"].split()
    with pytest.raises(AssertionError):
        assert_reads(" ".join(words[: len(words) // 2 - 1]), "dashwood")


@pytest.mark.parametrize("name", READ)
def test_a_few_wrong_words_pass(name):
    words = READ[name].split()
    heard = " ".join("Clopes" if number % 5 == 0 else word for number, word in enumerate(words))
    assert_reads(heard, name)
    assert_contains(f"Job 1. Transcript: {heard} Confidence: 0.9", name)
    assert_reads(f"{heard} {heard}", name, name)
