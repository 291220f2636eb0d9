"""Reads json-v2, Speechmatics' transcript format, into phrases for display.

The format is `RetrieveTranscriptResponse` of the Batch API. What a document lacks is made up for, what is
unknown in it is passed over: the API's documentation promises that new kinds of items appear unasked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from watcher.transcripts.errors import DamagedTranscript

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Chapter", "Phrase", "Transcript", "Word", "join", "read"]

_UNKNOWN_SPEAKER = "UU"
_PAUSE = 1.0
"""Seconds of silence after which a new phrase starts."""


class _Alternative(msgspec.Struct):
    content: str = ""
    language: str | None = None
    speaker: str | None = None


class _Item(msgspec.Struct):
    type: str = ""
    start_time: float | None = None
    end_time: float | None = None
    channel: str | None = None
    attaches_to: str | None = None
    is_eos: bool | None = None
    alternatives: list[_Alternative] | None = None
    written_form: list[_Item] | None = None
    spoken_form: list[_Item] | None = None


class _LanguagePack(msgspec.Struct):
    word_delimiter: str | None = None
    per_language_word_delimiters: dict[str, str] | None = None


class _Metadata(msgspec.Struct):
    created_at: str | None = None
    language_pack_info: _LanguagePack | None = None


class _Job(msgspec.Struct):
    data_name: str | None = None
    duration: float | None = None


class _Summary(msgspec.Struct):
    content: str | None = None


class _Chapter(msgspec.Struct):
    title: str | None = None
    summary: str | None = None
    start_time: float | None = None


class _Chapters(msgspec.Struct):
    chapters: list[_Chapter] | None = None


class _Document(msgspec.Struct):
    results: list[_Item]
    job: _Job | None = None
    metadata: _Metadata | None = None
    summary: _Summary | None = None
    chapters: _Chapters | None = None


@dataclass(slots=True)
class Word:
    """A word with its attached punctuation.

    Attributes:
        text: without white space at its ends, never empty.
        start: seconds from the beginning of the recording.
        end: seconds, not before `start`.
        delimiter: the text between it and the previous word.
        ends_sentence: whether it ends a sentence.
    """

    text: str
    start: float
    end: float
    delimiter: str = " "
    ends_sentence: bool = False


@dataclass(slots=True)
class Phrase:
    """Words spoken by one voice without a long pause.

    Attributes:
        voice: the speaker, the channel, or both, as text for display; empty if unknown.
        words: at least one.
    """

    voice: str
    words: list[Word] = field(default_factory=list)

    @property
    def start(self) -> float:
        """Seconds."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Seconds."""
        return max(word.end for word in self.words)

    @property
    def text(self) -> str:
        """The words as ordinary text."""
        return join(self.words)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part of the recording, as the service divided it; `start` in seconds."""

    title: str
    summary: str
    start: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """The content of a json-v2 document.

    Attributes:
        name: the name of the submitted file.
        duration: in seconds; None if the document doesn't tell.
        phrases: ordered by their start.
        summary: if requested.
        chapters: if requested.
    """

    name: str
    duration: float | None
    phrases: tuple[Phrase, ...]
    summary: str = ""
    chapters: tuple[Chapter, ...] = ()


def join(words: Iterable[Word]) -> str:
    """Join words with their delimiters."""
    text = ""
    for word in words:
        text += (word.delimiter if text else "") + word.text
    return text


def read(json_v2: bytes) -> Transcript:
    """Read a json-v2 document.

    Raises:
        DamagedTranscript: it isn't one.
    """
    try:
        document = msgspec.json.decode(json_v2, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedTranscript(f"The transcript is not in the json-v2 format: {error}.") from None
    job = document.job or _Job()
    chapters = (document.chapters or _Chapters()).chapters or []
    return Transcript(
        name=_clean(job.data_name),
        duration=None if job.duration is None else max(0.0, job.duration),
        phrases=_phrases(document),
        summary=_clean((document.summary or _Summary()).content),
        chapters=tuple(Chapter(_clean(c.title), _clean(c.summary), c.start_time or 0.0) for c in chapters),
    )


@dataclass(slots=True)
class _Track:
    """Collects the phrases of one channel."""

    phrases: list[Phrase] = field(default_factory=list)
    glued: bool = False
    """Whether the next item attaches to the last word, without a delimiter."""
    provisional: bool = False
    """Whether the last word is only punctuation so far, and takes the voice of what it attaches to."""


def _phrases(document: _Document) -> tuple[Phrase, ...]:
    pack = (document.metadata or _Metadata()).language_pack_info or _LanguagePack()
    delimiters = pack.per_language_word_delimiters or {}
    default = " " if pack.word_delimiter is None else pack.word_delimiter
    tracks: dict[str | None, _Track] = {}
    for item in document.results:
        alternative = _best(item)
        if alternative is None:
            continue
        delimiter = delimiters.get(alternative.language or "", default)
        _add(tracks.setdefault(item.channel, _Track()), item, alternative, delimiter)
    phrases = (phrase for track in tracks.values() for phrase in track.phrases)
    return tuple(sorted(phrases, key=lambda phrase: phrase.start))


def _best(item: _Item) -> _Alternative | None:
    """Return an item with cleaned text; None if it has no text or is of an unknown type."""
    if item.type not in ("word", "punctuation", "entity"):
        return None
    for alternative in item.alternatives or ():
        text = _clean(alternative.content)
        return _Alternative(text, alternative.language, alternative.speaker) if text else None
    parts = [found for part in item.written_form or item.spoken_form or () if (found := _best(part))]
    if item.type != "entity" or not parts:
        return None
    return _Alternative(" ".join(part.content for part in parts), parts[0].language, parts[0].speaker)


def _add(track: _Track, item: _Item, said: _Alternative, delimiter: str) -> None:
    punctuation = item.type == "punctuation"
    attaches = (item.attaches_to or "previous") if punctuation else "none"
    voice = _voice(item.channel, said.speaker)
    last = track.phrases[-1] if track.phrases else None
    start = max(0.0, item.start_time if item.start_time is not None else (last.end if last else 0.0))
    end = max(start, item.end_time if item.end_time is not None else start)
    if last is not None and (track.glued or attaches in ("previous", "both")):
        word = last.words[-1]
        word.text += said.content
        word.end = max(word.end, end)
        word.ends_sentence |= bool(punctuation and item.is_eos)
        if track.provisional and not punctuation:
            _name_last_word(track, voice)
    else:
        word = Word(said.content, start, end, delimiter, bool(punctuation and item.is_eos))
        if last is None or last.voice != voice or start - last.end >= _PAUSE:
            track.phrases.append(Phrase(voice))
        track.phrases[-1].words.append(word)
        track.provisional = punctuation
    if not punctuation:
        track.provisional = False
    track.glued = attaches in ("next", "both")


def _name_last_word(track: _Track, voice: str) -> None:
    """Assign a word that starts with punctuation, like `¿Qué`, to the voice of its letters."""
    last = track.phrases[-1]
    if last.voice == voice:
        return
    word = last.words.pop()
    if not last.words:
        track.phrases.pop()
    if track.phrases and track.phrases[-1].voice == voice and word.start - track.phrases[-1].end < _PAUSE:
        track.phrases[-1].words.append(word)
    else:
        track.phrases.append(Phrase(voice, [word]))


def _voice(channel: str | None, speaker: str | None) -> str:
    """Return the display name of a voice: `Speaker 1` for `S1`, `Channel 2` for `channel_2`, other labels unchanged."""
    parts = []
    if channel and (label := _clean(channel)):
        parts.append(re.sub(r"\Achannel_(\d+)\Z", r"Channel \1", label))
    if speaker and speaker != _UNKNOWN_SPEAKER and (label := _clean(speaker)):
        parts.append(re.sub(r"\AS(\d+)\Z", r"Speaker \1", label))
    return ", ".join(parts)


def _clean(text: str | None) -> str:
    """Turn a text into one line: no line breaks, no control characters."""
    text = text or ""
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c.isspace() or c in _JOINERS else "\ufffd" for c in text)
    return " ".join(text.split())


_JOINERS = "\u200c\u200d\u200e\u200f\u00ad"
"""Invisible characters that Persian, Hindi, emoji and right-to-left text need."""
