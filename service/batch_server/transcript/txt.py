"""Writes transcripts as plain text, with a heading per speaker or channel if there are labels."""

import itertools
from collections.abc import Iterable

from service.batch_server.transcript.json_v2 import Result, Transcript


def flow(results: Iterable[Result], delimiter: str) -> str:
    """Join words and marks.

    Args:
        results: Words and marks in order.
        delimiter: The separator of words in the language.
    """
    text: list[str] = []
    glued = True
    for result in results:
        attaches = result.attaches_to
        if not glued and attaches not in ("previous", "both"):
            text.append(delimiter)
        text.append(result.alternatives[0].content)
        glued = attaches in ("next", "both")
    return "".join(text)


def voice(result: Result) -> str:
    """Return the label of a word: its channel if there is one, else its speaker."""
    return result.channel if result.channel is not None else result.alternatives[0].speaker


def render(transcript: Transcript) -> str:
    """Render a transcript as text, ending with a line break unless it is empty."""
    delimiter = transcript.metadata.language_pack_info.word_delimiter
    if not transcript.results:
        return ""
    if not transcript.diarized:
        return flow(transcript.results, delimiter) + "\n"
    turns = itertools.groupby(transcript.results, key=voice)
    return "\n".join(f"SPEAKER: {who}\n{flow(results, delimiter)}\n" for who, results in turns)
