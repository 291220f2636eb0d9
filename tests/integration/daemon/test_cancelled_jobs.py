"""A recording is cancelled while its job can't be deleted: the job is deleted later, or taken up, never paid twice."""

import pytest

from tests.support.changing_keys import PROJECTS, daemon_with
from tests.support.daemon_bench import until
from tests.support.fault_server import Fault
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState
UNREACHABLE = Fault("status", on="delete", status=503, times=None)


def job_of(it, name):
    """The first job that was made for a recording."""
    return next(job for job in it.server.jobs if job.data_name == name)


def status_of(it, name):
    return it.server.state.status(job_of(it, name))


def finish(it):
    """Every job that runs is done."""
    for job in it.server.jobs:
        if it.server.state.status(job) == "running":
            job.forced_status = "done"
    it.server.touch()


def jobs_left(it):
    return it.read(lambda ledger: ledger.due_cleanups(float("inf"), kind="job"))


async def cancel(it, control, *names):
    """Cancel recordings whose jobs run; returns when the service has refused to delete each."""
    await until(lambda: all(it.state_of(name) is S.SUBMITTED for name in names))
    for name in names:
        await control.cancel(it.entry(name).uid)
    await until(lambda: len([left for left in jobs_left(it) if left.tries]) == len(names))


async def test_what_is_asked_for_again_waits_for_the_job_that_it_had(bench):
    async with bench(UNREACHABLE, processing_time=600.0) as it:
        for name in ("running.wav", "done.wav", "copied.wav"):
            it.record(name)
        async with it.running() as control:
            await cancel(it, control, "running.wav", "done.wav", "copied.wav")
            told = await control.explain(it.inbox / "running.wav")
            assert "at the service is deleted as soon as possible" in told["next"]
            job_of(it, "done.wav").forced_status = "done"
            await control.retry(it.entry("running.wav").uid)
            await control.retry(it.entry("done.wav").uid)
            it.record("copy.wav", seed="copied.wav")
            await until(lambda: it.state_of("done.wav") is S.DONE)
            await until(lambda: it.state_of("running.wav") is it.state_of("copy.wav") is S.SUBMITTED)
            finish(it)
            await until(lambda: it.state_of("running.wav") is it.state_of("copy.wav") is S.DONE)
        assert it.state_of("copied.wav") is S.CANCELLED
        assert not it.read(lambda ledger: ledger.cleanups(ledger.at_path(it.inbox / "copied.wav").id))
        assert "for copy.wav" in it.reasons("copied.wav")[-1]
        assert len(it.server.jobs) == 3


async def test_what_nobody_asks_for_again_is_deleted_once_the_network_is_back(bench):
    async with bench(UNREACHABLE, processing_time=600.0) as it:
        it.record("a.wav")
        async with it.running() as control:
            await cancel(it, control, "a.wav")
        it.server.script.clear()
        async with it.running():
            await until(lambda: status_of(it, "a.wav") == "deleted" and not jobs_left(it))
        assert it.reasons("a.wav")[-1] == "Its job was deleted at the service."


async def test_a_job_that_is_not_there_any_more_is_made_anew_for_who_asks_again(bench):
    async with bench(UNREACHABLE, processing_time=600.0) as it:
        for name in ("deleted.wav", "expired.wav", "rejected.wav"):
            it.record(name)
        async with it.running() as control:
            await cancel(it, control, "deleted.wav", "expired.wav", "rejected.wav")
            for name in ("deleted.wav", "expired.wav", "rejected.wav"):
                job_of(it, name).forced_status = name.removesuffix(".wav")
                await control.retry(it.entry(name).uid)
            await until(lambda: len(it.server.jobs) == 6)
            finish(it)
            await until(lambda: it.read(lambda ledger: ledger.counts())[S.DONE] == 3)
        assert not jobs_left(it)


