"""The daemon on real file systems that are full or read-only: it waits, says why, and continues automatically."""

import asyncio

import pytest

from tests.support.daemon_bench import until
from tests.support.small_disks import fill, mounted, remount
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


async def test_a_ledger_on_a_full_disk_waits_and_then_goes_on(bench, tmp_path):
    with mounted(tmp_path / "state", "size=3m"):
        async with bench() as it:
            it.record("a.wav")
            sources = it.sources()
            async with it.running() as control:
                await control.pause()
                await until(lambda: it.state_of("a.wav") is S.WAITING)
                await control.resume()
                filler = fill(it.state)
                it.record("b.wav")
                await asyncio.sleep(0.2)  # it tries meanwhile, and must not break
                filler.unlink()
                await until(lambda: it.state_of("a.wav") is it.state_of("b.wav") is S.DONE)
            it.assert_promises(sources)
            assert len(it.server.jobs) == 2


async def test_a_disk_that_fills_up_right_after_the_job_was_accepted_costs_no_second_job(bench, tmp_path):
    fillers = []

    def checkpoint(name):
        if name == "after commit: arm" and not fillers:
            fillers.append(fill(it.state))

    with mounted(tmp_path / "state", "size=3m"):
        async with bench() as it:
            it.record("a.wav")
            sources = it.sources()
            async with it.running(checkpoint=checkpoint):
                await until(lambda: it.server.jobs)
                await until(lambda: it.state_of("a.wav") is S.SUBMITTING)
                fillers[0].unlink()
                await until(lambda: it.state_of("a.wav") is S.DONE)
            it.assert_promises(sources)
            assert len(it.server.jobs) == 1


async def test_a_folder_that_becomes_read_only_after_paying_gets_its_transcript_later(bench, tmp_path):
    with mounted(tmp_path / "inbox", "size=40m"):
        async with bench(processing_time=0.5) as it:
            it.record("a.wav")
            async with it.running():
                await until(lambda: it.state_of("a.wav") is S.SUBMITTED)
                remount(it.inbox, "ro")
                await until(lambda: it.state_of("a.wav") is S.TRANSCRIBED and it.entry("a.wav").reason)
                assert "Read-only" in it.entry("a.wav").reason
                assert it.entry("a.wav").fix
                remount(it.inbox, "rw")
                await until(lambda: it.state_of("a.wav") is S.DONE)
            assert len(it.server.jobs) == 1


async def test_a_full_folder_is_found_before_paying(bench, tmp_path):
    with mounted(tmp_path / "inbox", "size=20m"):
        async with bench() as it:
            (it.inbox / "ballast").write_bytes(bytes(15_000_000))
            it.record("a.wav")
            async with it.running():
                await until(lambda: it.entry("a.wav") is not None and "free" in it.entry("a.wav").reason)
                assert not it.server.jobs
                (it.inbox / "ballast").unlink()
                await until(lambda: it.state_of("a.wav") is S.DONE)
            assert len(it.server.jobs) == 1
