"""Decodes any container with an audio track into 16 kHz samples, one block at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import av
import av.error
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer

from service.batch_server.recognition.messages import AudioUnusable

SAMPLE_RATE: Final = 16_000
MAX_CHANNELS: Final = 8

# Containers that hold their own data. Playlists and scripts (hls, dash, concat, image2, sdp, …) are left out: opening
# one would open the other files or addresses that it names.
FORMATS: Final = (
    "3dostr", "3gp", "aa", "aac", "aax", "ac3", "ac4", "aiff", "alaw", "amr", "amrnb", "amrwb", "ape", "apm",
    "asf", "asf_o", "au", "avi", "bonk", "brstm", "bfstm", "caf", "daud", "dff", "dsf", "dts", "dtshd", "dv",
    "eac3", "epaf", "ea", "f32be", "f32le", "f4v", "flac", "flv", "gsm", "hca", "iff", "ilbc", "ircam",
    "kux", "laf", "live_flv", "loas", "m4a", "m4v", "matroska", "mj2", "mlp", "mmf", "mov", "mp2", "mp3",
    "mp4", "mpc", "mpc8", "mpeg", "mpegts", "mpegvideo", "mtv", "musx", "mxf", "nistsphere", "nut", "ogg",
    "oma", "osq", "pvf", "qcp", "qoa", "rm", "rso", "sds", "shn", "sox", "spdif", "sph", "swf", "tak",
    "truehd", "tta", "voc", "vqf", "w64", "wav", "webm", "wsaud", "wsd", "wtv", "wv", "wve", "xa", "xwma",
)  # fmt: skip

Samples = npt.NDArray[np.int16]

_OPTIONS: Final = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join([*FORMATS, "mov,mp4,m4a,3gp,3g2,mj2"]),
}

# For files whose tags are not UTF-8. PyAV 19 opens them by itself and no longer accepts this argument.
_ANY_TAGS: Final[dict[str, Any]] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}  # noqa: PLR2004


def blocks(path: Path, *, by_channel: bool, seconds: float) -> Iterator[Samples]:
    """Decode a file.

    Args:
        path: The file.
        by_channel: Whether to keep channels separate; otherwise they are mixed into one.
        seconds: Length of a block; the last one may be shorter, others slightly longer.

    Yields:
        Arrays of shape (channels, samples) at 16 kHz.

    Raises:
        AudioUnusable: If no audio can be decoded.
    """
    wanted = int(seconds * SAMPLE_RATE)
    pending: list[Samples] = []
    length = 0
    total = 0
    with _open(path) as container:
        for part in _resampled(container, by_channel=by_channel):
            pending.append(part)
            length += part.shape[1]
            total += part.shape[1]
            if length >= wanted:
                yield np.concatenate(pending, axis=1)
                pending, length = [], 0
    if pending:
        yield np.concatenate(pending, axis=1)
    if total == 0:
        raise AudioUnusable("The file has an audio track, but nothing in it could be decoded")


def stated_duration(path: Path) -> float | None:
    """Read the seconds of audio from a file's header, without decoding it; ``None`` if it doesn't say.

    Headers may be wrong: use this for showing progress only.

    Raises:
        AudioUnusable: If the file can't be opened.
    """
    with _open(path) as container:
        stream = container.streams.audio[0]
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return container.duration / av.time_base if container.duration else None


def _open(path: Path) -> InputContainer:
    if path.stat().st_size == 0:
        raise AudioUnusable("The file is empty (zero bytes)")
    try:
        container: InputContainer = av.open(str(path), mode="r", options=_OPTIONS, **_ANY_TAGS)
    except av.error.FFmpegError as error:  # any other error is a fault of ours or of the disk
        raise AudioUnusable(
            f"The file can't be opened as audio or video ({_reason(error)}); it may be incomplete, damaged or "
            "of another kind than its name says"
        ) from error
    if not container.streams.audio:
        container.close()
        raise AudioUnusable("The file has no audio track")
    return container


def _resampled(container: InputContainer, *, by_channel: bool) -> Iterator[Samples]:
    best = container.streams.best("audio")
    stream = best if isinstance(best, AudioStream) else container.streams.audio[0]
    channels = stream.layout.nb_channels if by_channel else 1
    if channels > MAX_CHANNELS:
        raise AudioUnusable(f"The file has {channels} channels; at most {MAX_CHANNELS} can be recognised separately")
    layout = "mono" if channels == 1 else stream.layout.name
    resampler: AudioResampler | None = None
    shape: tuple[str, str, int] | None = None
    for frame in _frames(container, stream.index):
        frame.pts = None  # gaps in the time stamps are not silence
        if shape != (now := (frame.format.name, frame.layout.name, frame.sample_rate)):
            # Some streams change their parameters midway; a resampler accepts only one kind of frame.
            yield from _arrays(resampler, None)
            resampler, shape = AudioResampler(format="s16p", layout=layout, rate=SAMPLE_RATE), now
        yield from _arrays(resampler, frame)
    yield from _arrays(resampler, None)


def _arrays(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[Samples]:
    if resampler is not None:
        for resampled in resampler.resample(frame):
            yield resampled.to_ndarray().astype(np.int16, copy=False)


def _frames(container: InputContainer, stream: int) -> Iterator[AudioFrame]:
    """Decode frame by frame; damaged packets are skipped, and a damaged end counts as the end."""
    packets = container.demux(container.streams[stream])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        try:
            for frame in packet.decode():
                if isinstance(frame, AudioFrame):
                    yield frame
        except av.error.FFmpegError:
            continue


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.replace("\n", " ")
