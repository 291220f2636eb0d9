"""What our client alone can do, against the embedded server."""

import secrets

import pytest

from tests.support.batch_clients import tone
from tests.support.embedded_server import embedded_server
from watcher.speechmatics import (
    ApiError,
    AsyncClient,
    AuthenticationError,
    BadRequest,
    JobConfig,
    JobFailed,
    JobStatus,
    NotFound,
    TrackingData,
    TranscriptionConfig,
    Unprocessable,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with embedded_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
async def client(server):
    async with AsyncClient(server.key, url=server.url) as client:
        yield client


def config(reference=None, **options):
    tracking = TrackingData(reference=reference or secrets.token_hex(4), details={"n": [1, {"deep": "ü"}]})
    return JobConfig(transcription_config=TranscriptionConfig(language="en", **options), tracking=tracking)


async def test_a_gate_that_raises_leaves_no_job(client):
    async def refuse(receipt):
        raise KeyError(receipt.reference)

    mine = config()
    for audio in (tone(0.01), tone(20.0)):
        with pytest.raises(KeyError):
            await client.submit_job(("a.wav", audio), config=mine, before_commit=refuse)
    assert mine.tracking.reference not in [job.reference async for job in client.iter_jobs()]


async def test_a_wrong_key_creates_no_job(server, client):
    mine = config()
    async with AsyncClient("wrong-key", url=server.url) as stranger:
        with pytest.raises(AuthenticationError) as caught:
            await stranger.submit_job(("a.wav", tone(20.0)), config=mine)
    assert caught.value.from_api
    assert mine.tracking.reference not in [job.reference async for job in client.iter_jobs()]


async def test_a_job_is_found_by_its_reference(client):
    mine = config()
    job = await client.submit_job(('ein Täg "1".wav', tone()), config=mine)
    (found,) = [each async for each in client.iter_jobs(page_size=2) if each.reference == mine.tracking.reference]
    assert found.id == job.id
    assert found.config.tracking == mine.tracking
    assert (await client.get_job(job.id, wait=0)).reference == mine.tracking.reference
    assert found.data_name.startswith("ein Täg ")


async def test_waiting_gives_typed_results_and_the_services_own_bytes(client):
    job = await client.submit_job(("a.wav", tone()), config=config())
    result = await client.wait_for_completion(job.id)
    assert result.job.id == job.id
    assert result.transcript_text.split() == (await client.get_transcript(job.id, "txt")).decode().split()
    assert (await client.get_transcript(job.id, "json-v2")).startswith(b"{")
    assert (await client.wait_for_job(job.id)).status == JobStatus.DONE


async def test_a_submission_may_wait(client):
    job = await client.submit_job(("a.wav", tone()), config=config(), wait=30, format="txt")
    assert job.status == JobStatus.DONE
    assert job.transcript == (await client.get_transcript(job.id, "txt")).decode()


async def test_what_is_no_audio_is_rejected_with_reasons(client):
    with pytest.raises((BadRequest, JobFailed)) as caught:
        await client.transcribe(("a.wav", b"this is no audio" * 100), config=config())
    error = caught.value
    assert error.reasons if isinstance(error, JobFailed) else error.error


async def test_logs_usage_and_parameters(client):
    job = await client.submit_job(("a.wav", tone()), config=config())
    await client.wait_for_completion(job.id)
    assert await log_or_status(client, job.id)
    assert (await client.get_usage()).since
    with pytest.raises(Unprocessable):
        await client.list_jobs(limit=1000)
    await client.delete_job(job.id, force=True)
    with pytest.raises(NotFound):
        await client.get_transcript(job.id, "txt")
    assert job.id in [each.id for each in await client.list_jobs(include_deleted=True)]


async def log_or_status(client, job_id):
    try:
        return await client.get_log(job_id)
    except ApiError as error:
        return error.status in {404, 501}  # the API lets a server have no logs


async def test_an_unknown_diarization_is_a_clear_refusal(client):
    with pytest.raises(BadRequest):
        await client.submit_job(("a.wav", tone()), config=config(diarization="telepathy"))
