"""When Dropscribe itself fails, no recording is called damaged: it is HELD, says why, and goes on after an update."""

import shutil
from dataclasses import replace

import pytest

from tests.support.broken_packages import broken_package
from tests.support.daemon_bench import FAST, until, write_recording
from watcher.media import WORKER
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """Break a package in every child that is started from now on; `mend` puts it right."""

    class Broken:
        folder = tmp_path / "broken"

        def __call__(self, name, code):
            for variable, value in broken_package(self.folder, name, code).items():
                monkeypatch.setenv(variable, value)

        def mend(self):
            shutil.rmtree(self.folder)

    return Broken()


async def test_a_broken_decoder_holds_recordings_and_an_update_lets_them_go_on(bench, broken):
    broken("av", "raise ImportError('libavcodec.so is gone')")
    async with bench() as it:
        it.record("a.wav")
        it.record("b.wav")
        await it.run()
        for name in ("a.wav", "b.wav"):
            entry = it.entry(name)
            assert entry.state is S.HELD
            assert "Dropscribe itself failed" in entry.reason
            assert "ImportError: libavcodec.so is gone" in entry.reason
            assert "Update Dropscribe" in entry.fix
        assert it.server.jobs == []
        await it.run()
        assert it.state_of("a.wav") is S.HELD, "it still can't be read"
        broken.mend()
        await it.run()
        assert (it.state_of("a.wav"), it.state_of("b.wav"), len(it.server.jobs)) == (S.DONE, S.DONE, 2)


async def test_a_person_need_not_wait_for_the_next_scan(bench, broken):
    broken("av", "{}['codec']")
    async with bench() as it:
        it.record("a.wav")
        async with it.running() as control:
            await until(lambda: it.state_of("a.wav") is S.HELD)
            broken.mend()
            await control.retry(it.entry("a.wav").uid)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


_FAILS_TO_PREPARE = """
import importlib.util
spec = importlib.util.spec_from_file_location("worker", {script!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)

def prepare(*arguments, **more):
    return None.samples

worker.prepare = prepare
worker.main()
"""


async def test_a_mistake_while_sound_is_extracted_holds_it_and_it_is_tried_again_by_itself(bench, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(_FAILS_TO_PREPARE.format(script=str(WORKER)))
    timings = replace(FAST, retry=replace(FAST.retry, first_fault=0.2))
    failing = {"media_worker": script, "runtime": {"timings": timings}}
    async with bench(account={"upload_limit": 300}) as it:
        write_recording(it.inbox / "a.wav", "quiet", samples=16000)
        await it.run(**failing)
        held = it.entry("a.wav")
        assert held.state is S.HELD
        assert "AttributeError: 'NoneType' object has no attribute 'samples'" in held.reason
        assert held.next_attempt_at > 0
        async with it.running(**failing):
            await until(lambda: len(it.reasons("a.wav")) > 6)
            assert "It is tried again." in it.reasons("a.wav")
            it.account.upload_limit = 10**9
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1
