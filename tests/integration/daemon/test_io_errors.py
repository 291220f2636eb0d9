"""A disk that fails: nothing is lost or paid twice, and work continues automatically once the disk works again."""

import errno
import os

import pytest

from tests.support.daemon_bench import until
from watcher.models import EntryState
from watcher.transcripts.files import Files

pytestmark = pytest.mark.anyio
S = EntryState

BEFORE_PAYING = {("create", errno.EROFS), ("write", errno.ENOSPC), ("create", errno.EIO)}
AFTER_PAYING = {("fsync", errno.EIO), ("replace", errno.EIO), ("link", errno.EIO), ("fsync_folder", errno.ENOSPC)}


@pytest.mark.parametrize(("step", "code"), sorted(BEFORE_PAYING | AFTER_PAYING))
async def test_a_disk_that_fails_for_a_while_costs_only_time(bench, monkeypatch, step, code):
    real, ill = getattr(Files, step), True

    def failing(self, *args, **kwargs):
        if ill:
            raise OSError(code, os.strerror(code))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Files, step, failing)
    async with bench() as it:
        it.record("a.wav")
        sources = it.sources()
        async with it.running():
            await until(lambda: it.entry("a.wav") is not None and it.entry("a.wav").reason)
            entry = it.entry("a.wav")
            why = "the disk is full" if code == errno.ENOSPC else os.strerror(code)
            assert why in entry.reason
            assert "continues automatically" in entry.fix
            assert len(it.server.jobs) == ((step, code) in AFTER_PAYING)
            assert not (it.inbox / "a.txt").exists()
            assert not (it.inbox / "a.json").exists()
            ill = False
            await until(lambda: it.state_of("a.wav") is S.DONE)
        it.assert_promises(sources)
        assert len(it.server.jobs) == 1
        assert not list(it.inbox.glob(".dropscribe-*"))
