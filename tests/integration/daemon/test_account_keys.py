"""The key changes while an answer is lost or a job runs: to another key of the project, or to another project's."""

import time

import pytest

from tests.support.changing_keys import PROJECTS, daemon_with
from tests.support.daemon_bench import until
from tests.support.fault_server import Fault
from watcher.models import AttemptState, EntryState
from watcher.speechmatics import AsyncClient

pytestmark = pytest.mark.anyio
S = EntryState


async def lose_an_answer(it, key, **more):
    """Submit a recording with this key so that its answer is lost, and stop the daemon at once."""
    it.record("a.wav")
    async with daemon_with(it, key, **more):
        await until(lambda: it.server.requests["post"] and it.state_of("a.wav") is S.SUBMITTING)
        await until(lambda: it.read(lambda ledger: ledger.open_attempts(AttemptState.ARMED)))
    it.server.script.clear()


UNLISTED = Fault("status", on="list", times=None)


async def test_a_lost_answer_is_not_paid_again_because_another_projects_list_does_not_show_it(bench):
    async with bench(Fault("lose_answer", on="post"), UNLISTED, projects=PROJECTS) as it:
        await lose_an_answer(it, "old")
        async with daemon_with(it, "other") as keyring:
            await until(lambda: it.state_of("a.wav") is S.HELD)
            entry = it.entry("a.wav")
            assert "API key has changed" in entry.reason
            assert "Put the old key back" in entry.fix
            assert "dropscribe retry" in entry.fix
            assert len(it.server.jobs) == 1
            keyring.key = "old"
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_job_that_was_never_made_is_submitted_again_once_the_old_key_is_back(bench):
    async with bench(Fault("hang_before", on="post", seconds=0.05), UNLISTED, projects=PROJECTS) as it:
        await lose_an_answer(it, "old")
        async with daemon_with(it, "other") as keyring:
            await until(lambda: it.state_of("a.wav") is S.HELD)
            keyring.key = "old"
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_person_may_agree_to_pay_with_the_new_key(bench):
    async with bench(Fault("lose_answer", on="post"), UNLISTED, projects=PROJECTS) as it:
        await lose_an_answer(it, "old")
        async with daemon_with(it, "other") as keyring:
            await until(lambda: it.state_of("a.wav") is S.HELD)
            await keyring.control.retry(it.entry("a.wav").uid)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert [job.project for job in it.server.jobs] == ["ours", "another"]


async def test_with_a_rotated_key_of_the_same_project_a_lost_job_is_found(bench):
    async with bench(Fault("lose_answer", on="post"), UNLISTED, projects=PROJECTS) as it:
        await lose_an_answer(it, "old")
        async with daemon_with(it, "rotated"):
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_list_that_two_keys_gave_half_each_proves_nothing(bench):
    """The first list comes from another project, the second from the right one: the waiting starts anew."""
    account = {"settle_listing": 1.0}
    async with bench(
        Fault("lose_answer", on="post"), UNLISTED, projects=PROJECTS, listing_lag=3600.0, account=account
    ) as it:
        await lose_an_answer(it, "old")
        async with daemon_with(it, "other") as keyring:
            before = it.server.requests["list"]
            await until(lambda: it.server.requests["list"] >= before + 2)
            assert it.state_of("a.wav") is S.SUBMITTING
            keyring.key = "old"
            it.server.jobs[0].listed_at = time.monotonic() + 0.9  # after the first list that this key is given
            await until(lambda: it.state_of("a.wav") in {S.DONE, S.HELD})
        assert it.state_of("a.wav") is S.DONE
        assert len(it.server.jobs) == 1


async def submit_with_the_old_key(it):
    it.record("a.wav")
    async with daemon_with(it, "old"):
        await until(lambda: it.state_of("a.wav") is S.SUBMITTED)


async def test_a_job_that_another_key_does_not_see_is_held_and_goes_on_when_the_key_is_back(bench):
    async with bench(projects=PROJECTS, processing_time=0.5) as it:
        await submit_with_the_old_key(it)
        async with daemon_with(it, "other") as keyring:
            await until(lambda: it.state_of("a.wav") is S.HELD)
            entry = it.entry("a.wav")
            assert "another API key" in entry.reason
            assert "Put the old key back" in entry.fix
            assert entry.job_id == it.server.jobs[0].id
            keyring.key = "old"
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_held_job_is_asked_for_again_at_a_start_with_its_key_but_not_with_another(bench):
    async with bench(projects=PROJECTS, processing_time=0.5) as it:
        await submit_with_the_old_key(it)
        async with daemon_with(it, "other"):
            await until(lambda: it.state_of("a.wav") is S.HELD)
        moves = len(it.read(lambda ledger: ledger.history(it_entry(ledger, it).id)))
        async with daemon_with(it, "other"):
            it.record("b.wav")
            await until(lambda: it.state_of("b.wav") is S.DONE)
        assert len(it.read(lambda ledger: ledger.history(it_entry(ledger, it).id))) == moves
        async with daemon_with(it, "rotated"):
            it.record("c.wav")
            await until(lambda: it.state_of("c.wav") is S.DONE)
        async with daemon_with(it, "old"):
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 3


def it_entry(ledger, it):
    return ledger.at_path(it.inbox / "a.wav")


async def test_a_rotated_key_of_the_same_project_goes_on_with_running_jobs(bench):
    async with bench(projects=PROJECTS, processing_time=0.5) as it:
        await submit_with_the_old_key(it)
        async with daemon_with(it, "rotated"):
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_job_that_the_new_key_saw_before_it_vanished_is_over(bench):
    async with bench(projects=PROJECTS, processing_time=0.8) as it:
        await submit_with_the_old_key(it)
        it.server.script.add(Fault("status", on="transcript", status=404, error="Not found", times=None))
        async with daemon_with(it, "rotated"):
            await until(lambda: it.state_of("a.wav") is S.HELD)
        assert "can't be fetched" in it.entry("a.wav").reason


async def test_where_any_key_sees_all_jobs_a_new_one_holds_nothing_up(bench):
    """As with the server that Dropscribe runs itself: its key is another with each start."""
    async with bench(Fault("lose_answer", on="post"), UNLISTED) as it:
        await lose_an_answer(it, "first", any_key=True)
        async with daemon_with(it, "second", any_key=True):
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_job_lost_at_a_server_of_our_own_is_submitted_again_though_its_key_is_new(bench):
    async with bench(Fault("hang_before", on="post", seconds=0.05), UNLISTED) as it:
        await lose_an_answer(it, "first", any_key=True)
        async with daemon_with(it, "second", any_key=True):
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_the_ledger_knows_no_key(bench):
    async with bench(projects=PROJECTS) as it:
        it.record("a.wav")
        async with daemon_with(it, "old"):
            await until(lambda: it.state_of("a.wav") is S.DONE)
        entry = it.entry("a.wav")
        assert len(entry.key_digest) == 32
        assert entry.key_digest == AsyncClient("old").key_digest(it.read(lambda ledger: ledger.salt()))
        assert entry.key_digest != AsyncClient("old").key_digest(b"another ledger's")
