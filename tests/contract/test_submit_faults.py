"""Submitting against a server that fails: does a job exist, and does the error say so?"""

import hashlib
import os

import pytest

from tests.support.fault_server import Fault, FaultServer
from tests.support.waiting import reached
from watcher.speechmatics import (
    AsyncClient,
    AuthenticationError,
    BadRequest,
    ConcurrencyLimited,
    ConnectFailed,
    ConnectionLost,
    FetchData,
    JobConfig,
    JobStatus,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    Redirected,
    ServerError,
    SourceChanged,
    SourceUnreadable,
    SubmissionUnknown,
    Timeout,
    Timeouts,
    TrackingData,
    TranscriptionConfig,
)

pytestmark = pytest.mark.anyio

KEY = "sekret-key-1234567890"
AUDIO = bytes(range(256)) * 4096 * 4  # 4 MiB: more than the sockets buffer on the way
CONFIG = JobConfig(transcription_config=TranscriptionConfig(language="en"), tracking=TrackingData(reference="ref-1"))


class Gate:
    """A gate that remembers what passed, and may refuse."""

    def __init__(self, refuse=None):
        self.receipts = []
        self.refuse = refuse

    async def __call__(self, receipt):
        self.receipts.append(receipt)
        if self.refuse:
            raise self.refuse


@pytest.fixture
async def server():
    async with FaultServer() as server:
        yield server


@pytest.fixture
async def client(server):
    async with AsyncClient(KEY, url=server.url) as client:
        yield client


@pytest.fixture
async def impatient(server):
    async with AsyncClient(KEY, url=server.url, timeouts=Timeouts(write=0.3, read=0.3, answer=0.3)) as client:
        yield client


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / 'möte "1".wav'
    path.write_bytes(AUDIO)
    return path


async def test_a_whole_upload_becomes_one_job(server, client, recording):
    gate, seen = Gate(), []
    job = await client.submit_job(
        recording, config=CONFIG, before_commit=gate, progress=lambda sent, total: seen.append((sent, total))
    )
    assert [(each.id, each.sha256, each.size, each.reference) for each in server.jobs] == [
        (job.id, hashlib.sha256(AUDIO).hexdigest(), len(AUDIO), "ref-1")
    ]
    assert gate.receipts == [job.receipt]
    assert job.receipt.sha256 == hashlib.sha256(AUDIO).hexdigest()
    assert (job.receipt.size, job.receipt.reference, job.receipt.path) == (len(AUDIO), "ref-1", recording)
    assert server.jobs[0].config == CONFIG.to_dict()
    assert server.jobs[0].data_name == "möte %221%22.wav"
    assert seen == sorted(seen)
    assert seen[-1] == (len(AUDIO), len(AUDIO))


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 256 * 1024 + 1024, 256 * 1024 + 1025])
async def test_every_size_arrives_whole(server, client, size):
    audio = AUDIO[:size]
    job = await client.submit_job(("a.wav", audio), config=CONFIG)
    assert server.jobs[0].sha256 == hashlib.sha256(audio).hexdigest() == job.receipt.sha256
    assert server.jobs[0].size == size


@pytest.mark.parametrize("size", [10, len(AUDIO)])
async def test_interim_answers_are_no_answers(server, client, size):
    server.script.add(Fault("interim", on="post"))
    job = await client.submit_job(("a.wav", AUDIO[:size]), config=CONFIG, before_commit=Gate())
    assert [each.id for each in server.jobs] == [job.id]


async def test_fetched_audio_passes_the_gate_too(server, client):
    gate = Gate()
    await client.submit_job(FetchData("https://example.org/a.mp3"), before_commit=gate)
    assert server.jobs[0].config["fetch_data"] == {"url": "https://example.org/a.mp3"}
    assert [receipt.size for receipt in gate.receipts] == [0]
    with pytest.raises(KeyError):
        await client.submit_job(FetchData("https://example.org/b.mp3"), before_commit=Gate(KeyError("no")))
    assert len(server.jobs) == 1


@pytest.mark.parametrize("size", [len(AUDIO), 10])
async def test_a_gate_that_raises_leaves_no_job(server, client, size):
    refusal = KeyError("disk full")
    with pytest.raises(KeyError) as caught:
        await client.submit_job(("a.wav", AUDIO[:size]), config=CONFIG, before_commit=Gate(refusal))
    assert caught.value is refusal
    job = await client.submit_job(("b.wav", b"x"), config=CONFIG)  # the server lives, and took nothing before
    assert [each.id for each in server.jobs] == [job.id]


