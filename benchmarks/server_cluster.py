"""One long recording on one, two, … Dask workers of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks._server import client, long_recording, submit, text
from tests.support.embedded_server import embedded_server

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES = float(os.environ.get("BENCH_MINUTES", "30")) / 3
PROGRAM = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


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
                options = ("--cluster", cluster.stdout.readline().decode().strip(), "--threads", "1")
                data = Path(folder) / f"data{workers}"
                with embedded_server(data, options=options) as server, client(server) as api:
                    text(api, submit(api, long, wait=False)["id"])  # every worker loads its model
                    started = time.perf_counter()
                    text(api, submit(api, long, wait=False)["id"])
                    seconds = time.perf_counter() - started
                cluster.stdin.close()
            alone = alone or seconds
            yield (
                f"{MINUTES:g} min of speech, {workers} Dask worker(s) with one core each",
                f"{MINUTES * 60 / seconds:.1f} x real time",
                f"{alone / seconds:.2f} x one worker",
            )
