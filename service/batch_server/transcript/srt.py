"""Writes transcripts as srt: subtitles of limited size that end at the ends of sentences and at pauses."""

from collections.abc import Iterable, Iterator
from typing import Final

from service.batch_server.transcript.json_v2 import Result, Transcript
from service.batch_server.transcript.txt import flow, voice

# https://docs.speechmatics.com/speech-to-text/batch/output: the defaults of srt_overrides.
MAX_LINE_LENGTH: Final = 37
MAX_LINES: Final = 2
_PAUSE: Final = 2.0
_LONGEST: Final = 7.0  # seconds that a subtitle is shown at most: what people read comfortably
_SHORTEST: Final = 0.5  # and at least, if the next one leaves room


def render(transcript: Transcript) -> str:
    """Render a transcript as SubRip subtitles."""
    limits = transcript.metadata.output_config.srt_overrides
    delimiter = transcript.metadata.language_pack_info.word_delimiter
    line_length = limits.max_line_length or MAX_LINE_LENGTH
    lines = limits.max_lines or MAX_LINES
    sections = list(_sections(transcript.results, delimiter, line_length, lines))
    blocks: list[str] = []
    last_voice = ""
    for number, section in enumerate(sections, start=1):
        start = section[0][0].start_time
        end = max(result.end_time for unit in section for result in unit)
        room = sections[number][0][0].start_time if number < len(sections) else end + _SHORTEST
        end = max(end, min(start + _SHORTEST, room))
        text = _fold([flow(unit, delimiter) for unit in section], delimiter, line_length)
        who = voice(section[0][0]) if transcript.diarized else ""
        heading = [f"{who}:"] if who != last_voice else []
        last_voice = who
        blocks.append("\n".join([str(number), f"{_clock(start)} --> {_clock(end)}", *heading, *text]) + "\n")
    return "\n".join(blocks)


def _units(results: Iterable[Result]) -> Iterator[list[Result]]:
    """Group every word with the marks that attach to it."""
    unit: list[Result] = []
    for result in results:
        attaches = result.attaches_to in ("previous", "both")
        if unit and not attaches and unit[-1].attaches_to not in ("next", "both"):
            yield unit
            unit = []
        unit.append(result)
    if unit:
        yield unit


def _sections(results: Iterable[Result], delimiter: str, line_length: int, lines: int) -> Iterator[list[list[Result]]]:
    """Group units into subtitles."""
    section: list[list[Result]] = []
    for unit in _units(results):
        if section and not _fits(section, unit, delimiter, line_length, lines):
            yield section
            section = []
        section.append(unit)
    if section:
        yield section


def _fits(section: list[list[Result]], unit: list[Result], delimiter: str, line_length: int, lines: int) -> bool:
    last = section[-1][-1]
    if last.is_eos or voice(last) != voice(unit[0]):
        return False
    if unit[0].start_time - last.end_time > _PAUSE or unit[-1].end_time - section[0][0].start_time > _LONGEST:
        return False
    return len(_fold([flow(part, delimiter) for part in [*section, unit]], delimiter, line_length)) <= lines


def _fold(words: Iterable[str], delimiter: str, line_length: int) -> list[str]:
    """Fill lines with words; only a word longer than a line exceeds the length."""
    folded: list[str] = []
    for word in words:
        if folded and len(folded[-1]) + len(delimiter) + len(word) <= line_length:
            folded[-1] += delimiter + word
        else:
            folded.append(word)
    return folded


def _clock(seconds: float) -> str:
    millis = round(seconds * 1000)
    return f"{millis // 3_600_000:02}:{millis // 60_000 % 60:02}:{millis // 1000 % 60:02},{millis % 1000:03}"
