"""A recording's own bytes and its transcript, for the API: found by its opaque id, never by a path from outside."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

from starlette.responses import FileResponse

from service.control.responses import ApiError
from watcher.models import OutputFormat
from watcher.nofollow import IsALink, open_below, path_of_descriptor
from watcher.transcripts import jsonv2, needed_originals, render

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from watcher.models import Entry

__all__ = ["MEDIA_TYPES", "audio", "audio_type", "available", "make", "phrases"]

MEDIA_TYPES = {
    OutputFormat.TXT: "text/plain; charset=utf-8",
    OutputFormat.JSON_V2: "application/json",
    OutputFormat.SRT: "application/x-subrip; charset=utf-8",
    OutputFormat.VTT: "text/vtt; charset=utf-8",
    OutputFormat.MD: "text/markdown; charset=utf-8",
}
"""What each format is sent as."""

_AUDIO_TYPES = {
    ".aac": "audio/aac",
    ".aif": "audio/aiff",
    ".aiff": "audio/aiff",
    ".amr": "audio/amr",
    ".avi": "video/x-msvideo",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".m4b": "audio/mp4",
    ".mka": "audio/x-matroska",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".mpeg": "video/mpeg",
    ".mpg": "video/mpeg",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".wma": "audio/x-ms-wma",
}


def audio_type(entry: Entry) -> str:
    """Say what a recording is sent as: media, or bytes that no browser interprets."""
    return _AUDIO_TYPES.get(entry.path.suffix.lower(), "application/octet-stream")


async def audio(entry: Entry) -> Response:
    """The recording itself, whole or in ranges, read from an open file that is still what was transcribed.

    Raises:
        ApiError: it is gone, or it is something else now.
    """
    descriptor, found = await asyncio.to_thread(_open, entry)
    return _OpenFileResponse(descriptor, entry, found)


def _open(entry: Entry) -> tuple[int, os.stat_result]:
    something_else = ApiError(410, "Another file replaced the recording.", "Find the recording in the list.")
    try:
        descriptor = open_below(entry.root, entry.path)
    except IsALink:
        raise something_else from None
    except OSError:
        raise ApiError(
            410, "The recording is no longer where it was.", "Put it back to play it. Its transcript stays."
        ) from None
    found = os.fstat(descriptor)
    same = (found.st_size, found.st_mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns)
    if not stat.S_ISREG(found.st_mode) or not same:
        os.close(descriptor)
        raise something_else
    return descriptor, found


class _OpenFileResponse(FileResponse):
    """Sends an open file, and closes it afterwards."""

    def __init__(self, descriptor: int, entry: Entry, found: os.stat_result) -> None:
        path = path_of_descriptor(descriptor) or entry.path
        super().__init__(path, stat_result=found, media_type=audio_type(entry))
        self._descriptor = descriptor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


def available(originals: Collection[str]) -> list[str]:
    """Return the formats that can be made from what the service sent."""
    found = {OutputFormat(name) for name in originals}
    return [form.value for form in OutputFormat if found.issuperset(needed_originals([form]))]


def make(form: OutputFormat, originals: Mapping[str, bytes], *, title: str) -> bytes:
    """Make one format of a transcript.

    Raises:
        ApiError: there is no transcript, or it can't be made from what the service was asked for.
        DamagedTranscript: the stored json-v2 is none.
    """
    if not originals:
        raise ApiError(404, "There is no transcript of this recording yet.")
    if form.value not in available(originals):
        known = ", ".join(available(originals))
        raise ApiError(404, f"The service was not asked for {form.value}.", f"There is {known}.")
    return render(form, {OutputFormat(name): data for name, data in originals.items()}, title=title)


def phrases(json_v2: bytes) -> dict[str, Any]:
    """Make the JSON of a transcript that a player can follow: phrases, with their words and times in seconds."""
    transcript = jsonv2.read(json_v2)
    return {
        "duration": transcript.duration,
        "summary": transcript.summary,
        "chapters": [{"title": c.title, "summary": c.summary, "start": c.start} for c in transcript.chapters],
        "phrases": [
            {"voice": p.voice, "words": [[w.text, w.start, w.end, w.delimiter] for w in p.words]}
            for p in transcript.phrases
        ],
    }