async def test_while_the_service_cannot_tell_nothing_is_paid_again(bench):
    silent = Fault("status", on="job", status=503, times=None)
    async with bench(UNREACHABLE, processing_time=600.0, account={"settle_listing": 60.0}) as it:
        it.record("a.wav")
        async with it.running() as control:
            await cancel(it, control, "a.wav")
            it.server.script.add(silent)
            await control.retry(it.entry("a.wav").uid)
            await until(lambda: it.state_of("a.wav") is S.WAITING and "503" in it.entry("a.wav").reason)
            it.server.script.clear()
            it.server.script.add(Fault("status", on="job", status=404, error="Job not found"))
            await until(lambda: it.state_of("a.wav") is S.SUBMITTED)
            finish(it)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_job_that_turns_up_after_its_recording_was_cancelled_is_kept_in_mind(bench):
    """One is found by its reference, the answer of the other comes late; neither can be deleted at once."""
    lost = Fault("lose_answer", on="post"), Fault("status", on="list", times=None), UNREACHABLE
    async with bench(*lost, processing_time=600.0, account={"max_uploads": 1}) as it:
        it.record("lost.wav")
        async with it.running() as control:
            await until(lambda: it.server.jobs and it.state_of("lost.wav") is S.SUBMITTING)
            await control.cancel(it.entry("lost.wav").uid)
            it.server.script.clear()
            it.server.script.add(UNREACHABLE, Fault("delay", on="post", seconds=0.6))
            it.record("late.wav")
            await until(lambda: len(it.server.jobs) == 2)
            await control.cancel(it.entry("late.wav").uid)
            await until(lambda: len(jobs_left(it)) == 2)
            for name in ("lost.wav", "late.wav"):
                await control.retry(it.entry(name).uid)
            await until(lambda: it.state_of("lost.wav") is it.state_of("late.wav") is S.SUBMITTED)
            finish(it)
            await until(lambda: it.state_of("lost.wav") is it.state_of("late.wav") is S.DONE)
        assert len(it.server.jobs) == 2


async def test_with_other_settings_it_is_another_job_and_the_former_one_is_deleted(bench):
    async with bench(UNREACHABLE, processing_time=600.0) as it:
        it.record("a.wav")
        async with it.running() as control:
            await cancel(it, control, "a.wav")
        it.folder["transcription"] = {"language": "de"}
        async with it.running() as control:
            await control.retry(it.entry("a.wav").uid)
            await until(lambda: len(it.server.jobs) == 2)
            it.server.script.clear()
            await until(lambda: status_of(it, "a.wav") == "deleted")
            finish(it)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert [job.config["transcription_config"]["language"] for job in it.server.jobs] == ["en", "de"]


async def test_another_projects_key_pays_again_only_at_a_persons_word(bench):
    async with bench(UNREACHABLE, projects=PROJECTS, processing_time=600.0) as it:
        it.record("a.wav")
        async with daemon_with(it, "old") as keyring:
            await cancel(it, keyring.control, "a.wav")
        it.server.script.clear()
        async with daemon_with(it, "other") as keyring:
            await keyring.control.retry(it.entry("a.wav").uid)
            await until(lambda: it.state_of("a.wav") is S.HELD)
            assert "another API key" in it.entry("a.wav").reason
            assert len(it.server.jobs) == 1
            await keyring.control.retry(it.entry("a.wav").uid)
            await until(lambda: len(it.server.jobs) == 2)
            finish(it)
            await until(lambda: it.state_of("a.wav") is S.DONE)
            keyring.key = "old"
            await until(lambda: status_of(it, "a.wav") == "deleted")
        assert [job.project for job in it.server.jobs] == ["ours", "another"]


async def test_a_twin_that_cannot_be_deleted_at_once_is_deleted_later(bench):
    faults = Fault("lose_answer", on="post"), Fault("status", on="delete", status=503, times=4)
    async with bench(*faults, processing_time=600.0, listing_lag=0.3) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.server.jobs)
            first = it.server.jobs[0]
            twin = it.server.state.create(first.config, first.data_name, first.size, first.sha256)
            await until(lambda: it.server.state.status(twin) == "deleted")
            finish(it)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert it.entry("a.wav").job_id == first.id
