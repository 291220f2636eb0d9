"""Media: how fast recordings are probed, and what preparing a film of 1 GB takes and saves."""

from __future__ import annotations

import asyncio
import tempfile
import time
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

from watcher.media import Prober, prepare

TINY = 2000
FILM_SECONDS = 1800
FILM_BYTES = 1_000_000_000
_WIDTH, _HEIGHT = 1280, 720


def _film(path: Path) -> None:
    """Half an hour of sound under pictures that nothing compresses, 1 GB together."""
    noise = np.random.default_rng(1).integers(0, 255, (_HEIGHT * 3 // 2, _WIDTH), dtype=np.uint8)
    frames = FILM_BYTES // noise.nbytes
    rng = np.random.default_rng(2)
    with av.open(str(path), "w", format="matroska") as out:
        video = out.add_stream("rawvideo", rate=25)
        video.width, video.height, video.pix_fmt = _WIDTH, _HEIGHT, "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        sound = out.add_stream("libmp3lame", rate=16000)
        sound.codec_context.layout = "stereo"
        sound.codec_context.bit_rate = 128_000
        size = sound.codec_context.frame_size or 576
        pictures = 0
        for start in range(0, FILM_SECONDS * 16000, size):
            while pictures * FILM_SECONDS / frames <= start / 16000 and pictures < frames:
                picture = av.VideoFrame.from_ndarray(noise, format="yuv420p")
                picture.pts = int(pictures * FILM_SECONDS / frames * 1000)
                picture.time_base = Fraction(1, 1000)
                out.mux(video.encode(picture))
                pictures += 1
            samples = rng.integers(-6000, 6000, (2, size), dtype=np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16p", layout="stereo")
            frame.sample_rate, frame.pts = 16000, start
            frame.time_base = Fraction(1, 16000)
            out.mux(sound.encode(frame))
        out.mux(video.encode(None))
        out.mux(sound.encode(None))


async def _probing(folder: Path) -> tuple[float, float, int]:
    """Seconds of the first probe, probes a second after it, bytes that one child holds."""
    for number in range(TINY):
        with wave.open(str(folder / f"{number}.wav"), "wb") as out:
            out.setparams((1, 2, 16000, 0, "NONE", ""))
            out.writeframes(bytes(3200))
    async with Prober() as prober:
        began = time.monotonic()
        await prober.probe(folder / "0.wav")
        first = time.monotonic() - began
        began = time.monotonic()
        await asyncio.gather(*(prober.probe(folder / f"{number}.wav") for number in range(TINY)))
        taken = time.monotonic() - began
        [child, *_] = psutil.Process().children()
        memory = child.memory_info().rss
    return first, TINY / taken, memory


async def _preparing(film: Path, target: Path) -> tuple[float, int, int]:
    """Seconds, most bytes of memory of the child, bytes of the result."""
    task = asyncio.create_task(prepare(film, target))
    began = time.monotonic()
    most = 0
    while not task.done():
        for child in psutil.Process().children():
            try:
                most = max(most, child.memory_info().rss)
            except psutil.NoSuchProcess:
                continue
        await asyncio.sleep(0.05)
    prepared = await task
    return time.monotonic() - began, most, prepared.size


def run() -> list[tuple[str, str, str]]:
    """Measure everything; (what, measured, goal) per row."""
    with tempfile.TemporaryDirectory(prefix="dropscribe-bench-") as name:
        folder = Path(name)
        first, rate, memory = asyncio.run(_probing(folder))
        _film(folder / "film.mkv")
        size = (folder / "film.mkv").stat().st_size
        seconds, most, after = asyncio.run(_preparing(folder / "film.mkv", folder / "film.flac"))
    return [
        ("first probe, starting the child", f"{first:.2f} s", "told"),
        (f"probes of {TINY:,} tiny wavs", f"{rate:,.0f} /s", ">= 500 /s"),
        ("memory of a child that probes", f"{memory / 1e6:.0f} MB", "told; gone when idle"),
        (f"preparing a film of {size / 1e9:.2f} GB, {FILM_SECONDS // 60} min of noise", f"{seconds:.1f} s", "told"),
        ("... most memory of the child", f"{most / 1e6:.0f} MB", "<= 150 MB"),
        ("... to upload before -> after", f"{size / 1e6:,.0f} -> {after / 1e6:,.0f} MB", "a few dozen MB"),
    ]


if __name__ == "__main__":
    for row in run():
        print("  ".join(row))
