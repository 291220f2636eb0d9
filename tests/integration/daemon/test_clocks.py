"""Clocks that are wrong, that jump, and machines that slept for a week."""

import pytest

from tests.support.daemon_bench import until
from tests.support.fault_server import Fault
from watcher.clock import SystemClock
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState
DAY = 86400.0


class WrongClock(SystemClock):
    """The machine's clock, so many days off."""

    def __init__(self, days):
        self.days = days

    def now(self):
        return super().now() + self.days * DAY


@pytest.mark.parametrize("days", [-30, -2, 2, 30])
async def test_a_job_whose_answer_was_lost_under_a_wrong_clock_is_found_all_the_same(bench, days):
    async with bench(Fault("lose_answer", on="post"), Fault("status", on="list", times=None)) as it:
        it.record("a.wav")
        async with it.running(runtime={"clock": WrongClock(days)}):
            await until(lambda: it.server.jobs and it.state_of("a.wav") is S.SUBMITTING)
        it.server.script.clear()
        await it.run()
        assert it.state_of("a.wav") in ({S.DONE} if days > -6 else {S.DONE, S.HELD})
        assert len(it.server.jobs) == 1


async def test_a_machine_that_slept_for_eight_days_asks_for_its_jobs_and_pays_for_none_again(bench):
    async with bench(processing_time=0.5) as it:
        it.record("a.wav")
        it.record("b.wav")
        async with it.running():
            await until(lambda: len(it.server.jobs) == 2)
            await until(lambda: it.state_of("a.wav") is it.state_of("b.wav") is S.SUBMITTED)
        expired = next(job for job in it.server.jobs if job.data_name == "a.wav")
        expired.forced_status = "expired"
        await it.run(runtime={"clock": WrongClock(8)})
        assert it.state_of("a.wav") is S.HELD
        assert it.state_of("b.wav") is S.DONE
        assert len(it.server.jobs) == 2


async def test_an_unknown_outcome_older_than_the_services_memory_is_for_a_person_to_decide(bench):
    async with bench(Fault("hang_before", on="post", seconds=0.05), Fault("status", on="list", times=None)) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.server.requests["list"] and it.state_of("a.wav") is S.SUBMITTING)
        it.server.script.clear()
        await it.run(runtime={"clock": WrongClock(8)})
        entry = it.entry("a.wav")
        assert entry.state is S.HELD
        assert "can't be known" in entry.reason
        assert not it.server.jobs


async def test_a_delay_that_was_set_under_a_clock_that_was_ahead_holds_nothing_up(bench):
    async with bench(Fault("status", on="post", status=503, times=3)) as it:
        it.record("a.wav")
        async with it.running(runtime={"clock": WrongClock(400)}):
            await until(lambda: it.entry("a.wav") is not None and it.entry("a.wav").attempts)
        await it.run()
        assert it.state_of("a.wav") is S.DONE
