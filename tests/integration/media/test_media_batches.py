"""Many recordings probed in one go: each gets its own answer, whatever the others do to the child process."""

import asyncio

import pytest

from tests.integration.media.conftest import make
from watcher.errors import BrokenMedia, InternalError, ReadTimeout, Unreadable
from watcher.folders import Settled
from watcher.media import WORKER, Prober
from watcher.models import EntryState, MediaInfo, WatchFolder
from watcher.scheduler.classify import classify

pytestmark = pytest.mark.anyio

_TROUBLED = """
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("worker", {script!r})
worker = importlib.util.module_from_spec(spec)
spec.loader.exec_module(worker)
real = worker.probe

def probe(path):
    name = os.path.basename(path)
    if name.startswith("hang"):
        time.sleep(600)
    if name.startswith("strange"):
        return {{"x": 1}}
    if name.startswith("die") or (name.startswith("once") and not os.path.exists(path + ".died")):
        open(path + ".died", "w").close()
        os._exit(9)
    return real(path)

worker.probe = probe
worker.main()
"""


@pytest.fixture
def troubled(tmp_path):
    """A program for children that hang and die at recordings whose names say so."""
    script = tmp_path / "troubled.py"
    script.write_text(_TROUBLED.format(script=str(WORKER)))
    return script


def recordings(folder, names):
    """Each a tenth of a second longer than the one before."""
    return [
        make(folder / f"{name}.wav", "wav", "pcm_s16le", seconds=(at + 1) / 10) for at, name in enumerate(names.split())
    ]


def outcomes(found):
    return [round(one.duration * 10) if isinstance(one, MediaInfo) else type(one) for one in found]


async def test_each_of_many_gets_its_own_answer(prober, tmp_path):
    paths = recordings(tmp_path, "a b c d")
    paths[1].write_bytes(b"")
    paths[2].unlink()
    assert outcomes(await prober.probe_all(paths)) == [1, BrokenMedia, Unreadable, 4]
    assert await prober.probe_all([]) == []


async def test_what_hurts_the_child_hurts_no_other_recording(tmp_path, troubled):
    paths = recordings(tmp_path, "a die b once c hang d die2")
    async with Prober(limit=1.0, workers=1, script=troubled) as prober:
        found = await prober.probe_all(paths)
        assert outcomes(found) == [1, InternalError, 3, 4, 5, ReadTimeout, 7, InternalError]
        assert "exit status 9" in found[1].message
        assert "longer than 1 s" in found[5].message
        assert all(
            str(path) in one.message for path, one in zip(paths, found, strict=True) if isinstance(one, Exception)
        )
        assert outcomes(await prober.probe_all(paths[:1])) == [1]


async def test_answers_that_nobody_waited_for_are_given_to_no_other(tmp_path):
    first, second = recordings(tmp_path, "a b")
    async with Prober(workers=1) as prober:
        await prober.probe(first)
        [before] = prober._free
        task = asyncio.create_task(prober.probe_all([second] * 200))
        while prober._free:  # noqa: ASYNC110 - until the child has it
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not before.is_alive
        assert outcomes([await prober.probe(first)]) == [1]


async def test_an_answer_that_makes_no_sense_ends_its_child(tmp_path, troubled):
    first, second = recordings(tmp_path, "strange b")
    async with Prober(workers=1, script=troubled) as prober:
        with pytest.raises(TypeError):
            await prober.probe_all([first, second])
        assert outcomes([await prober.probe(second)]) == [2]


async def test_a_recording_that_cannot_be_read_in_time_is_held_not_called_damaged(tmp_path, troubled):
    folder = WatchFolder(path=tmp_path)
    paths = recordings(tmp_path, "hang a")
    found = [Settled(folder, path, path.stat().st_size, path.stat().st_mtime_ns, 0) for path in paths]
    async with Prober(limit=1.0, workers=1, script=troubled) as prober:
        slow, fine = await classify(found, prober, asyncio.to_thread)
    assert (slow.state, fine.state) == (EntryState.HELD, EntryState.WAITING)
    assert "longer than 1 s" in slow.reason
    assert "slow or stuck" in slow.fix
    assert "retries automatically" in slow.fix
    assert not slow.fingerprint.sha256, "each scan finds it again"