async def test_what_a_gate_raises_is_never_wrapped(server, client):
    for refusal in (SystemExit(3), ExceptionGroup("two", [KeyError(), ValueError()]), GeneratorExit()):
        with pytest.raises(type(refusal)) as caught:
            await client.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=Gate(refusal))
        assert caught.value is refusal
    assert server.jobs == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequest),
        (401, AuthenticationError),
        (403, PermissionDenied),
        (413, PayloadTooLarge),
        (429, RateLimited),
        (500, ServerError),
        (503, ServerError),
    ],
)
@pytest.mark.parametrize("abrupt", [False, True], ids=["lingering", "abrupt"])
@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
async def test_an_early_answer_is_heard_and_nothing_is_committed(  # noqa: PLR0917 - fixtures
    server, client, status, kind, abrupt, html
):
    server.script.add(
        Fault("early", on="post", status=status, abrupt=abrupt, html=html, retry_after="7", detail="so there")
    )
    gate = Gate()
    with pytest.raises(kind) as caught:
        await client.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=gate)
    assert caught.value.status == status
    assert caught.value.retry_after == 7.0
    assert caught.value.detail == (None if html else "so there")
    assert caught.value.request_id
    assert gate.receipts == []
    assert server.jobs == []


async def test_an_answer_that_comes_while_the_gate_decides_stops_the_tail(server, client):
    server.script.add(Fault("early", on="post", status=401))

    async def gate(receipt):
        # Small audio: all but the tail is out before the answer is there.
        await reached(lambda: server.requests["post"])

    with pytest.raises(AuthenticationError):
        await client.submit_job(("a.wav", b"x" * 2000), config=CONFIG, before_commit=gate)
    assert server.jobs == []


@pytest.mark.parametrize("kind", ["reset_before", "reset_midbody"])
async def test_a_connection_that_breaks_before_the_tail_leaves_no_job(server, client, kind):
    server.script.add(Fault(kind, on="post"))
    gate = Gate()
    with pytest.raises(ConnectionLost):
        await client.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=gate)
    assert gate.receipts == []
    assert server.jobs == []


@pytest.mark.parametrize(
    ("fault", "cause", "created"),
    [
        (Fault("lose_answer", on="post"), ConnectionLost, 1),
        (Fault("hang", on="post"), Timeout, 1),
        (Fault("hang_before", on="post"), Timeout, 0),
        (Fault("error_after", on="post", status=500), ServerError, 1),
        (Fault("status", on="post", status=503), ServerError, 0),
        (Fault("status", on="post", status=502, html=True), ServerError, 0),
        (Fault("status", on="post", status=400, html=True), BadRequest, 0),
        (Fault("status", on="post", status=408), Exception, 0),
        (Fault("truncate", on="post"), Exception, 1),
        (Fault("broken_json", on="post"), Exception, 1),
        (Fault("html_after", on="post"), Exception, 1),
        (Fault("redirect", on="post"), Redirected, 0),
    ],
    ids=lambda value: value.kind + str(value.status) if isinstance(value, Fault) else None,
)
async def test_what_is_unknown_after_the_tail_is_said_to_be_unknown(  # noqa: PLR0917 - fixtures
    server, client, impatient, fault, cause, created
):
    server.script.add(fault)
    gate = Gate()
    asking = impatient if fault.kind.startswith("hang") else client
    with pytest.raises(SubmissionUnknown) as caught:
        await asking.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=gate)
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.reference == "ref-1"
    assert caught.value.tail_sent
    assert len(gate.receipts) == 1
    assert len(server.jobs) == created
    assert server.requests["post"] == 1  # never sent twice


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("status", on="post", status=400, error="Job rejected"), BadRequest),
        (Fault("status", on="post", status=401), AuthenticationError),
        (Fault("status", on="post", status=401, html=True), AuthenticationError),
        (Fault("status", on="post", status=403, error="Forbidden"), PermissionDenied),
        (Fault("status", on="post", status=413, html=True), PayloadTooLarge),
        (Fault("status", on="post", status=429, html=True), RateLimited),
        (Fault("status", on="post", status=429, error="Max concurrent running jobs exceeded"), ConcurrencyLimited),
    ],
    ids=lambda value: f"{value.status}{'html' * value.html}" if isinstance(value, Fault) else None,
)
async def test_a_clear_refusal_after_the_tail_is_a_refusal(server, client, fault, kind):
    server.script.add(fault)
    with pytest.raises(kind) as caught:
        await client.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=Gate())
    assert type(caught.value) is kind
    assert server.jobs == []


async def test_nobody_there_is_not_unknown():
    async with AsyncClient(KEY, url="http://127.0.0.1:9") as client:
        with pytest.raises(ConnectFailed):
            await client.submit_job(("a.wav", b"x"), config=CONFIG)


