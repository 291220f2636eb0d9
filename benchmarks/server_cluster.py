"""One long recording on one, two, … Dask workers of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from distributed import Client

from benchmarks._server import client, long_recording, submit, text
from service.batch_server.recognition import entrypoints, messages
from tests.support.embedded_server import embedded_server

if TYPE_CHECKING:
    from collections.abc import Iterator

# A part is some four minutes of speech: there must be enough of them for every worker to have its share.
MINUTES = float(os.environ.get("BENCH_MINUTES", "30")) / 2
PROGRAM = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def _processor_times(cluster: int) -> list[float]:
    """How long each process of the cluster has been computing."""
    return [process.cpu_times().user for process in psutil.Process(cluster).children(recursive=True)]


def run() -> Iterator[tuple[str, str, str]]:
    """Measure with one worker, then with one more each time up to the number of cores."""
    alone = 0.0
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "cluster.py"
        program.write_text(PROGRAM, encoding="utf-8")
        long = long_recording(Path(folder) / "long.wav", MINUTES)
        for workers in range(1, (os.cpu_count() or 1) + 1):
            command = [sys.executable, str(program), str(workers)]
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as cluster:
                assert cluster.stdin is not None  # noqa: S101 - asked for above
                assert cluster.stdout is not None  # noqa: S101 - asked for above
                address = cluster.stdout.readline().decode().strip()
                data = Path(folder) / f"data{workers}"
                options = ("--cluster", address, "--threads", "1")
                with embedded_server(data, options=options) as server, client(server) as api:
                    with Client(address, set_as_default=False) as dask:
                        dask.run(entrypoints.warm_up, messages.ModelSource("tiny.en", 1, data))
                    before = _processor_times(cluster.pid)
                    started = time.perf_counter()
                    text(api, submit(api, long, wait=False)["id"])
                    seconds = time.perf_counter() - started
                    work = [after - then for then, after in zip(before, _processor_times(cluster.pid), strict=True)]
                cluster.stdin.close()
            alone = alone or seconds
            yield (
                f"{MINUTES:g} min of speech, {workers} Dask worker(s) with one core each",
                f"{MINUTES * 60 / seconds:.1f} x real time",
                f"{alone / seconds:.2f} x one worker",
            )
            yield (
                "… done by the busiest worker",
                f"{max(work) / sum(work):.0%}",
                "of the processor time; tells on a busy machine",
            )
