"""Who works on what: several workers, turns between keys, and jobs that are deleted while they run."""

import psutil
import pytest

from tests.integration.batch_server.test_server_process import GOOD, workers
from tests.support.waiting import has_ended, until
from tests.support.words import assert_reads


def busy(api):
    """The worker processes that have been recognising for a while."""
    return [worker for worker in workers(api.server.pid) if sum(worker.cpu_times()[:2]) > 2]


@pytest.mark.long
def test_two_workers_work_at_once_and_a_killed_one_is_replaced(start_server, make_long, recordings):
    api = start_server("--workers", "2")

    def status(job_id, wait):
        return api.get(f"jobs/{job_id}", params={"wait": wait}).json()["job"]["status"]

    jobs = [api.submit(recording).json()["id"] for recording in (make_long(2), recordings / "dashwood.flac")]
    first, second = sorted(
        until(lambda: len(found := workers(api.server.pid)) == 2 and found), key=psutil.Process.create_time
    )
    # The first was started to load the model, so only of the second is it sure that it has its job by now.
    until(lambda: sum(second.cpu_times()[:2]) > 0.5)
    assert [status(job_id, 0) for job_id in jobs] == ["running", "running"]
    second.kill()
    replaced = until(lambda: [w for w in workers(api.server.pid) if w not in (first, second)])
    assert len(replaced) == 1
    assert not has_ended(first)
    for job_id, read in zip(jobs, (2, 1), strict=True):
        assert until(lambda job_id=job_id: (found := status(job_id, 10)) != "running" and found) == "done"
        assert_reads(api.transcript({"id": job_id}, "txt"), *["dashwood"] * read)
    logs = [api.get(f"jobs/{job_id}/log").text for job_id in jobs]
    assert ["The recognising process died" in log for log in logs] == [False, True]


def test_a_running_job_that_is_deleted_stops_at_once(start_server, make_long, recordings, tmp_path):
    api = start_server()
    job_id = api.submit(make_long(40)).json()["id"]
    (worker,) = until(lambda: busy(api))
    assert api.delete(f"jobs/{job_id}", params={"force": "true"}).status_code == 200
    until(lambda: has_ended(worker))
    assert list((tmp_path / "data" / "audio").iterdir()) == []
    # A quarter of an hour of speech would have kept the worker from this for longer than the request waits.
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_a_job_that_is_deleted_before_its_worker_is_ready_is_not_begun(start_server, make_long, recordings):
    api = start_server()
    recording = make_long(40)
    for _ in range(3):
        job_id = api.submit(recording).json()["id"]
        assert api.delete(f"jobs/{job_id}", params={"force": "true"}).status_code == 200
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_keys_have_their_turns_and_one_key_s_jobs_their_order(start_server, recordings):
    """Without a key of its own the server keeps the keys' jobs apart."""
    api = start_server(key="")
    many, single = {"Authorization": "Bearer many"}, {"Authorization": "Bearer single"}

    def submit(key):
        files = {"config": (None, GOOD), "data_file": ("a.flac", (recordings / "leisure.flac").read_bytes())}
        return api.post("jobs", files=files, headers=key).json()["id"]

    def ended(key, job_id):
        assert api.get(f"jobs/{job_id}", params={"wait": 60}, headers=key).json()["job"]["status"] == "done"
        return api.get(f"jobs/{job_id}/log", headers=key).text.splitlines()[-1][:23]

    jobs = [submit(many) for _ in range(3)]
    lonely = submit(single)
    order = [ended(many, job_id) for job_id in jobs]
    assert order == sorted(order)
    # The first was begun before; at most one more has its turn before the other key's.
    assert order[0] < ended(single, lonely) < order[2]
