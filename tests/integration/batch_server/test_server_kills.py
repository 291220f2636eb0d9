"""SIGKILL at any time, and what is left on disk of recordings and transcripts that are to be gone."""

import itertools
import os
import random
import signal
import threading
import time

import httpx
import pytest

from tests.support.batch_clients import tone
from tests.support.waiting import until


def kill(api):
    os.kill(api.server.pid, signal.SIGKILL)


def files(tmp_path):
    return [path for path in (tmp_path / "data").glob("*/*") if path.is_file()]


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_while_recordings_come_every_one_is_done_once(start_server, tmp_path, seed):
    chance = random.Random(seed)
    recording = tone(1.0)
    references, answered = [], {}

    def submit(api, reference):
        try:
            answer = api.submit(recording, tracking={"reference": reference})
        except httpx.TransportError:
            return  # killed before it answered: the job may exist or not
        assert answer.status_code == 201
        answered[reference] = answer.json()["id"]

    for number in range(4):
        api = start_server()
        new = [f"{number}.{each}" for each in range(4)]
        threads = [threading.Thread(target=submit, args=(api, reference)) for reference in new]
        references += new
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0, 0.15))  # at any time: while they arrive, are stored, are begun
        kill(api)
        for thread in threads:
            thread.join()

    api = start_server()
    known = {job["config"]["tracking"]["reference"]: job["id"] for job in api.get("jobs").json()["jobs"]}
    assert answered.items() <= known.items()
    for reference in references:
        submit(api, reference)  # what a client does that had no answer
        job = api.ended(answered[reference])
        assert job["status"] == "done"
    assert known.items() <= answered.items()
    assert len(api.get("jobs").json()["jobs"]) == len(references)
    assert api.get("usage").json()["summary"][0]["count"] == len(references)
    assert files(tmp_path) == []


def test_a_job_that_was_deleted_just_before_the_kill_stays_deleted(start_server, make_long, recordings, tmp_path):
    first = start_server()
    job_id = first.submit(make_long(20)).json()["id"]
    assert first.delete(f"jobs/{job_id}", params={"force": "true"}).status_code == 200
    kill(first)
    second = start_server()
    assert second.get(f"jobs/{job_id}").status_code == 404
    assert files(tmp_path) == []
    assert second.done(recordings / "leisure.flac")["status"] == "done"


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_of_a_job_that_is_gone_no_word_is_left_on_disk(start_server, recordings, tmp_path, how):
    api = start_server(*(("--retention", "0.5") if how == "expired" else ()))
    submitted = api.submit(recordings / "leisure.flac", params={"wait": 60, "format": "txt"}).json()
    job_id, words = submitted["id"], submitted["txt"].split()
    assert len(words) > 10
    if how == "deleted":
        assert api.delete(f"jobs/{job_id}").status_code == 200
    until(lambda: api.get(f"jobs/{job_id}").status_code == {"deleted": 404, "expired": 410}[how])
    assert files(tmp_path) == []
    # While the server runs: nothing waits for its end.
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert job_id.encode() in kept  # the job itself is still listed, for those who ask for deleted ones
    for first, second in itertools.pairwise(words):
        assert f"{first} {second}".encode() not in kept
        assert f'"content":"{first}"'.encode() not in kept
