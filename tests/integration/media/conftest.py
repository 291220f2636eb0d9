"""Makes short recordings in any container, with PyAV."""

import av
import numpy as np
import pytest

from watcher.media import Prober


def make(
    path, container, codec, *, seconds=1.0, rate=16000, layout="mono", tracks=1, video=None, options=None, longer=0.0
):
    """Write a tone of `seconds`, in `tracks` equal sound tracks, perhaps with a picture that moves on for `longer`."""
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        picture = None
        if video:
            picture = out.add_stream(video, rate=25)
            picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        streams = []
        for _ in range(tracks):
            stream = out.add_stream(codec, rate=rate)
            stream.codec_context.layout = layout
            if not codec.startswith(("pcm", "flac", "adpcm", "alac", "tta", "wavpack", "g7")):
                stream.codec_context.bit_rate = 12_200 if "amr" in codec else 64_000
            streams.append(stream)
        if picture:
            for _ in range(int(25 * (seconds + longer))):
                image = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                out.mux(picture.encode(frame))
            out.mux(picture.encode(None))
        for stream in streams:
            write(out, stream, (np.sin(np.arange(int(seconds * rate)) * 0.1) * 8000).astype(np.int16), rate, layout)
    return path


def write(out, stream, wave, rate, layout):
    """Encode samples into a stream, the same on every channel."""
    channels = av.AudioLayout(layout).nb_channels
    frame = av.AudioFrame.from_ndarray(np.repeat(wave, channels).reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler(format=stream.codec_context.format.name, layout=layout, rate=rate)
    fifo = av.AudioFifo()
    for piece in resampler.resample(frame):
        piece.pts = None
        fifo.write(piece)
    size = stream.codec_context.frame_size or 1024
    while (piece := fifo.read(size)) or (piece := fifo.read(size, partial=True)):
        out.mux(stream.encode(piece))
    out.mux(stream.encode(None))


@pytest.fixture
async def prober():
    async with Prober() as made:
        yield made
