"""Makes WebVTT captions (https://www.w3.org/TR/webvtt1/), with voices."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.transcripts.jsonv2 import join

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watcher.transcripts.jsonv2 import Phrase, Transcript, Word

__all__ = ["Cue", "cues", "to_webvtt"]

# Limits for readable captions, from Netflix' Timed Text Style Guide, general requirements.
LINE_COLUMNS = 42
CUE_LINES = 2
CUE_SECONDS = 7.0
SHORTEST_CUE = 5 / 6
_MILLISECOND = 0.001


@dataclass(slots=True)
class Cue:
    """One caption on the screen; `start` and `end` in seconds, `end` is after `start`."""

    start: float
    end: float
    voice: str
    lines: tuple[str, ...]


def to_webvtt(transcript: Transcript) -> str:
    """Make a WebVTT file."""
    blocks = ["WEBVTT"]
    for cue in cues(transcript):
        text = "\n".join(map(_escape, cue.lines))
        voice = f"<v {_escape(cue.voice)}>" if cue.voice else ""
        blocks.append(f"{_timestamp(cue.start)} --> {_timestamp(cue.end)}\n{voice}{text}")
    return "\n\n".join(blocks) + "\n"


def cues(transcript: Transcript) -> list[Cue]:
    """Split a transcript into captions, ordered by their start."""
    found = [cue for phrase in transcript.phrases for cue in _phrase_cues(phrase)]
    found.sort(key=lambda cue: cue.start)
    _time(found)
    return found


def _phrase_cues(phrase: Phrase) -> list[Cue]:
    parts: list[list[Word]] = []
    for word in phrase.words:
        if not parts or _is_full(parts[-1], word):
            parts.append([])
        parts[-1].append(word)
    return [Cue(part[0].start, max(word.end for word in part), phrase.voice, _lines(part)) for part in parts]


def _is_full(words: Sequence[Word], word: Word) -> bool:
    """Whether a word starts a new caption: after a sentence, or if the lines or the time are used up."""
    if word.end - words[0].start > CUE_SECONDS or len(_wrap([*words, word], LINE_COLUMNS)) > CUE_LINES:
        return True
    return words[-1].ends_sentence and _columns(join(words)) >= LINE_COLUMNS // 2


def _lines(words: Sequence[Word]) -> tuple[str, ...]:
    """Wrap into lines of about the same length."""
    fewest = len(_wrap(words, LINE_COLUMNS))
    columns = LINE_COLUMNS
    while columns > 1 and len(_wrap(words, columns - 1)) == fewest:
        columns -= 1
    return tuple(_wrap(words, columns))


def _wrap(words: Iterable[Word], columns: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = lines[-1] + word.delimiter + word.text if lines else ""
        if lines and _columns(longer) <= columns:
            lines[-1] = longer
        else:
            lines.append(word.text)
    return lines


def _columns(text: str) -> int:
    """Width on the screen: Chinese, Japanese and Korean letters take two columns, accents none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def _time(found: Sequence[Cue]) -> None:
    """Extend short captions, but not into the next one of the same voice."""
    following: dict[str, float] = {}
    for cue in reversed(found):
        limit = following.get(cue.voice, float("inf"))
        cue.end = max(min(max(cue.end, cue.start + SHORTEST_CUE), limit), cue.start + _MILLISECOND)
        following[cue.voice] = cue.start


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _timestamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds / 1000:06.3f}"
