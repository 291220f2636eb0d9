"""The child process that opens media files: a hostile one can hurt only this process, and only so far.

Run as a file, not as a module, so that it imports nothing of Dropscribe and stays small. It reads one JSON
request per line on standard input and answers on standard output. It ends when its input does, which is when
its parent ends, however that was killed.

FFmpeg sees a descriptor that is open already: the only protocol it may use is `fd`, the only formats those
listed here. A playlist that points at other files or addresses is refused as unknown data.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import re
import signal
import stat
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import av
import av.error

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av.container import InputContainer

FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dss,dts,dtshd,dv,eac3,flac,flv,gxf,ivf,loas,m4v,"
    "matroska,webm,mlp,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,mpegvideo,mxf,nsv,nut,ogg,oma,qcp,rm,"
    "sln,sox,tak,truehd,tta,voc,vqf,w64,wav,wsaud,wtv,wv,xwma"
)
"""Demuxers that may be used: containers of sound or film in one file; no playlists, images or devices."""

_OPTIONS = {"protocol_whitelist": "fd", "format_whitelist": FORMATS}
_ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}  # noqa: PLR2004
"""For files whose tags are not UTF-8. PyAV 19 opens them by itself and no longer accepts this argument."""
_FIRST_PACKETS = 400
_FRAMES_ONLY = frozenset(
    {"aac", "ac3", "amr", "amrnb", "amrwb", "dts", "dtshd", "eac3", "loas", "mlp", "mp3", "truehd"}
)
"""Formats without a header: FFmpeg guesses their length from the bit rate of the first frames, and may be far off."""
_TOLD_IN_HEADER = frozenset({"flv", "tta", "wv"})
"""Formats whose header tells how long they are, and whose size says nothing about it."""
_MOST_PACKETS = 200_000
"""So many are read to learn how long a recording is: an hour of sound or more, in a few seconds."""
_READ_THROUGH = 512 << 20
"""Bytes that are read for it where there is no index to jump by."""
_TAGGED_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
"""How Matroska tells a track's length, e.g. `00:00:07.164000000`."""
_MAGIC = (
    (0, b"RIFF"),
    (0, b"RIFX"),
    (0, b"RF64"),
    (0, b"FORM"),
    (0, b"fLaC"),
    (0, b"OggS"),
    (0, b"ID3"),
    (0, b"#!AMR"),
    (0, b"caff"),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"\x30\x26\xb2\x75"),
    (0, b"FLV\x01"),
    (0, b"\x00\x00\x01\xba"),
    (0, b".snd"),
    (0, b"wvpk"),
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (4, b"wide"),
)