async def test_a_server_that_takes_no_more_is_a_stall(server, impatient):
    server.script.add(Fault("deaf", on="post"))
    gate = Gate()
    with pytest.raises(Timeout, match=r"took no more"):
        await impatient.submit_job(("a.wav", AUDIO * 8), config=CONFIG, before_commit=gate)
    assert gate.receipts == []
    assert server.jobs == []


@pytest.mark.parametrize("change", ["append", "truncate", "touch", "replace", "remove"])
async def test_a_recording_that_changes_is_not_committed(server, client, recording, change, tmp_path):
    def meddle(sent, total):
        if sent == total or getattr(meddle, "done", False):
            return
        meddle.done = True
        if change == "append":
            with recording.open("ab") as file:
                file.write(b"more")
        elif change == "truncate":
            with recording.open("r+b") as file:
                file.truncate(len(AUDIO) - 10)
        elif change == "touch":
            with recording.open("r+b") as file:
                file.write(b"other")
            os.utime(recording, ns=(1, 1))
        elif change == "replace":
            other = tmp_path / "other"
            other.write_bytes(AUDIO)
            other.replace(recording)
        else:
            recording.unlink()

    gate = Gate()
    with pytest.raises(SourceChanged, match=r"möte"):
        await client.submit_job(recording, config=CONFIG, before_commit=gate, progress=meddle)
    assert gate.receipts == []
    assert server.jobs == []


async def test_what_cannot_be_read_is_said_before_anything_is_sent(server, client, tmp_path):
    with pytest.raises(SourceUnreadable, match=r"gone\.wav"):
        await client.submit_job(tmp_path / "gone.wav", config=CONFIG)
    with pytest.raises(SourceUnreadable):
        await client.submit_job(tmp_path, config=CONFIG)
    assert not server.requests


async def test_a_failing_progress_callback_costs_nothing(server, client):
    def progress(sent, total):
        raise ZeroDivisionError

    await client.submit_job(("a.wav", AUDIO), config=CONFIG, progress=progress)
    assert len(server.jobs) == 1


async def test_waiting_submissions_bring_their_transcript(server, client):
    server.settings.processing_time = 0.05
    job = await client.submit_job(("a.wav", b"abc"), config=CONFIG, wait=5)
    assert job.status == JobStatus.DONE
    assert job.transcript.transcript_text.startswith("Recording ")
    assert job.transcript_bytes == await client.get_transcript(job.id, "json-v2")
    text = await client.submit_job(("a.wav", b"abc"), config=CONFIG, wait=5, format="txt")
    assert text.transcript == (await client.get_transcript(text.id, "txt")).decode()


async def test_on_prem_settings_and_limits_are_passed_on(server, client):
    server.settings.post_rate = 1
    await client.submit_job(("a.wav", b"abc"), config=CONFIG, processing_data={"parallel_engines": 4})
    with pytest.raises(RateLimited):
        await client.submit_job(("a.wav", b"abc"), config=CONFIG)
    assert len(server.jobs) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("abrupt", [False, True], ids=["lingering", "abrupt"])
@pytest.mark.parametrize("html", [False, True], ids=["json", "html"])
async def test_an_early_claim_of_a_job_leaves_it_unknown_whether_there_is_one(server, client, status, abrupt, html):
    server.script.add(Fault("early", on="post", status=status, abrupt=abrupt, html=html))
    gate = Gate()
    with pytest.raises(SubmissionUnknown) as caught:
        await client.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=gate)
    assert (caught.value.status, caught.value.tail_sent, caught.value.reference) == (status, False, "ref-1")
    assert gate.receipts == []
    assert server.requests["post"] == 1


@pytest.mark.parametrize("head", ["HTTP/1.1 201 Created\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 20", "HT"])
async def test_a_broken_head_before_the_tail_that_may_claim_a_job_leaves_it_unknown(server, client, head):
    server.script.add(Fault("early", on="post", head=head, abrupt=True))
    gate = Gate()
    with pytest.raises(SubmissionUnknown) as caught:
        await client.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=gate)
    assert (caught.value.status, caught.value.tail_sent, caught.value.reference) == (None, False, "ref-1")
    assert gate.receipts == []


@pytest.mark.parametrize("head", ["HTTP/1.1 503 Unavailable\r\nContent-Length: many\r\n\r\n", "\x15\x03\x01\x00\x02"])
async def test_a_broken_head_before_the_tail_that_claims_no_job_leaves_none(server, client, head):
    server.script.add(Fault("early", on="post", head=head, abrupt=True))
    with pytest.raises(ConnectionLost):
        await client.submit_job(("a.wav", AUDIO), config=CONFIG, before_commit=Gate())
