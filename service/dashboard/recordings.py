"""A recording's own bytes and its transcript, for the API: found by its opaque id, never by a path from outside."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

from service.dashboard.answers import ApiError
from watcher.models import OutputFormat
from watcher.transcripts import jsonv2, needed_originals, render

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from watcher.models import Entry

__all__ = ["MEDIA_TYPES", "audio_file", "audio_type", "available", "make", "phrases"]

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


async def audio_file(entry: Entry) -> os.stat_result:
    """Check that what is at the entry's path is still the recording that was transcribed.

    Raises:
        ApiError: it is gone, or it is something else now.
    """
    try:
        found = await asyncio.to_thread(os.lstat, entry.path)
    except OSError:
        raise ApiError(
            410, "The recording is not where it was.", "Put it back there to hear it; its transcript stays."
        ) from None
    same = (found.st_size, found.st_mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns)
    if not stat.S_ISREG(found.st_mode) or not same:
        raise ApiError(410, "Something else is where the recording was.", "Look for it in the list.")
    return found


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
