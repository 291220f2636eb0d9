"""Sound files for tests: speech, tones, noise and silence, as a wav or in any container and codec.

Samples are 16-bit integers: one row of them for every channel alike, or a column for each channel.
"""

from __future__ import annotations

import functools
import io
import random
import wave
from pathlib import Path

import av
import numpy as np

RECORDINGS = Path(__file__).parents[1] / "data"
"""The project's recordings of speech: 16 kHz, one channel."""
RATE = 16_000
_LOSSLESS = ("pcm", "flac", "adpcm", "alac", "tta", "wavpack", "g7")


def tone(count, *, rate=RATE, pitch=440.0):
    """A tone of so many samples."""
    return (8000 * np.sin(2 * np.pi * pitch * np.arange(count) / rate)).astype("<i2")


def noise(count, seed=1):
    """White noise at full amplitude: what compresses least."""
    return np.random.default_rng(seed).integers(-32768, 32768, count, dtype=np.int16)


def silence(count):
    return np.zeros(count, "<i2")


@functools.cache
def speech(name):
    """The samples of one of the project's recordings, e.g. `leisure.flac`."""
    samples = decoded(RECORDINGS / name)
    samples.flags.writeable = False  # all tests share them
    return samples


def windows(count):
    """Speech with so many pauses that it is recognised in `count` windows of a few words, 5.5 s each.

    It is what the recogniser needs least time for: eight windows are a batch, however short they are.
    """
    phrase = speech("leisure.flac")[: 2 * RATE]
    return np.tile(np.concatenate([phrase, silence(7 * RATE // 2)]), count)


def decoded(path):
    """The samples of a file with one channel."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)])


def wav(samples, *, rate=RATE):
    """The bytes of a wav with these samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())
    return buffer.getvalue()


def write_wav(path, samples, *, rate=RATE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav(samples, rate=rate))
    return path


def write_recording(path, seed, *, samples=160):
    """Write a small wav whose content the seed decides: any value with a `repr` of its own."""
    return write_wav(path, np.frombuffer(random.Random(repr(seed)).randbytes(2 * samples), "<i2"))


def encode(
    to,
    samples,
    container,
    codec,
    *,
    rate=RATE,
    track_rate=None,
    layout="mono",
    tracks=1,
    video=None,
    picture_seconds=0.0,
    options=None,
    codec_options=None,
):
    """Encode samples into a container; return `to`.

    Args:
        to: a path, or a binary file object.
        samples: what each sound track has.
        container: FFmpeg's name of the format.
        codec: FFmpeg's name of the encoder.
        rate: of the samples, in Hz.
        track_rate: of the tracks, in Hz; the same if not given.
        layout: of the channels.
        tracks: how many equal sound tracks.
        video: the encoder of a picture track, if there is to be one.
        picture_seconds: how long the picture is.
        options: of the container.
        codec_options: of the encoder of the sound.
    """
    target = str(to) if isinstance(to, Path) else to
    with av.open(target, "w", format=container, options=options or {}) as out:
        picture = None
        if video:
            picture = out.add_stream(video, rate=25)
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        streams = [_add_track(out, codec, track_rate or rate, layout, codec_options) for _ in range(tracks)]
        if picture:
            image = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
            for _ in range(int(25 * picture_seconds)):
                out.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            out.mux(picture.encode(None))
        for stream in streams:
            _write_track(out, stream, samples, rate, layout)
    return to


def _add_track(out, codec, rate, layout, options):
    stream = out.add_stream(codec, rate=rate, options=options or {})
    stream.codec_context.layout = layout
    if not codec.startswith(_LOSSLESS) and not options:
        stream.codec_context.bit_rate = 12_200 if "amr" in codec else 64_000
    return stream


def _write_track(out, stream, samples, rate, layout):
    channels = av.AudioLayout(layout).nb_channels
    if samples.ndim == 1:
        samples = np.repeat(samples, channels)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, "<i2").reshape(1, -1), "s16", layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler(
        format=stream.codec_context.format.name, layout=layout, rate=stream.codec_context.sample_rate
    )
    fifo = av.AudioFifo()
    for piece in resampler.resample(frame):
        piece.pts = None
        fifo.write(piece)
    size = stream.codec_context.frame_size or 1024
    while (piece := fifo.read(size)) or (piece := fifo.read(size, partial=True)):
        out.mux(stream.encode(piece))
    out.mux(stream.encode(None))
