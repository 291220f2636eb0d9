"""A person's orders while recordings are under way: pause, cancel, retry."""

import pytest

from tests.support.daemon_bench import until
from tests.support.fault_server import Fault
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


async def test_a_pause_during_an_upload_stops_it_before_a_job_is_made(bench):
    async with bench() as it:
        async with it.running() as control:
            it.as_an_upload_begins("a.wav", control.pause)
            it.record("a.wav")
            await until(lambda: "Submission is stopped for now." in it.reasons("a.wav"))
            assert it.state_of("a.wav") is S.WAITING
            assert it.server.jobs == []
            await control.resume()
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_an_upload_that_is_cancelled_under_way_makes_no_job(bench):
    async with bench() as it:
        async with it.running() as control:
            it.as_an_upload_begins("a.wav", lambda: control.cancel(it.entry("a.wav").uid))
            it.record("a.wav")
            await until(lambda: it.state_of("a.wav") is S.CANCELLED)
            it.record("b.wav")
            await until(lambda: it.state_of("b.wav") is S.DONE)
        assert it.state_of("a.wav") is S.CANCELLED
        assert [job.data_name for job in it.server.jobs] == ["b.wav"]


async def test_what_is_cancelled_before_its_upload_makes_no_job(bench):
    async with bench() as it:
        it.record("a.wav")
        it.record("b.wav")
        async with it.running() as control:
            await control.pause()
            await until(lambda: it.state_of("a.wav") is it.state_of("b.wav") is S.WAITING)
            await control.cancel(it.entry("a.wav").uid)
            await control.resume()
            await until(lambda: it.state_of("b.wav") is S.DONE)
        assert it.state_of("a.wav") is S.CANCELLED
        assert len(it.server.jobs) == 1


async def test_a_job_that_is_cancelled_while_its_answer_is_lost_is_found_and_deleted(bench):
    async with bench(
        Fault("lose_answer", on="post"), listing_lag=0.5, processing_time=9.0, account={"settle_listing": 2.0}
    ) as it:
        it.record("a.wav")
        async with it.running() as control:
            await until(lambda: it.server.jobs)
            await control.cancel(it.entry("a.wav").uid)
            await until(lambda: it.server.state.status(it.server.jobs[0]) == "deleted")
        assert it.state_of("a.wav") is S.CANCELLED


async def test_cancelling_a_running_job_deletes_it_and_retry_submits_it_anew(bench):
    async with bench(processing_time=0.5) as it:
        it.record("a.wav")
        async with it.running() as control:
            await until(lambda: it.state_of("a.wav") is S.SUBMITTED)
            uid = it.entry("a.wav").uid
            await control.cancel(uid)
            await until(lambda: it.server.state.status(it.server.jobs[0]) == "deleted")
            await control.retry(uid)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 2
