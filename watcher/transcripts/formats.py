"""Converts the service's results to output formats. Pure: bytes in, bytes out."""

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
"""Formats that the service delivers itself; their bytes are written unchanged."""


def needed_originals(formats: Iterable[OutputFormat]) -> tuple[OutputFormat, ...]:
    """Return the formats that must be fetched from the service to write the given ones."""
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
        format: the output's format.
        originals: the service's results, at least `needed_originals([format])`.
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
    """Return how many seconds of the recording the service processed; None if the transcript doesn't tell.

    Raises:
        DamagedTranscript: it isn't json-v2.
    """
    return read(json_v2).duration
