"""Recognition on a real Dask cluster of processes on this machine."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import psutil
import pytest

from tests.support.conversation import RATE, STAND_IN, decode, write_wav
from tests.support.waiting import has_ended, until
from tests.support.words import error_rate

CLUSTER = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster of two workers: its process, and its scheduler's address."""
    folder = tmp_path_factory.mktemp("cluster")
    program = folder / "cluster.py"
    program.write_text(CLUSTER, encoding="utf-8")
    with (folder / "cluster.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env={**os.environ, **STAND_IN},
        )
    with process:
        yield process, process.stdout.readline().decode().strip()
        process.stdin.close()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A recording of two parts, in which two voices take turns: one of them is the other, but softer.

    After each turn is a pause long enough to begin another window; a part has eight of them.
    """
    turn = decode("leisure.flac")[: 3 * RATE]
    pause = np.zeros(round(3.5 * RATE), np.float32)
    turns = [turn if number % 2 else turn / 10 for number in range(9)]
    return write_wav(
        tmp_path_factory.mktemp("turns") / "turns.wav",
        np.concatenate([samples for turn in turns for samples in (turn, pause)]),
    )


def words(api, job):
    return [
        (result["start_time"], result["end_time"], *(result["alternatives"][0][key] for key in ("content", "speaker")))
        for result in api.transcript(job)["results"]
    ]


def text(words):
    return " ".join(content for _, _, content, _ in words)


def recognisers(process):
    """The processes that recognise on the cluster, by the process of the worker that they belong to."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "service.batch_server.workers.worker" in child.cmdline():
                found[child.parent()] = child
    return found


def at_work(process, api):
    """A worker of the cluster and its recogniser, once all parts of a recording were handed out and it is busy."""
    if not list((api.data_dir / "parts").glob("*/000001")):
        return None
    busy = [pair for pair in recognisers(process).items() if pair[1].cpu_percent(0.05) > 0]
    return busy[0] if busy else None


@pytest.fixture
def spread(start_server, cluster, tmp_path):
    """A server whose recordings are recognised on the cluster."""
    api = start_server("--cluster", cluster[1], data_dir=tmp_path / "spread", environment=STAND_IN)
    api.data_dir = tmp_path / "spread"
    return api


@pytest.mark.long
def test_a_cluster_finds_the_same_words_even_when_a_worker_dies(start_server, cluster, spread, recording, tmp_path):
    job_id = spread.submit(recording, diarization="speaker").json()["id"]
    worker, _ = until(lambda: at_work(cluster[0], spread))
    worker.kill()
    job = spread.ended(job_id)
    assert job["status"] == "done"
    alone = start_server(data_dir=tmp_path / "alone", environment=STAND_IN)
    heard = words(spread, job)
    expected = words(alone, alone.ended(alone.submit(recording, diarization="speaker").json()["id"]))
    assert len(heard) > 50
    # Other batches may round differently, so a few words may differ; a lost or repeated part would be half of them.
    assert error_rate([(text(expected), text(heard))]) < 0.2
    times = [start for start, *_ in heard]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(expected[-1][0], abs=2)
    assert {word[3] for word in heard} == {"S1", "S2"}  # and not S3, S4, … in later parts
    assert list((tmp_path / "spread" / "parts").iterdir()) == []


@pytest.mark.long
def test_a_job_that_is_deleted_stops_on_the_cluster(cluster, spread, recording):
    job_id = spread.submit(recording).json()["id"]
    _, recogniser = until(lambda: at_work(cluster[0], spread))
    assert spread.delete(f"jobs/{job_id}", params={"force": "true"}).status_code == 200
    until(lambda: has_ended(recogniser))
    until(lambda: not any((spread.data_dir / "parts").iterdir()))
    assert spread.get(f"jobs/{job_id}").status_code == 404


def test_a_cluster_that_is_not_there_is_told(tmp_path):
    command = [sys.executable, "-m", "service.batch_server", "--data-dir", str(tmp_path / "data")]
    found = subprocess.run(
        [*command, "--cluster", "tcp://127.0.0.1:1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 1
    assert "tcp://127.0.0.1:1" in found.stderr
