"""Recognition on a real Dask cluster of processes on this machine."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import psutil
import pytest

from tests.support.conversation import STAND_IN, decode, write_wav
from tests.support.waiting import until

CLUSTER = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture
def cluster(tmp_path):
    program = tmp_path / "cluster.py"
    program.write_text(CLUSTER, encoding="utf-8")
    with (tmp_path / "cluster.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=tmp_path,
            env={**os.environ, **STAND_IN},
        )
    with process:
        yield process, process.stdout.readline().decode().strip()
        process.stdin.close()


@pytest.fixture
def long_recording(tmp_path):
    """A recording of several parts, in which two voices take turns: one of them is the other, but softer."""
    reading = decode("dashwood.flac")
    return write_wav(tmp_path / "long.wav", np.concatenate([*(reading, reading / 10) * 3, reading]))


def words(api, job):
    return [
        (result["start_time"], result["end_time"], *(result["alternatives"][0][key] for key in ("content", "speaker")))
        for result in api.transcript(job)["results"]
    ]


def busiest(process):
    """The cluster's worker that is working."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found.append((child.cpu_times().user, child))
    return max(found, key=lambda item: item[0])


@pytest.mark.slow
def test_a_cluster_finds_the_same_words_even_when_a_worker_dies(start_server, cluster, long_recording, tmp_path):
    process, address = cluster
    local = start_server(data_dir=tmp_path / "local", environment=STAND_IN)
    alone = local.done(long_recording, diarization="speaker")
    spread = start_server("--cluster", address, data_dir=tmp_path / "spread", environment=STAND_IN)
    job_id = spread.submit(long_recording, diarization="speaker").json()["id"]
    until(lambda: list((tmp_path / "spread" / "parts").glob("*/000001")) and busiest(process)[0] >= 3.0)
    busiest(process)[1].kill()
    job = spread.get(f"jobs/{job_id}", params={"wait": 60}).json()["job"]
    assert job["status"] == "done"
    assert words(spread, job) == words(local, alone)
    assert len(words(spread, job)) > 350
    assert {word[3] for word in words(spread, job)} == {"S1", "S2"}  # and not S3, S4, … in later parts
    assert list((tmp_path / "spread" / "parts").iterdir()) == []


def test_a_cluster_that_is_not_there_is_told(tmp_path):
    command = [sys.executable, "-m", "service.batch_server", "--data-dir", str(tmp_path / "data")]
    found = subprocess.run(
        [*command, "--cluster", "tcp://127.0.0.1:1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 1
    assert "tcp://127.0.0.1:1" in found.stderr
