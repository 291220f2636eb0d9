"""Whatever goes wrong, in whatever order: what a submission says about its job is true."""

import hashlib
import random

import anyio
import msgspec
import pytest

from tests.support.fault_server import Fault, FaultServer
from watcher.speechmatics import (
    AsyncClient,
    Job,
    JobConfig,
    SpeechmaticsError,
    SubmissionUnknown,
    Timeouts,
    TrackingData,
    TranscriptionConfig,
)

pytestmark = pytest.mark.anyio

SUBMISSIONS = 150
AT_ONCE = 12
KINDS = [
    Fault("early", status=429),
    Fault("early", status=413, html=True, abrupt=True),
    Fault("early", status=500, abrupt=True),
    Fault("reset_before"),
    Fault("reset_midbody"),
    Fault("status", status=503),
    Fault("status", status=400, error="Job rejected"),
    Fault("redirect"),
    Fault("lose_answer"),
    Fault("error_after", status=500),
    Fault("truncate"),
    Fault("broken_json"),
    Fault("html_after"),
    Fault("hang", seconds=0.2),
]


def faults():
    for fault in KINDS:
        yield msgspec.structs.replace(fault, on="post", times=None, probability=0.06)


async def test_the_class_of_the_outcome_tells_whether_a_job_exists():
    chance = random.Random(20)
    outcomes, armed, audio = {}, set(), {}
    async with FaultServer(*faults(), seed=20) as server:
        timeouts = Timeouts(answer=5.0, write=5.0, read=5.0)
        async with AsyncClient("key", url=server.url, timeouts=timeouts) as client:
            slots = anyio.CapacityLimiter(AT_ONCE)

            async def submit(reference):
                async def gate(receipt):
                    armed.add(receipt.reference)

                config = JobConfig(
                    transcription_config=TranscriptionConfig(), tracking=TrackingData(reference=reference)
                )
                async with slots:
                    try:
                        outcomes[reference] = await client.submit_job(
                            ("a.wav", audio[reference]), config=config, before_commit=gate
                        )
                    except SpeechmaticsError as error:
                        outcomes[reference] = error

            async with anyio.create_task_group() as tasks:
                for index in range(SUBMISSIONS):
                    audio[str(index)] = chance.randbytes(chance.choice([0, 10, 3000, 400_000]))
                    tasks.start_soon(submit, str(index))

    created = [job.reference for job in server.jobs]
    assert len(created) == len(set(created))  # nothing was ever sent twice
    for reference, outcome in outcomes.items():
        if isinstance(outcome, Job):
            (job,) = [job for job in server.jobs if job.reference == reference]
            assert (job.id, job.sha256) == (outcome.id, hashlib.sha256(audio[reference]).hexdigest())
        elif isinstance(outcome, SubmissionUnknown):
            assert reference in armed
        else:
            assert reference not in created, outcome
    kinds = {type(outcome).__name__ for outcome in outcomes.values()}
    assert {"Job", "SubmissionUnknown", "RateLimited", "PayloadTooLarge", "BadRequest"} <= kinds
