"""What is said in the recordings of `tests/data`, and how much of it a transcript has right.

The same model gives slightly different words on different processors and with different numbers of threads: 8-bit
kernels round differently, so a close decision between two words may go the other way. No test may therefore compare
recognised text, word times or confidences exactly. A test checks

* that a transcript is the one of its recording: `assert_reads`, with a bound that no other recording
  passes (`test_words.py` shows it) and that no processor comes near;
* how well the words are recognised: `error_rate` over many recordings at once, so that one word weighs little.
"""

import re

import jiwer

__all__ = ["MOST_WRONG", "READ", "assert_contains", "assert_reads", "error_rate", "plain"]

_LEISURE = (
    "And Mr. John Dashwood had then leisure to consider how much there might be prudently in his power to do for them."
)
_TEN_SECONDS = f"{_LEISURE} He was not an ill-disposed young man,"
_REST = (
    "unless to be rather cold hearted and rather selfish is to be ill-disposed. "
    "Had he married a more amiable woman, he might have been made still more respectable than he was. "
    "He might even have been made amiable himself."
)
READ = {
    "leisure": _LEISURE,
    "ten_seconds": _TEN_SECONDS,
    "dashwood": f"{_TEN_SECONDS} {_REST}",
    "cards": "Ten of clubs. Four, queen of clubs. Seven of clubs. Five, five. "
    "Eight of spades, four of clubs, seven of hearts.",
    "after ten_seconds": _REST,
}
"""The words of each recording; `after ten_seconds` is the rest of `dashwood`."""

MOST_WRONG = 0.5
"""The share of wrong words that one recording may have. The worst measured is a third: a sentence lost."""

_SAME = {"mister": "mr", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five"}
_SAME |= {"6": "six", "7": "seven", "8": "eight", "9": "nine", "10": "ten"}


def plain(text):
    """Reduce text to what is spoken: lower case, no punctuation, numbers up to ten as words."""
    words = re.sub(r"[^a-z0-9]", " ", text.lower()).split()
    return " ".join(_SAME.get(word, word) for word in words)


def error_rate(pairs):
    """The word error rate over all pairs of what was said and what was recognised, as if they were one recording."""
    said, recognised = zip(*pairs, strict=True)
    return jiwer.wer([plain(text) for text in said], [plain(text) for text in recognised])


def assert_reads(text, *recordings):
    """Check that a transcript is the one of these recordings, played one after the other."""
    said = " ".join(READ[name] for name in recordings)
    rate = error_rate([(said, text)])
    assert rate <= MOST_WRONG, f"{rate:.0%} of the words are wrong: {text!r}"


def assert_contains(text, recording):
    """Check that the words of a recording stand in a text, whatever else it holds."""
    said = plain(READ[recording])
    rate = (len(said.split()) - jiwer.process_words(said, plain(text)).hits) / len(said.split())
    assert rate <= MOST_WRONG, f"{rate:.0%} of the words are missing: {text!r}"
