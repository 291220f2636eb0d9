"""Words and punctuation as items of their own, as the API gives them.

The model writes " Hello," as one piece; the API gives the word "Hello" and the mark "," with its own times,
the side it attaches to, and whether it ends a sentence.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec

from service.batch_server.recognition.messages import Word

Attachment = Literal["previous", "next", "both", "none"]

_OPENING: Final = "\"'“‘«¿¡([{-–—„"  # noqa: RUF001 - typographic marks are the point
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
        end: Seconds from the beginning of the recording; of a mark: its start.
        content: The text.
        confidence: 0 to 1; a mark has that of the word it came with.
        attaches_to: Of a mark: the side without a space.
        is_eos: Of a mark: whether it ends a sentence.
        speaker: Label of the speaker.
        channel: Label of the channel.
        tags: What the word was recognised as, e.g. ``disfluency``.
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
    """Put together what the model wrote without a space between: " 3" and ".30" are one word.

    Only for languages that write spaces.
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
    """Part words from their punctuation.

    Args:
        words: Words as the model wrote them, in order of time.
        channel: Label of the channel that they were heard on.
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
    """Part leading marks, the word itself and trailing marks."""
    core = text if _SIGNED_NUMBER.match(text) else text.lstrip(_OPENING)
    opening = text[: len(text) - len(core)]
    stripped = core.rstrip(_CLOSING)
    closing = core[len(stripped) :]
    if closing.startswith(".") and _INITIALISM.fullmatch(stripped):
        # The last point of "U.S." belongs to the word; whether it ends a sentence too can't be known.
        stripped, closing = stripped + ".", closing[1:]
    if not stripped:
        opening, closing = "", opening + closing
    # A dash at the edge of a word is how the model writes an interruption or a change of speaker: not a mark
    # that the API knows.
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
    """Merge channels by time, keeping every mark next to the word it belongs to."""
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
