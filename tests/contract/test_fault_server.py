"""The fault server itself: as a process, over its control endpoint, within its limits."""

import json
import subprocess
import sys
import urllib.request

import pytest

from tests.support.client_clock import JumpingClock
from tests.support.fault_server import Fault, FaultServer, fault_server_thread
from tests.support.waiting import PATIENCE
from watcher.speechmatics import (
    AsyncClient,
    BatchClient,
    ConcurrencyLimited,
    ConnectionSettings,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerError,
    SubmissionUnknown,
)

CONFIG = {"type": "transcription", "transcription_config": {"language": "en"}, "tracking": {"reference": "r1"}}


def ask(url, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)  # noqa: S310 - our own loopback server
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310 - the same
        return json.load(answer)


@pytest.fixture
def process():
    script = json.dumps([{"kind": "lose_answer", "on": "post"}])
    command = [sys.executable, "-m", "tests.support.fault_server", "--port", "0", "--script", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        yield json.loads(running.stdout.readline())
        running.terminate()
        assert running.wait(10) == 0


def test_it_serves_and_is_steered_as_a_process(process):
    control = process["control"]
    with BatchClient(ConnectionSettings(url=process["url"], auth_token="key")) as client:
        with pytest.raises(SubmissionUnknown):
            client.submit_job(("a.wav", b"audio"), CONFIG)
        (billed,) = ask(f"{control}/jobs")
        assert (billed["reference"], billed["size"], billed["status"]) == ("r1", 5, "done")
        job_id = client.submit_job(("b.wav", b"more"), CONFIG)
        assert len(ask(f"{control}/jobs")) == 2
        ask(f"{control}/jobs/{job_id}", "POST", {"status": "rejected", "reasons": ["so"]})
        assert client.check_job_status(job_id)["job"]["errors"][0]["message"] == "so"
        ask(f"{control}/settings", "POST", {"listing_lag": 60.0})
        late = client.submit_job(("c.wav", b"late"), CONFIG)
        assert late not in [job["id"] for job in client.list_jobs()]
        ask(f"{control}/faults", "POST", [{"kind": "status", "on": "list", "status": 501, "times": None}])
        with pytest.raises(ServerError):
            client.list_jobs()
        ask(f"{control}/faults", "DELETE")
        assert client.list_jobs()
    counted = ask(f"{control}/requests")
    assert (counted["post"], counted["aborted"]) == (3, 0)


def test_chance_is_seeded():
    def struck(seed):
        with fault_server_thread(Fault("status", on="list", probability=0.5, times=None), seed=seed) as server:
            choices = [server.script.choose("list") is not None for _ in range(40)]
        assert 5 < sum(choices) < 35
        return choices

    assert struck(1) == struck(1)
    assert struck(1) != struck(2)


@pytest.mark.anyio
async def test_it_keeps_the_clouds_limits():
    async with FaultServer(post_rate=3, get_rate=5, max_concurrent=4, processing_time=60.0) as server:
        async with AsyncClient("key", url=server.url, retry=RetryPolicy(attempts=1)) as client:
            for _ in range(3):
                await client.submit_job(b"audio")
            with pytest.raises(RateLimited):
                await client.submit_job(b"audio")
            server.settings.post_rate = None
            await client.submit_job(b"audio")
            with pytest.raises(ConcurrencyLimited):
                await client.submit_job(b"audio")
            for _ in range(5):
                await client.list_jobs()
            with pytest.raises(RateLimited):
                await client.list_jobs()
        assert len(server.jobs) == 4


@pytest.mark.anyio
async def test_half_an_upload_is_no_job():
    async with FaultServer() as server:
        async with AsyncClient("key", url=server.url, clock=JumpingClock()) as client:

            async def refuse(receipt):
                raise KeyError(receipt.sha256)

            with pytest.raises(KeyError):
                await client.submit_job(b"x" * 100_000, before_commit=refuse)
            await client.list_jobs()
            with pytest.raises(NotFound):
                await client.get_job("none")
        assert (server.jobs, server.requests["post"]) == ([], 1)
