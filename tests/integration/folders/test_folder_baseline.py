"""`existing = "ignore"`: what was in a folder before it was first watched is told from what came later."""

import os
import threading

import pytest

from tests.integration.folders.conftest import wav
from tests.support.aging import aged
from watcher.folders import watch_task
from watcher.folders.scan import Scan
from watcher.models import Existing, WatchFolder

pytestmark = pytest.mark.anyio


@pytest.fixture
def gate(monkeypatch):
    """Until it is set, scans wait, as they do on a slow disk; so do looks at files."""

    is_open = threading.Event()

    class Held(Scan):
        def batches(self, start=None):
            assert is_open.wait(60)
            yield from super().batches(start)

    monkeypatch.setattr(watch_task, "Scan", Held)
    yield is_open
    is_open.set()


def old_file(path):
    """A recording whose content is from long ago, and whose inode is a little older than what comes next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav())
    os.utime(path, (1, 1))
    return aged(path)


def ignoring(root):
    return WatchFolder(root, settle=0.3, existing=Existing.IGNORE)


def were_there(desk, root):
    return {str(item.path.relative_to(root)): item.preexisting for item in desk.settled}


async def test_what_was_there_before_is_told_apart(desk, root):
    old_file(root / "old.wav")
    async with desk(ignoring(root), is_new_root=lambda path: path == root) as d:
        (root / "new.wav").write_bytes(wav())
        await d.until_settled(root / "old.wav", root / "new.wav")
        assert were_there(d, root) == {"old.wav": True, "new.wav": False}


async def test_what_happens_before_the_first_scan_ends_makes_nothing_new_of_what_was_there(desk, gate, root, tmp_path):
    for name in ("renamed", "made readable", "opened", "x/in a folder", "y/chmod", "same", "written"):
        old_file(root / f"{name}.wav")
    old_file(root / "download.wav.part")
    old_file(tmp_path / "outside/came.wav")
    old_file(tmp_path / "tree/came.wav")
    async with desk(ignoring(root), is_new_root=lambda path: path == root, how=None) as d:
        await d.until(lambda: d.watch.status() and d.watch.status()[0].watching == "events")
        (root / "renamed.wav").rename(root / "renamed 2.wav")
        (root / "made readable.wav").chmod(0o600)
        with (root / "opened.wav").open("r+b"):
            pass
        (root / "x").rename(root / "x2")
        (root / "y").chmod(0o700)
        with (root / "written.wav").open("r+b") as file:
            file.write(wav())
        (root / "download.wav.part").rename(root / "download.wav")
        (tmp_path / "outside/came.wav").rename(root / "came.wav")
        (tmp_path / "tree").rename(root / "tree")
        (root / "tree/came.wav").rename(root / "tree/came 2.wav")
        (root / "new.wav").write_bytes(wav())
        os.utime(root / "new.wav", (1, 1))  # as `cp -p` does
        await d.until(lambda: len(d.hints) >= 7)
        gate.set()
        await d.until(lambda: len(d.settled) == 11)
        assert were_there(d, root) == {
            "renamed 2.wav": True,
            "made readable.wav": True,
            "opened.wav": True,
            "x2/in a folder.wav": True,
            "y/chmod.wav": True,
            "same.wav": True,
            "written.wav": False,
            "download.wav": False,
            "came.wav": False,
            "tree/came 2.wav": False,
            "new.wav": False,
        }


async def test_a_tree_of_old_recordings_that_comes_later_is_new(desk, root, tmp_path):
    old_file(tmp_path / "tree/below/a.wav")
    async with desk(ignoring(root), is_new_root=lambda path: path == root) as d:
        (tmp_path / "tree").rename(root / "tree")
        await d.until_settled(root / "tree/below/a.wav")
        assert were_there(d, root) == {"tree/below/a.wav": False}


async def test_the_baseline_is_complete_when_all_that_was_there_is_taken(desk, gate, root):
    old_file(root / "a.wav")
    async with desk(ignoring(root), is_new_root=lambda path: path == root, how=None) as d:
        await d.until(lambda: d.watch.status() and d.watch.status()[0].watching == "events")
        assert d.watch.baselines() == set()
        with (root / "busy.wav").open("wb"):
            gate.set()
            await d.until(lambda: d.watch.baselines() == {root})
            assert d.paths() == [root / "a.wav"], "what came later is not waited for"
