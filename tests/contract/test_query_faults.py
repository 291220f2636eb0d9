"""Asking a server that fails: what is tried again, how often, and what the caller is told at last."""

import datetime as dt
import logging
import traceback

import msgspec
import pytest

from tests.support.client_clock import JumpingClock
from tests.support.fault_server import Fault, FaultServer
from watcher.speechmatics import (
    AsyncClient,
    AuthenticationError,
    BrokenJson,
    ConnectFailed,
    ConnectionLost,
    Gone,
    JobConfig,
    JobDeleted,
    JobExpired,
    JobRejected,
    JobStatus,
    JobTimeout,
    Locked,
    NotFound,
    PermissionDenied,
    RateLimited,
    Redirected,
    RetryPolicy,
    ServerError,
    Timeout,
    Timeouts,
    TrackingData,
    TranscriptionConfig,
    TruncatedBody,
    Unprocessable,
    WrongContentType,
)

pytestmark = pytest.mark.anyio

KEY = "sekret-key-1234567890"


@pytest.fixture
async def server():
    async with FaultServer() as server:
        yield server


@pytest.fixture
def clock():
    return JumpingClock()


@pytest.fixture
async def client(server, clock):
    async with AsyncClient(KEY, url=server.url, clock=clock, retry=RetryPolicy(attempts=3)) as client:
        yield client


@pytest.fixture
async def impatient(server, clock):
    retry, timeouts = RetryPolicy(attempts=3), Timeouts(read=0.3)
    async with AsyncClient(KEY, url=server.url, clock=clock, retry=retry, timeouts=timeouts) as client:
        yield client


async def submit(client, reference=None, **options):
    tracking = TrackingData(reference=reference) if reference else None
    config = JobConfig(transcription_config=TranscriptionConfig(), tracking=tracking)
    return await client.submit_job(("a.wav", b"some audio"), config=config, **options)


PASSING = [
    (Fault("status", status=500), ServerError),
    (Fault("status", status=503, html=True), ServerError),
    (Fault("status", status=429), RateLimited),
    (Fault("early", status=502, html=True), ServerError),
    (Fault("reset_before"), ConnectionLost),
    (Fault("lose_answer"), ConnectionLost),
    (Fault("hang"), Timeout),
    (Fault("truncate"), TruncatedBody),
    (Fault("broken_json"), BrokenJson),
    (Fault("html_after"), WrongContentType),
]


@pytest.mark.parametrize(("fault", "kind"), PASSING, ids=lambda value: getattr(value, "kind", ""))
async def test_a_passing_failure_is_tried_again_and_bounded(  # noqa: PLR0917 - fixtures
    server, client, impatient, clock, fault, kind
):
    asking = impatient if kind is Timeout else client
    job = await submit(client)
    server.script.add(msgspec.structs.replace(fault, on="get", times=2))
    assert (await asking.get_job(job.id)).id == job.id
    assert server.requests["job"] == 3
    assert [0.25 <= clock.slept[0] <= 0.5, 0.5 <= clock.slept[1] <= 1.0] == [True, True]

    server.script.add(msgspec.structs.replace(fault, on="get", times=None))
    with pytest.raises(kind):
        await asking.get_job(job.id)
    assert server.requests["job"] == 6


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Exception),
        (401, AuthenticationError),
        (403, PermissionDenied),
        (404, NotFound),
        (410, Gone),
        (422, Unprocessable),
        (423, Locked),
        (501, ServerError),
    ],
)
async def test_a_lasting_failure_is_told_at_once(server, client, clock, status, kind):
    server.script.add(Fault("status", on="get", status=status, error="Because", detail="of this"))
    with pytest.raises(kind) as caught:
        await client.list_jobs()
    error = caught.value
    assert (error.status, error.error, error.detail, error.request) == (status, "Because", "of this", "GET /jobs")
    assert error.request_id == server.log[-1][1]
    assert "Because: of this" in str(error)
    assert clock.slept == []


