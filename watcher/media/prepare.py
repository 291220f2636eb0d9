"""Decides whether the service accepts a recording as it is; if not, extracts its audio to a FLAC file.

The formats are those that Speechmatics lists for uploads
(https://docs.speechmatics.com/speech-to-text/batch/input: aac, amr, flac, m4a, mp3, mp4, mpeg, ogg, wav).
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from watcher.errors import ReadTimeout, describe_os_error
from watcher.media.child import WORKER, Child, ChildDied, ChildNotStarted, ChildTooSlow
from watcher.media.probe import SLOW, death_of, error_of, not_started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watcher.models import MediaInfo

__all__ = ["Limits", "Prepared", "needs_preparation", "prepare"]

_TAKEN_NAMES = "aac amr amrnb amrwb flac mov mp4 m4a 3gp 3g2 mj2 mp3 mpeg ogg wav"
_TAKEN = frozenset(_TAKEN_NAMES.split())
_CODECS_NAMES = (
    "aac alac amr_nb amr_wb amrnb amrwb flac libopus mp1 mp1float mp2 mp2float mp3 mp3float opus "
    "pcm_alaw pcm_f32le pcm_f64le pcm_mulaw pcm_s16be pcm_s16le pcm_s24le pcm_s32le pcm_u8 vorbis"
)
_CODECS = frozenset(_CODECS_NAMES.split())
_RELATIVES = frozenset({".mov", ".qt", ".3gp", ".3gpp", ".3g2", ".mj2", ".f4v"})
"""FFmpeg reads these with its mp4 demuxer, but the service's exhaustive list doesn't include them."""
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service accepts.

    Attributes:
        largest: bytes per upload. The cloud takes 1 GB.
        video_from: size in bytes from which a video's audio is extracted before sending.
    """

    largest: int = 1_000_000_000
    video_from: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recording's audio, ready for the service.

    Attributes:
        path: the FLAC file.
        size: bytes.
        duration: seconds.
    """

    path: Path
    size: int
    duration: float


def needs_preparation(info: MediaInfo, suffix: str, size: int, limits: Limits | None = None) -> str | None:
    """Decide whether a recording must be prepared. Pure.

    Args:
        info: what the probe found.
        suffix: its extension, with the dot.
        size: in bytes.
        limits: what the service accepts.

    Returns:
        Why, in words; None when it can go as it is.
    """
    limits = limits or Limits()
    if size > limits.largest:
        return f"It has {size / 1e9:.2f} GB, and the service takes {limits.largest / 1e9:.2f} GB at most."
    if not _TAKEN & set(info.container.split(",")) or suffix.lower() in _RELATIVES:
        return f"The service doesn't take {suffix.lstrip('.') or info.container} files ({info.container})."
    if info.codec not in _CODECS:
        return f"The service may not know the codec {info.codec}."
    if info.has_video and size >= limits.video_from:
        return "Only the sound of a film is needed."
    return None


async def prepare(
    path: Path,
    target: Path,
    *,
    descriptor: int | None = None,
    all_channels: bool = False,
    rate: int = 16_000,
    progress: Callable[[float], None] | None = None,
    stall: float = 120.0,
    memory: int = 2 * _GIB,
    script: Path = WORKER,
) -> Prepared:
    """Extract the audio of a recording to a FLAC file, in a child process, streamed.

    Args:
        path: the recording; it isn't changed.
        descriptor: the recording, open for reading, so that nothing swapped at `path` is read; None opens `path`.
        target: the FLAC file; it appears complete or not at all.
        all_channels: keep the channels (channel diarization) instead of mixing them into one.
        rate: Hz.
        progress: called with the fraction done, 0 to 1.
        stall: seconds without progress after which it is aborted.
        memory: bytes of address space for the child (POSIX).
        script: the program that the child runs.

    Raises:
        NotARecording: there is no sound in it.
        BrokenMedia: it is damaged.
        LimitExceeded: it takes more time or memory than any recording needs.
        Unreadable: it can't be read.
        ReadTimeout: reading it made no progress.
        NoSpace, NotWritable: the target can't be written.
        InternalError: Dropscribe itself failed.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    request = _request(path, part, channels="all" if all_channels else "mono", rate=rate)
    inherited = () if descriptor is None or sys.platform == "win32" else (descriptor,)
    if inherited:
        request["descriptor"] = descriptor
    try:
        child = await Child.start(memory=memory, inherited=inherited, script=script)
    except ChildNotStarted as error:
        raise not_started(path, error) from error
    try:
        answer = await child.ask(request, seconds=stall, progress=progress)
        if answer.get("error") == "OSError":
            raise describe_os_error(OSError(answer["errno"], answer["what"]), doing=f"write {target}")
        if "error" in answer:
            raise error_of(answer, path)
        part.replace(target)
    except ChildDied as death:
        raise death_of(path, death) from None
    except ChildTooSlow:
        raise ReadTimeout(f"Extracting the sound of {path} made no progress for {stall:g} s.", fix=SLOW) from None
    except OSError as error:
        raise describe_os_error(error, doing=f"write {target}") from None
    finally:
        await child.kill()
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    return Prepared(target, answer["ok"]["size"], answer["ok"]["duration"])


def _request(path: Path, part: Path, *, channels: str, rate: int) -> dict[str, Any]:
    places = {"path": os.fspath(path.absolute()), "target": os.fspath(part.absolute())}
    return {"do": "prepare", **places, "channels": channels, "rate": rate, "cpu": 24 * 3600.0}
