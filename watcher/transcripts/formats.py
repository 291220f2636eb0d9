"""From what the service sends to what is written: pure, bytes in, bytes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.models import OutputFormat
from watcher.transcripts.jsonv2 import read
from watcher.transcripts.markdown import to_markdown
from watcher.transcripts.webvtt import to_webvtt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["SERVICE_FORMATS", "needed_originals", "render", "transcript_duration"]

SERVICE_FORMATS = (OutputFormat.TXT, OutputFormat.JSON_V2, OutputFormat.SRT)
"""What the service makes itself; these bytes are written as they came."""


def needed_originals(formats: Iterable[OutputFormat]) -> tuple[OutputFormat, ...]:
    """Return which formats must be fetched from the service so that these can be written."""
    needed = {format_ if format_ in SERVICE_FORMATS else OutputFormat.JSON_V2 for format_ in formats}
    return tuple(format_ for format_ in SERVICE_FORMATS if format_ in needed)


def render(
    format: OutputFormat,  # noqa: A002 - the field's own word, as in `Output.format`
    originals: Mapping[OutputFormat, bytes],
    *,
    title: str | None = None,
) -> bytes:
    """Make one output.

    Args:
        format: which.
        originals: what the service sent, at least `needed_originals([format])`.
        title: for Markdown's heading; the name that the recording was submitted under by default.

    Raises:
        KeyError: a needed original is not among them.
        DamagedTranscript: the json-v2 is none.
    """
    if format in SERVICE_FORMATS:
        return originals[format]
    transcript = read(originals[OutputFormat.JSON_V2])
    if format is OutputFormat.VTT:
        return to_webvtt(transcript).encode()
    return to_markdown(transcript, title or transcript.name or "Transcript").encode()


def transcript_duration(json_v2: bytes) -> float | None:
    """Return how many seconds of the recording the service has heard; None where the transcript doesn't say.

    Raises:
        DamagedTranscript: it isn't json-v2.
    """
    return read(json_v2).duration