async def test_redirects_are_not_followed(server, client):
    server.script.add(Fault("redirect", on="list", location="http://127.0.0.1:9/v2/jobs"))
    with pytest.raises(Redirected):
        await client.list_jobs()


async def test_nobody_there_is_tried_again_too(clock):
    async with AsyncClient(KEY, url="http://127.0.0.1:9", clock=clock) as client:
        with pytest.raises(ConnectFailed):
            await client.list_jobs()
    assert len(clock.slept) == 4


async def test_retry_after_is_obeyed_in_seconds_and_as_a_date(server, client, clock):
    server.script.add(Fault("status", on="list", status=429, retry_after="7"))
    await client.list_jobs()
    date = dt.datetime.fromtimestamp(clock.now + 30, dt.UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    server.script.add(Fault("status", on="list", status=503, retry_after=date))
    await client.list_jobs()
    assert 7.0 <= clock.slept[0] <= 7.1
    assert 29.0 <= clock.slept[1] <= 30.1


async def test_a_long_retry_after_is_the_callers_to_wait_for(server, client, clock):
    server.script.add(Fault("status", on="list", status=429, retry_after="3600"))
    with pytest.raises(RateLimited) as caught:
        await client.list_jobs()
    assert caught.value.retry_after == 3600.0
    assert clock.slept == []


async def test_every_request_asks_the_limiter(server, client):
    asked = []

    class Limiter:
        async def acquire(self, kind):
            asked.append(kind)

    async with AsyncClient(KEY, url=server.url, limiter=Limiter(), clock=JumpingClock()) as limited:
        job = await submit(limited)
        server.script.add(Fault("status", on="job", status=503, times=2))
        await limited.get_job(job.id)
        await limited.delete_job(job.id)
    assert asked == ["post", "get", "get", "get", "get"]


async def test_a_delete_is_repeated_only_if_it_was_not_done(server, client, clock):
    job = await submit(client)
    server.script.add(Fault("status", on="delete", status=429), Fault("lose_answer", on="delete"))
    with pytest.raises(ConnectionLost):
        await client.delete_job(job.id)
    assert server.requests["delete"] == 2
    with pytest.raises(NotFound):
        await client.delete_job(job.id)


async def test_each_endpoint_gives_its_own_type(server, client):
    job = await submit(client, reference="r1")
    details = await client.get_job(job.id)
    assert (details.status, details.reference, details.data_name) == (JobStatus.DONE, "r1", "a.wav")
    assert details.config.transcription_config.language == "en"
    assert details.created.tzinfo is dt.UTC
    assert [each.id for each in await client.list_jobs(limit=5)] == [job.id]
    assert (await client.get_log(job.id)).endswith(b"transcribed\n")
    assert (await client.get_usage(since=dt.date(2024, 1, 1))).summary[0].count == 1
    assert (await client.get_result(job.id)).words[0].text == "Recording"
    assert (await client.get_transcript(job.id, "srt")).startswith(b"1\n00:00:00,000")
    deleted = await client.delete_job(job.id)
    assert deleted.status == JobStatus.DELETED
    assert await client.list_jobs() == []
    assert [each.id for each in await client.list_jobs(include_deleted=True)] == [job.id]


async def test_on_prem_listings_without_config_still_list(server, client):
    server.settings.list_config = False
    await submit(client, reference="r1")
    (job,) = await client.list_jobs()
    assert (job.config, job.reference) == (None, None)


@pytest.mark.parametrize("same", [1, 7, 250])
async def test_all_jobs_are_listed_however_many_share_a_millisecond(server, client, same):
    server.settings.same_created_at = same
    for index in range(250):
        server.state.create({"type": "transcription", "transcription_config": {}}, f"{index}", 1, "00")
    found = [job.id async for job in client.iter_jobs()]
    assert found == [job.id for job in reversed(server.jobs)]
    newest = [job.id async for job in client.iter_jobs(created_after=dt.datetime.now(dt.UTC) + dt.timedelta(1))]
    assert len(newest) < 250 or same == 250


async def test_completion_is_awaited_with_long_polls(server, clock):
    server.settings.processing_time = 0.1
    async with AsyncClient(KEY, url=server.url) as client:
        job = await submit(client)
        result = await client.wait_for_completion(job.id)
    assert result.transcript_text == f"Recording {server.jobs[0].sha256[:12]}."
    assert server.requests["job"] == 1


async def test_completion_is_polled_for_where_the_server_holds_nothing(server, client, clock):
    server.settings.long_poll = False
    job = await submit(client)
    server.jobs[0].forced_status = "running"

    async def sleep(seconds):
        clock.slept.append(seconds)
        clock.now += seconds
        if len(clock.slept) == 8:
            server.jobs[0].forced_status = None

    clock.sleep = sleep
    text = await client.wait_for_completion(job.id, format_type="txt", polling_interval=2.0)
    assert text.startswith("Recording ")
    assert server.requests["job"] == 9
    assert clock.slept[0] <= 0.5
    assert clock.slept == sorted(clock.slept[:4]) + clock.slept[4:]
    assert all(1.6 <= pause <= 2.0 for pause in clock.slept[5:])


async def test_waiting_ends_when_the_time_is_up(server, client, clock):
    server.settings.long_poll = False
    job = await submit(client)
    server.jobs[0].forced_status = "running"
    with pytest.raises(JobTimeout, match=r"still running") as caught:
        await client.wait_for_completion(job.id, timeout=30.0)
    assert caught.value.job_id == job.id
    assert sum(clock.slept) == pytest.approx(30.0)


async def test_a_failed_job_says_why(server, client):
    server.script.add(Fault("reject", on="post", detail="Audio is corrupt"))
    rejected = await submit(client)
    with pytest.raises(JobRejected, match=r"Audio is corrupt") as caught:
        await client.wait_for_completion(rejected.id)
    assert caught.value.reasons == ("Audio is corrupt",)
    for status, kind in [("expired", JobExpired), ("deleted", NotFound)]:
        job = await submit(client)
        server.jobs[-1].forced_status = status
        with pytest.raises(kind):
            await client.wait_for_completion(job.id)


async def test_a_job_deleted_while_it_is_awaited_is_told(server, client, monkeypatch):
    job = await submit(client)
    monkeypatch.setattr(server.state, "find", lambda *_: server.jobs[0])
    server.jobs[0].forced_status = "deleted"
    with pytest.raises(JobDeleted):
        await client.wait_for_completion(job.id)


async def test_a_transcript_that_arrives_late_is_waited_for(server, client, clock):
    job = await submit(client)
    server.script.add(Fault("status", on="transcript", status=404, times=2))
    assert (await client.wait_for_completion(job.id)).transcript_text.startswith("Recording ")
    server.script.add(Fault("status", on="transcript", status=404, times=None))
    with pytest.raises(NotFound):
        await client.wait_for_completion(job.id)
    server.script.clear()
    server.script.add(Fault("status", on="transcript", status=410))
    with pytest.raises(JobExpired):
        await client.wait_for_completion(job.id)


async def test_the_key_is_in_no_message_repr_log_or_traceback(server, client, caplog):
    broken = AsyncClient(KEY, url="http://127.0.0.1:9", retry=RetryPolicy(attempts=1))
    caplog.set_level(logging.DEBUG)
    texts = [repr(client), repr(client.__dict__)]
    server.script.add(Fault("status", on="any", status=401, error="Bad key", detail=f"not {KEY}", times=None))
    for ask in (client.list_jobs(), submit(client), broken.list_jobs(), submit(broken)):
        with pytest.raises((AuthenticationError, ConnectFailed)) as caught:
            await ask
        error = caught.value
        texts.append("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
        while error is not None:
            texts += [str(error), repr(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
    texts.append(caplog.text)
    assert len(caplog.text) > 100
    assert [text for text in texts if KEY in text] == []
    assert any("not ***" in text for text in texts)
