"""Accounts and folders that the config doesn't have any more, or has only now."""

from dataclasses import replace

import pytest

from tests.support.aging import aged
from tests.support.daemon_bench import FAST, until, write_recording
from tests.support.fault_server import Fault
from watcher.config import FolderConfig
from watcher.models import EntryState, Existing

pytestmark = pytest.mark.anyio
S = EntryState


async def test_jobs_at_an_account_that_is_not_configured_any_more_are_held_and_go_on_when_it_returns(bench):
    async with bench(processing_time=0.4) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.state_of("a.wav") is S.SUBMITTED)
        with it.elsewhere():
            async with it.running():
                await until(lambda: it.state_of("a.wav") is S.HELD)
                assert "the config now names another address" in it.entry("a.wav").reason
        await it.run()
        assert it.state_of("a.wav") is S.DONE
        assert len(it.server.jobs) == 1


async def test_a_lost_answer_is_not_looked_for_in_another_accounts_list(bench):
    """That list proves nothing, whatever it shows."""
    async with bench(Fault("lose_answer", on="post"), Fault("status", on="list", times=None)) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.server.jobs and it.state_of("a.wav") is S.SUBMITTING)
        it.server.script.clear()
        it.record("b.wav")
        with it.elsewhere():
            async with it.running():
                await until(lambda: it.state_of("b.wav") is S.DONE)
                assert it.state_of("a.wav") is S.HELD
        await it.run(
            runtime={"timings": replace(FAST, once_quiet=0.0)}
        )  # doesn't end before it has looked for the lost job
        assert it.state_of("a.wav") is S.DONE
        assert len(it.server.jobs) == 2


async def test_folders_that_are_watched_no_more_leave_nothing_waiting(bench, tmp_path):
    async with bench() as it:
        it.record("a.wav")
        async with it.running() as control:
            await control.pause()
            await until(lambda: it.state_of("a.wav") is S.WAITING)
        other = tmp_path / "other"
        other.mkdir()
        async with it.running(config=it.config(FolderConfig(path=str(other)))) as control:
            await control.resume()
            await until(lambda: it.entry("a.wav") is None)
        await it.run()
        assert it.state_of("a.wav") is S.DONE


async def test_what_was_there_before_is_left_alone_even_if_the_folder_came_late(bench, tmp_path):
    late = tmp_path / "late"
    async with bench() as it:
        both = it.config(
            FolderConfig(path=str(it.inbox), settle=0.0),
            FolderConfig(path=str(late), settle=0.0, existing=Existing.IGNORE),
        )
        await it.run(config=both)  # the folder is not there yet
        aged(write_recording(late / "old.wav", "old"))
        await it.run(config=both)
        old = it.read(lambda ledger: ledger.at_path(late / "old.wav"))
        assert old.state is S.SKIPPED
        assert not it.server.jobs
        write_recording(late / "new.wav", "new")
        await it.run(config=both)
        assert [job.data_name for job in it.server.jobs] == ["new.wav"]
