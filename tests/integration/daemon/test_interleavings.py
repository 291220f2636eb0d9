"""What others do at the worst moment: to the source, to the output folder, to the job, to the account."""

import shutil

import pytest

from tests.support.changing_keys import PROJECTS, daemon_with
from tests.support.daemon_bench import Bench, until, write_recording
from tests.support.fault_server import Fault
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


@pytest.mark.parametrize("moment", ["before commit: arm", "after commit: arm", "after commit: accept"])
async def test_a_source_that_is_replaced_by_a_rename_during_its_upload_loses_neither_content(bench, tmp_path, moment):
    """The open file goes on being read: its job is for the old content, which nobody has any more."""
    async with bench(processing_time=0.3) as it:
        path = it.record("a.wav", seed="one")
        new = write_recording(tmp_path / "new.wav", "two")
        content, replaced = new.read_bytes(), []

        def checkpoint(name):
            if name == moment and not replaced:
                replaced.append(name)
                new.replace(path)

        async with it.running(checkpoint=checkpoint):
            await until(lambda: replaced and it.state_of("a.wav") is S.DONE)
            await until(lambda: not it.read(lambda ledger: ledger.in_state(S.SUBMITTED)))
        assert path.read_bytes() == content
        digests = [job.sha256 for job in it.server.jobs]
        assert len(digests) == len(set(digests)) == 2
        assert it.entry("a.wav").fingerprint.sha256[:12] in it.text("a.txt")
        assert [entry.path for entry in it.read(lambda ledger: ledger.in_state(S.CANCELLED))] == [path]


@pytest.mark.parametrize("moment", ["after commit: arm", "after commit: transcribed"])
async def test_an_output_folder_that_vanishes_after_the_gate_is_made_anew(bench, tmp_path, moment):
    output = tmp_path / "transcripts"
    async with bench(folder={"output": str(output)}, processing_time=0.1) as it:
        it.record("a.wav")
        gone = []

        def checkpoint(name):
            if name == moment and not gone:
                gone.append(name)
                shutil.rmtree(output)

        async with it.running(checkpoint=checkpoint):
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert gone
        assert (output / "a.txt").exists()
        assert len(it.server.jobs) == 1


async def test_a_job_whose_answer_was_lost_and_that_somebody_deleted_is_not_paid_again(bench):
    async with bench(Fault("lose_answer", on="post"), Fault("status", on="list", times=None)) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.server.jobs)
            it.server.jobs[0].forced_status = "deleted"
            it.server.script.clear()
            await until(lambda: it.state_of("a.wav") is S.HELD)
        assert len(it.server.jobs) == 1
        assert "dropscribe retry" in it.entry("a.wav").fix


async def test_two_daemons_at_one_account_keep_to_their_own_jobs(bench, tmp_path):
    """Each has its own ledger and loses answers; neither adopts, deletes or waits for what the other submitted."""
    async with bench(Fault("lose_answer", on="post", times=6), processing_time=0.2) as it:
        (tmp_path / "second").mkdir()
        second = Bench(tmp_path / "second", it.server)
        for number in range(4):
            it.record(f"{number}.wav", seed=f"first {number}")
            second.record(f"{number}.wav", seed=f"second {number}")
        sources, others = it.sources(), second.sources()
        async with it.running(), second.running():
            for each in (it, second):
                await until(lambda each=each: each.ledger.exists())
                await until(lambda each=each: each.read(lambda ledger: ledger.counts())[S.DONE] == 4)
        assert len(it.server.jobs) == 8
        assert all(it.server.state.status(job) == "done" for job in it.server.jobs)
        mine = {entry.job_id for entry in it.read(lambda ledger: ledger.in_state(S.DONE))}
        theirs = {entry.job_id for entry in second.read(lambda ledger: ledger.in_state(S.DONE))}
        assert not mine & theirs
        it.assert_promises(sources)
        second.assert_promises(others)


async def test_what_was_cancelled_with_its_answer_lost_is_settled_before_its_copy_is_paid(bench):
    """The job may exist: it is looked for first, and does for the copy."""
    faults = Fault("lose_answer", on="post"), Fault("status", on="list", times=None)
    async with bench(*faults, processing_time=30.0) as it:
        it.record("a.wav", seed="same")
        async with it.running() as control:
            await until(lambda: it.server.jobs and it.state_of("a.wav") is S.SUBMITTING)
            await control.cancel(it.entry("a.wav").uid)
            it.record("b.wav", seed="same")
            await until(lambda: it.state_of("b.wav") is S.WAITING)
            told = await control.explain(it.inbox / "b.wav")
            assert "It waits for a.wav" in told["next"]
            it.server.script.clear()
            await until(lambda: it.state_of("b.wav") is S.SUBMITTED)
        assert it.entry("b.wav").job_id == it.server.jobs[0].id
        assert it.server.state.status(it.server.jobs[0]) == "running"
        assert len(it.server.jobs) == 1


async def test_a_key_that_is_changed_before_the_answer_leaves_the_job_to_the_old_one(bench):
    async with bench(projects=PROJECTS) as it:
        async with daemon_with(it, "old") as keyring:
            await keyring.control.pause()
            it.record("a.wav")
            await until(lambda: it.state_of("a.wav") is S.WAITING)
            it.server.script.add(Fault("delay", on="post", seconds=0.5))
            await keyring.control.resume()
            await until(lambda: it.server.jobs)
            keyring.key = "other"
            await until(lambda: it.state_of("a.wav") is S.HELD)
            assert "another API key" in it.entry("a.wav").reason
            keyring.key = "old"
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert [job.project for job in it.server.jobs] == ["ours"]
