"""The daemon on real file systems that are full or read-only: it waits, says why, and goes on by itself."""

import asyncio
import contextlib
import errno
import os
import subprocess

import pytest

from tests.support.daemon_bench import until
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


@contextlib.contextmanager
def mounted(folder, options):
    """A small tmpfs; skips where this machine doesn't let the test mount one."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount` on this machine")
    if done.returncode:
        pytest.skip(f"this user can't mount a tmpfs: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder, how):
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


def fill(folder):
    """Leave no byte free."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (folder / "more").write_bytes(bytes(8192))
    (folder / "more").unlink(missing_ok=True)
    return filler


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
                await until(lambda: it.state_of("a.wav") is it.state_of("b.wav") is S.DONE, within=40)
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
                await until(lambda: it.state_of("a.wav") is S.DONE, within=40)
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
                await until(lambda: it.state_of("a.wav") is S.DONE, within=20)
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
                await until(lambda: it.state_of("a.wav") is S.DONE, within=20)
            assert len(it.server.jobs) == 1
