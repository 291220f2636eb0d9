"""Makes Markdown (CommonMark) transcripts for reading."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watcher.transcripts.jsonv2 import join

if TYPE_CHECKING:
    from watcher.transcripts.jsonv2 import Transcript, Word

__all__ = ["to_markdown"]

_PARAGRAPH = 600
"""Characters after which a paragraph ends with the next sentence or pause."""

_LONGEST_PARAGRAPH = 4 * _PARAGRAPH
"""Characters after which it ends in any case."""

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#~&])")
_LIST_START = re.compile(r"\A(\d{1,9}(?=[.)])|(?=[-+=]))([-+=.)]?)")


def to_markdown(transcript: Transcript, title: str) -> str:
    """Make a Markdown document: title, summary and chapters if any, then the paragraphs with speakers and times.

    Args:
        transcript: the content.
        title: shown at the top.
    """
    blocks = [f"# {_escape(title)}"]
    if transcript.duration is not None:
        blocks.append(f"Length {_clock(transcript.duration)}")
    if transcript.summary:
        blocks += ["## Summary", _escape_start(transcript.summary)]
    if transcript.chapters:
        blocks.append("## Chapters")
    for chapter in transcript.chapters:
        blocks.append(f"**{_escape(chapter.title or 'Chapter')}** ({_clock(chapter.start)})")
        blocks += [_escape_start(chapter.summary)] if chapter.summary else []
    if transcript.summary or transcript.chapters:
        blocks.append("## Transcript")
    for voice, words in _paragraphs(transcript):
        who = f"**{_escape(voice)}** " if voice else ""
        blocks += [f"{who}({_clock(words[0].start)})", _escape_start(join(words))]
    if not transcript.phrases:
        blocks.append("*No speech was recognised.*")
    return "\n\n".join(blocks) + "\n"


def _paragraphs(transcript: Transcript) -> list[tuple[str, list[Word]]]:
    """Group the words of one voice into paragraphs of limited length."""
    paragraphs: list[tuple[str, list[Word]]] = []
    size = 0
    for phrase in transcript.phrases:
        for number, word in enumerate(phrase.words):
            if not paragraphs or paragraphs[-1][0] != phrase.voice or _is_over(paragraphs[-1][1], size, number):
                paragraphs.append((phrase.voice, []))
                size = 0
            paragraphs[-1][1].append(word)
            size += len(word.text) + len(word.delimiter)
    return paragraphs


def _is_over(words: list[Word], size: int, number: int) -> bool:
    """Whether a paragraph of this many characters ends before the given word of its phrase."""
    after_pause = number == 0
    return size >= _PARAGRAPH and (words[-1].ends_sentence or after_pause or size >= _LONGEST_PARAGRAPH)


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _escape_start(text: str) -> str:
    """Escape a paragraph, including a start that would turn it into a list or a heading."""
    return _LIST_START.sub(r"\1\\\2", _escape(text))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