class _Refused(Exception):
    """The file can't be used: `kind` is the name of one of Dropscribe's errors."""

    def __init__(self, kind: str, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.kind = kind
        self.fix = fix


_OURS = (
    av.error.EncoderNotFoundError,
    av.error.FilterNotFoundError,
    av.error.MuxerNotFoundError,
    av.error.OptionNotFoundError,
    av.error.ProtocolNotFoundError,
    av.error.PyAVCallbackError,
)
"""FFmpeg's errors that say nothing of the recording: its build lacks something, or we use it wrongly."""
_TOO_MUCH_MEMORY = ("asks for more memory than any recording needs", "Convert it, e.g. to wav.")
_LONGEST_TRACEBACK = 8000


@contextlib.contextmanager
def _opened(path: str, given: int | None = None) -> Iterator[tuple[InputContainer, int]]:
    """Open a media file, or use the open one that was given; yield the container and the file's size in bytes."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags) if given is None else given
    except OSError as error:
        raise _unreadable(error) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _Refused("Unreadable", "is not a regular file", "Put a recording in its place.")
        if found.st_size == 0:
            raise _Refused("BrokenMedia", "is empty (0 bytes)", "Copy or record it again.")
        try:
            container = av.open("fd:", options={**_OPTIONS, "fd": str(descriptor)}, **_ANY_TAGS)
        except _OURS:
            raise
        except av.error.FFmpegError as error:
            raise _broken(descriptor, error) from None
        with container:
            yield container, found.st_size
    finally:
        os.close(descriptor)


def _unreadable(error: OSError) -> _Refused:
    if error.errno == errno.ENOENT:
        return _Refused("Unreadable", "is no longer there", "Put it back, and it is taken up again.")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return _Refused("Unreadable", "can't be read: permission denied", "Give read permission, then retry.")
    return _Refused("Unreadable", f"can't be read ({error.strerror})", "Check the disk or share it is on.")


def _broken(descriptor: int, error: Exception) -> _Refused:
    """Tell damaged media from what never was any."""
    if isinstance(error, MemoryError):
        return _Refused("LimitExceeded", *_TOO_MUCH_MEMORY)
    if isinstance(error, OSError) and error.errno in {errno.EIO, errno.ESTALE}:
        return _unreadable(error)
    os.lseek(descriptor, 0, os.SEEK_SET)
    head = os.read(descriptor, 64)
    if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return _Refused(
            "BrokenMedia",
            "is damaged or cut short: its container can't be read",
            "Copy it again from where it came from, or repair it.",
        )
    return _Refused("NotARecording", "holds no audio or video that can be read", "Check what it is, or delete it.")


def probe(path: str) -> dict[str, Any]:
    """Find out what a file holds, and that its sound can be decoded."""
    with _opened(path) as (container, size):
        if not container.streams.audio:
            raise _Refused("NotARecording", "has no sound track", "Check that it was recorded with sound.")
        stream = container.streams.best("audio") or container.streams.audio[0]
        context = stream.codec_context
        info = {
            "container": container.format.name,
            "codec": context.name if context is not None else "unknown",
            "duration": _duration(container, stream),
            "channels": getattr(context, "channels", 0),
            "sample_rate": getattr(context, "sample_rate", 0) or 0,
            "audio_streams": len(container.streams.audio),
            "has_video": any(not _is_picture(video) for video in container.streams.video),
        }
        _decode_first(container, stream, info)
        if container.format.name in _FRAMES_ONLY:
            info["duration"] = _measured(container, stream)
        elif container.format.name in _TOLD_IN_HEADER and size <= _READ_THROUGH:
            info["cut_short"] = _is_cut_short(container, stream)
    return info


def _is_picture(stream: Any) -> bool:  # noqa: ANN401 - PyAV's stubs lag behind
    """Whether a video stream is only a cover."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _duration(container: InputContainer, stream: Any) -> float | None:  # noqa: ANN401 - see above
    """The sound's own length where it is told, in seconds; the container's is that of the picture, if longer."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if told := _TAGGED_DURATION.fullmatch(stream.metadata.get("DURATION", "")):
        return int(told[1]) * 3600 + int(told[2]) * 60 + float(told[3])
    if container.duration is not None and container.duration > 0:
        return float(container.duration / av.time_base)
    return None


def _measured(container: InputContainer, stream: Any) -> float | None:  # noqa: ANN401 - see above
    """Read on to the end, decoding nothing; return where that is, in seconds, or None if that would take too long."""
    end = 0.0
    for count, at in enumerate(_ends(container, stream)):
        if count == _MOST_PACKETS:
            return None
        end = at
    return end or None


def _is_cut_short(container: InputContainer, stream: Any) -> bool:  # noqa: ANN401 - see above
    """Whether sound is missing at the end of what the header promises.

    Headers are vague: what lacks no more than 5 % and 2 s may be whole, as it may where a transcript is looked at.
    """
    wanted = (_duration(container, stream) or 0.0) * 0.95 - 2.0
    if wanted <= 0:
        return False
    # Where it can't seek, it is read up to there.
    with contextlib.suppress(av.error.FFmpegError):
        container.seek(int(wanted * av.time_base) + (container.start_time or 0))
    return not any(at >= wanted for at in _ends(container, stream))


def _ends(container: InputContainer, stream: Any) -> Iterator[float]:  # noqa: ANN401 - see above
    """Read packets as far as it goes; yield where each ends, in seconds from the start."""
    start = stream.start_time or 0
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            if packet.pts is not None:
                yield float((packet.pts + (packet.duration or 0) - start) * stream.time_base)


def _decode_first(container: InputContainer, stream: Any, info: dict[str, Any]) -> None:  # noqa: ANN401 - see above
    """Decode until there is sound: a header alone, or noise after a header, is no recording."""
    failed = 0
    damaged = _Refused(
        "BrokenMedia",
        "is damaged or cut short: no sound can be decoded from it",
        "Copy it again from where it came from, or repair it.",
    )
    if stream.codec_context is None:
        raise _Refused("NotARecording", "has a sound track in an unknown codec", "Convert it, e.g. to wav.")
    try:
        for count, packet in enumerate(container.demux(stream)):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                failed += 1
                frames = []
            for frame in frames:
                info["channels"] = info["channels"] or frame.layout.nb_channels
                info["sample_rate"] = info["sample_rate"] or frame.sample_rate
                return
            if count > _FIRST_PACKETS:
                break
    except av.error.FFmpegError:
        raise damaged from None
    raise damaged


def prepare(
    path: str,
    target: str,
    channels: str,
    rate: int,
    say: Callable[[float], None],
    *,
    descriptor: int | None = None,
) -> dict[str, Any]:
    """Extract the sound of a recording into a FLAC file, streamed.

    Args:
        path: the recording.
        target: the file to write; replaced when it is there.
        channels: `mono`, or `all` for every channel of every track.
        rate: Hz.
        say: told how far it is, 0 to 1.
        descriptor: the recording, open; None opens `path`.
    """
    with _opened(path, descriptor) as (container, _):
        if not container.streams.audio:
            raise _Refused("NotARecording", "has no sound track", "Check that it was recorded with sound.")
        stream = container.streams.best("audio") or container.streams.audio[0]
        total = _duration(container, stream)
        layout = "mono" if channels == "mono" else _flac_layout(stream)
        try:
            with av.open(target, "w", format="flac") as out:

                def tell(at: float) -> None:
                    say(at / total if total else 0.0)

                samples = _transcode(container, stream, out, layout=layout, rate=rate, say=tell)
        except av.error.FFmpegError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.ENOENT, errno.EFBIG}:
                raise OSError(error.errno, os.strerror(error.errno), target) from None
            raise
    if not samples:
        raise _Refused("BrokenMedia", "is damaged: no sound can be decoded from it", "Copy it again, or repair it.")
    descriptor = os.open(target, os.O_RDWR)
    try:
        os.fsync(descriptor)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    return {"size": size, "duration": samples / rate}


def _flac_layout(stream: Any) -> str:  # noqa: ANN401 - see above
    """Keep the channels, as far as FLAC has a layout for them (up to 8)."""
    names = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
    return names.get(stream.codec_context.channels, "7.1" if stream.codec_context.channels > 8 else "mono")  # noqa: PLR2004


def _transcode(
    container: InputContainer,
    stream: Any,  # noqa: ANN401 - see above
    out: Any,  # noqa: ANN401 - see above
    *,
    layout: str,
    rate: int,
    say: Callable[[float], None],
) -> int:
    """Decode, resample and encode packet by packet; return the number of samples per channel."""
    target = out.add_stream("flac", rate=rate)
    target.codec_context.layout = layout
    target.codec_context.format = "s16"
    resampler = av.AudioResampler(format="s16", layout=layout, rate=rate)
    samples = 0
    said = -10.0
    start = float(stream.start_time * stream.time_base) if stream.start_time else 0.0
    for frame in _frames(container, stream):
        if frame.pts is not None and frame.time - start - said >= 1.0:
            said = frame.time - start
            say(max(0.0, said))
        frame.pts = None  # gaps and jumps in the clock of a recording don't concern the sound
        for piece in resampler.resample(frame):
            samples += piece.samples
            out.mux(target.encode(piece))
    for piece in resampler.resample(None) if samples else ():
        samples += piece.samples
        out.mux(target.encode(piece))
    if samples:
        out.mux(target.encode(None))
    return samples


def _frames(container: InputContainer, stream: Any) -> Iterator[Any]:  # noqa: ANN401 - see above
    """Decode a stream, passing over what is damaged."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except StopIteration:
            return
        except av.error.EOFError:
            return
        except av.error.InvalidDataError:
            continue
        yield from frames


if sys.platform == "win32":

    def _limit(memory: int) -> None:
        """Windows has no such limits; the parent's clock ends a process that takes too long."""

    def _limit_cpu(seconds: float) -> None:
        """See `_limit`."""

else:

    def _limit(memory: int) -> None:
        """Bound what this process may take."""
        for what, value in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, 64),
        ):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(what, (value, resource.getrlimit(what)[1]))

    def _limit_cpu(seconds: float) -> None:
        """Allow so many seconds of CPU from now on; the kernel ends a process that takes more."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + seconds) + 1
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(request: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    try:
        _limit_cpu(request["cpu"])
        if request["do"] == "probe":
            return {"ok": probe(request["path"])}
        return {
            "ok": prepare(
                request["path"],
                request["target"],
                request["channels"],
                request["rate"],
                lambda part: send({"progress": min(part, 1.0)}),
                descriptor=request.get("descriptor"),
            ),
        }
    except _Refused as refused:
        return {"error": refused.kind, "what": str(refused), "fix": refused.fix}
    except MemoryError:
        what, fix = _TOO_MUCH_MEMORY
        return {"error": "LimitExceeded", "what": what, "fix": fix}
    except _OURS as error:
        return _internal(error)
    except av.error.FFmpegError as error:
        what = f"is damaged ({error.strerror})"
        return {"error": "BrokenMedia", "what": what, "fix": "Copy it again, or repair it."}
    except OSError as error:
        return {"error": "OSError", "errno": error.errno, "what": error.strerror or str(error), "fix": ""}
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not look like a damaged recording
        return _internal(error)


def _internal(error: Exception) -> dict[str, Any]:
    what = f"{type(error).__name__}: {error}"[:_LONGEST_TRACEBACK]
    return {"error": "InternalError", "what": what, "traceback": traceback.format_exc()[-_LONGEST_TRACEBACK:]}


def _read_requests(into: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Read requests until the parent is gone, then end at once, whatever is being done."""
    for line in sys.stdin.buffer:
        into.put(json.loads(line))
    os._exit(0)


def main() -> None:
    """Answer requests until the input ends."""
    # Ctrl-C in a terminal reaches the whole group. Stopping is the parent's business: to it, a worker that died of the
    # key would look like one that a damaged recording crashed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(int(sys.argv[1]))
    av.logging.set_level(None)
    # Whatever a library prints must not get between the answers.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message).encode("ascii") + b"\n")

    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    send({"ready": True})
    while True:
        request = requests.get()
        send(_answer(request, send))


if __name__ == "__main__":
    main()
