"""Splits what the model writes into words and punctuation marks, as in the API.

The model writes " Hello," in one piece; the API returns the word "Hello" and the mark "," with its own times, the side
it attaches to, and whether it ends a sentence.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from service.batch_server.recognition.messages import Word

Attachment = Literal["previous", "next", "both", "none"]

_OPENING: Final = "\"'“‘«¿¡([{-–—„"  # noqa: RUF001 - typographic marks are intended
_CLOSING: Final = "\"'”’»,.!?:;)]}…。，、！？：；।؟،؛-–—"  # noqa: RUF001 - as above
_SENTENCE_ENDS: Final = frozenset(".!?…。！？।؟")  # noqa: RUF001 - as above
_ELLIPSIS: Final = re.compile(r"\.{2,}")
_INITIALISM: Final = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_TITLES: Final = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "no", "gen", "lt", "sgt", "capt"})
_SIGNED_NUMBER: Final = re.compile(r"[-–+]\d")  # noqa: RUF001 - as above


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A word or a punctuation mark.

    Attributes:
        kind: As the API names it.
        start: Seconds from the beginning of the recording.
        end: Seconds from the beginning of the recording; for a mark, equal to its start.
        content: The text.
        confidence: 0 to 1; a mark has that of its word.
        attaches_to: For a mark: the side without a space.
        is_eos: For a mark: whether it ends a sentence.
        speaker: Label of the speaker.
        channel: Label of the channel.
        tags: The API's tags, such as ``disfluency``.
    """

    kind: Literal["word", "punctuation"]
    start: float
    end: float
    content: str
    confidence: float
    attaches_to: Attachment | None = None
    is_eos: bool = False
    speaker: str = "UU"
    channel: str | None = None
    tags: tuple[str, ...] = ()


def joined(words: Iterable[Word]) -> Iterator[Word]:
    """Join what the model wrote without a space in between: " 3" and ".30" are one word.

    Only for languages that separate words with spaces.
    """
    last: Word | None = None
    for word in words:
        if last is not None and not word.text.startswith(" ") and word.start - last.end <= 1.0:
            last = Word(last.start, word.end, last.text + word.text, min(last.confidence, word.confidence))
        else:
            if last is not None:
                yield last
            last = word
    if last is not None:
        yield last


def split(words: Iterable[Word], *, channel: str | None = None) -> Iterator[Item]:
    """Split words from their punctuation.

    Args:
        words: Words as the model wrote them, in order of time.
        channel: Label of their channel.
    """
    for word in words:
        yield from _split_one(word, channel)


def _split_one(word: Word, channel: str | None) -> Iterator[Item]:
    opening, core, closing = _parts(_ELLIPSIS.sub("…", word.text.strip()))
    for mark in opening:
        yield _mark(mark, at=word.start, word=word, attaches_to="next", channel=channel)
    if core:
        yield Item(
            kind="word",
            start=word.start,
            end=max(word.start, word.end),
            content=core,
            confidence=word.confidence,
            channel=channel,
        )
    for mark in closing:
        yield _mark(
            mark,
            at=max(word.start, word.end),
            word=word,
            attaches_to="previous" if core or opening else "none",
            channel=channel,
            is_eos=mark in _SENTENCE_ENDS and not (mark == "." and core.lower() in _TITLES),
        )


def _parts(text: str) -> tuple[str, str, str]:
    """Split a text into leading marks, the word itself and trailing marks."""
    core = text if _SIGNED_NUMBER.match(text) else text.lstrip(_OPENING)
    opening = text[: len(text) - len(core)]
    stripped = core.rstrip(_CLOSING)
    closing = core[len(stripped) :]
    if closing.startswith(".") and _INITIALISM.fullmatch(stripped):
        # The last full stop of "U.S." belongs to the word; whether it also ends a sentence is unknown.
        stripped, closing = stripped + ".", closing[1:]
    if not stripped:
        opening, closing = "", opening + closing
    # A dash at the edge of a word is the model's sign for an interruption or a new speaker; the API has no such mark.
    return opening.strip("-–—"), stripped, closing.strip("-–—")  # noqa: RUF001 - as above


def _mark(
    mark: str, *, at: float, word: Word, attaches_to: Attachment, channel: str | None, is_eos: bool = False
) -> Item:
    return Item(
        kind="punctuation",
        start=at,
        end=at,
        content=mark,
        confidence=word.confidence,
        attaches_to=attaches_to,
        is_eos=is_eos,
        channel=channel,
    )


def merged(channels: Iterable[Iterable[Item]]) -> list[Item]:
    """Merge channels by time; marks stay next to their words."""
    groups: list[list[Item]] = []
    for channel in channels:
        group: list[Item] = []
        word_seen = False
        for item in channel:
            opens = item.kind == "word" or item.attaches_to == "next"
            if group and opens and word_seen:
                groups.append(group)
                group, word_seen = [], False
            group.append(item)
            word_seen = word_seen or item.kind == "word"
        if group:
            groups.append(group)
    groups.sort(key=lambda group: group[0].start)
    return [item for group in groups for item in group]
