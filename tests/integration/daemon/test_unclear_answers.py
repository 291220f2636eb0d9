"""A server or proxy whose answer never tells whether a job exists: a recording is sent a few times, then HELD."""

import pytest

from tests.support.daemon_bench import until
from tests.support.fault_server import Fault
from watcher.models import AttemptState, EntryState

pytestmark = pytest.mark.anyio
DONE, HELD, SUBMITTING = EntryState.DONE, EntryState.HELD, EntryState.SUBMITTING

EACH_TIME = {
    "201 before the body's end": Fault("early", on="post", status=201, times=None),
    "201 before the body's end, then the connection ends": Fault(
        "early", on="post", status=201, abrupt=True, times=None
    ),
    "200 and a page before the body's end": Fault("early", on="post", status=200, html=True, times=None),
    "204 before the body's end": Fault("early", on="post", status=204, times=None),
    "201 with a garbled head before the body's end": Fault(
        "early", on="post", head="HTTP/1.1 201 Created\r\nContent-Length: many\r\n\r\n", times=None
    ),
    "half of a head before the body's end": Fault("early", on="post", head="HTTP/1.1 20", abrupt=True, times=None),
    "a head without sense before the body's end": Fault(
        "early", on="post", head="HTTP/1.1 2O1 \x00\r\n\r\n", times=None
    ),
    "201 without an id": Fault("status", on="post", status=201, times=None),
    "200 and a page": Fault("status", on="post", status=200, html=True, times=None),
    "302": Fault("redirect", on="post", times=None),
    "500": Fault("status", on="post", status=500, times=None),
    "a connection that ends after the tail": Fault("hang_before", on="post", seconds=0.05, times=None),
}


@pytest.mark.parametrize("name", EACH_TIME)
async def test_an_answer_that_is_never_clear_ends_in_a_hold_that_a_person_can_lift(bench, name):
    async with bench(EACH_TIME[name]) as it:
        it.record("a.wav")
        sources = it.sources()
        await it.run()
        entry = it.entry("a.wav")
        assert entry.state is HELD
        assert it.server.requests["post"] == 3
        assert it.server.jobs == []
        assert "3 times without a clear answer" in entry.reason
        assert "dropscribe retry FILE" in entry.fix
        it.server.script.clear()
        await it.run()
        assert it.server.requests["post"] == 3, "a restart sends nothing"
        async with it.running() as control:
            await control.retry(entry.uid)
            await until(lambda: it.state_of("a.wav") is DONE)
        assert it.server.requests["post"] == 4
        it.assert_promises(sources)


async def test_unclear_answers_are_counted_across_restarts_and_copies(bench):
    async with bench(Fault("early", on="post", status=201, times=None)) as it:
        it.record("a.wav", seed="same")
        it.record("b.wav", seed="same")
        for sent in (1, 2):
            async with it.running():
                await until(lambda sent=sent: it.server.requests["post"] >= sent)
                await until(lambda: it.read(lambda ledger: ledger.open_attempts(AttemptState.ARMED)))
        await it.run()
        assert HELD in {it.state_of("a.wav"), it.state_of("b.wav")}
        assert it.server.requests["post"] == 3


async def test_stops_between_the_tail_and_its_answer_are_counted(bench):
    """Whatever stops it there each time, a recording is not sent without end."""
    async with bench(Fault("hang_before", on="post", times=None)) as it:
        it.record("a.wav")
        sources = it.sources()
        for sent in (1, 2, 3):
            async with it.running():
                await until(lambda sent=sent: it.server.requests["post"] >= sent)
                await until(lambda: it.read(lambda ledger: ledger.open_attempts(AttemptState.ARMED)))
        await it.run()
        entry = it.entry("a.wav")
        assert entry.state is HELD
        assert it.server.requests["post"] == 3
        assert "3 times without a clear answer" in entry.reason
        it.server.script.clear()
        async with it.running() as control:
            await control.retry(entry.uid)
            await until(lambda: it.state_of("a.wav") is DONE)
        it.assert_promises(sources)


async def test_clear_refusals_are_not_counted(bench):
    async with bench(Fault("status", on="post", status=429, retry_after="0", times=4)) as it:
        it.record("a.wav")
        sources = it.sources()
        await it.run()
        assert it.state_of("a.wav") is DONE
        assert it.server.requests["post"] == 5
        it.assert_promises(sources)


async def test_a_garbled_refusal_before_the_bodys_end_makes_no_job(bench):
    head = "HTTP/1.1 503 Unavailable\r\nContent-Length: many\r\n\r\n"
    async with bench(Fault("early", on="post", head=head, times=4)) as it:
        it.record("a.wav")
        await it.run()
        assert it.state_of("a.wav") is DONE
        assert it.server.requests["post"] == 5


async def test_a_job_that_was_made_before_the_bodys_end_is_found_and_not_paid_again(bench):
    async with bench(Fault("early", on="post", status=201)) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.state_of("a.wav") is SUBMITTING)
            config = {"type": "transcription", "transcription_config": {"language": "en"}}
            config["tracking"] = {"reference": it.entry("a.wav").reference}
            it.server.state.create(config, "a.wav", 1, "0" * 64)
            await until(lambda: it.state_of("a.wav") is DONE)
        assert it.server.requests["post"] == 1
        assert any("found by its reference" in reason for reason in it.reasons("a.wav"))


async def test_a_job_that_turns_up_after_the_hold_is_adopted(bench):
    async with bench(Fault("early", on="post", status=201, times=None)) as it:
        it.record("a.wav")
        await it.run()
        entry = it.entry("a.wav")
        assert entry.state is HELD
        config = {"type": "transcription", "transcription_config": {"language": "en"}}
        it.server.state.create(config | {"tracking": {"reference": entry.reference}}, "a.wav", 1, "0" * 64)
        async with it.running():
            await until(lambda: it.state_of("a.wav") is DONE)
        assert it.server.requests["post"] == 3


async def test_a_recording_that_is_cancelled_while_an_early_answer_is_looked_into_keeps_no_job(bench):
    async with bench(Fault("early", on="post", status=201), account={"settle_listing": 30.0}) as it:
        it.record("a.wav")
        async with it.running() as control:
            await until(lambda: it.read(lambda ledger: ledger.open_attempts(AttemptState.ARMED)))
            entry = it.entry("a.wav")
            await control.cancel(entry.uid)
            config = {"type": "transcription", "transcription_config": {"language": "en"}}
            job = it.server.state.create(config | {"tracking": {"reference": entry.reference}}, "a.wav", 1, "0" * 64)
            await until(lambda: job.forced_status == "deleted")
        assert it.state_of("a.wav") is EntryState.CANCELLED
        assert it.server.requests["post"] == 1


async def test_an_unavailable_service_is_waited_out_however_often_it_says_so(bench):
    async with bench(Fault("status", on="post", status=503, html=True, times=6)) as it:
        it.record("a.wav")
        sources = it.sources()
        await it.run()
        assert it.state_of("a.wav") is DONE
        it.assert_promises(sources)
        assert len(it.server.jobs) == 1
