"""Watch folders: nested, polled, symbolic links, gone and back; and what events miss."""

import os
import threading
from collections import deque

import pytest

from tests.integration.folders.conftest import wav
from watcher.folders import Phase, Watching
from watcher.folders.disk import Disk
from watcher.folders.system import FolderSystem
from watcher.models import WatchFolder
from watcher.timings import FolderTimings

pytestmark = pytest.mark.anyio


async def test_the_innermost_watch_folder_owns_a_file(desk, root):
    inner = root / "a/inner"
    inner.mkdir(parents=True)
    (inner / "before.wav").write_bytes(wav())
    async with desk(root, inner) as d:
        (inner / "sub").mkdir()
        (inner / "sub/x.wav").write_bytes(wav())
        (root / "a/y.wav").write_bytes(wav())
        items = await d.until_settled(inner / "before.wav", inner / "sub/x.wav", root / "a/y.wav")
        assert items[inner / "before.wav"].folder.path == inner
        assert items[inner / "sub/x.wav"].folder.path == inner
        assert items[root / "a/y.wav"].folder.path == root
        await d.nothing_left()
        assert len(d.items) == 3
        (inner / "sub/x.wav").rename(inner / "sub/z.wav")
        (root / "a/y.wav").rename(inner / "y.wav")
        await d.until(lambda: len(d.moved) == 2)
        await d.nothing_left()
        assert len(d.items) == 5


async def test_without_recursion_only_the_top_is_watched(desk, root):
    (root / "sub").mkdir()
    (root / "sub/a.wav").write_bytes(wav())
    async with desk(WatchFolder(root, recursive=False, settle=0.3)) as d:
        (root / "sub/b.wav").write_bytes(wav())
        (root / "c.wav").write_bytes(wav())
        await d.until_settled(root / "c.wav")
        await d.nothing_left()
        assert d.paths() == [root / "c.wav"]
        assert (await d.watch.explain(root / "sub/a.wav")).rule == "subfolder"


async def test_a_polled_folder_finds_everything_too(desk, root):
    async with desk(
        WatchFolder(root, polling="always", settle=0.1), timings=FolderTimings(poll=0.05), how="polling"
    ) as d:
        assert "always" in d.watch.status()[0].why
        (root / "sub").mkdir()
        (root / "sub/a.wav").write_bytes(wav())
        (root / "b.wav").write_bytes(wav())
        await d.until_settled(root / "sub/a.wav", root / "b.wav")
        (root / "b.wav").write_bytes(wav(200))
        await d.until(lambda: [i.size for i in d.settled if i.path == root / "b.wav"] == [3244, 444])


async def test_a_root_that_is_a_symlink_is_watched(desk, root, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(root)
    async with desk(link) as d:
        (root / "sub").mkdir()
        (root / "sub/a.wav").write_bytes(wav())
        await d.until_settled(link / "sub/a.wav")
        assert d.watch.status()[0].watching is Watching.EVENTS


async def test_a_root_that_goes_and_comes_back_is_waited_for(desk, root, tmp_path):
    async with desk(root) as d:
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        root.rename(tmp_path / "unplugged")
        await d.until(lambda: d.watch.status()[0].watching is Watching.UNAVAILABLE)
        assert "isn't there" in d.watch.status()[0].why
        assert (await d.watch.explain(root / "a.wav")).phase is Phase.UNAVAILABLE
        (tmp_path / "unplugged/b.wav").write_bytes(wav())
        (tmp_path / "unplugged").rename(root)
        await d.until_settled(root / "b.wav")
        (root / "c.wav").write_bytes(wav())
        await d.until_settled(root / "c.wav")
        await d.until_watching()
        await d.nothing_left()
        assert len(d.items) == 3


async def test_a_root_replaced_by_another_folder_is_watched_anew(desk, root, tmp_path):
    (tmp_path / "next").mkdir()
    (tmp_path / "next/b.wav").write_bytes(wav())
    async with desk(root) as d:
        root.rename(tmp_path / "previous")
        (tmp_path / "next").rename(root)
        await d.until_settled(root / "b.wav")
        await d.until_watching()
        (root / "c.wav").write_bytes(wav())
        (tmp_path / "previous/never.wav").write_bytes(wav())
        await d.until_settled(root / "c.wav")
        assert d.paths() == [root / "b.wav", root / "c.wav"]


async def test_a_root_that_is_not_there_yet_is_waited_for(desk, tmp_path):
    async with desk(tmp_path / "later", how=None) as d:
        await d.until(lambda: bool(d.watch.status()) and d.watch.status()[0].watching is Watching.UNAVAILABLE)
        [left] = await d.watch.scan_complete()
        assert (left.path, left.phase) == (tmp_path / "later", Phase.UNAVAILABLE)
        (tmp_path / "later").mkdir()
        (tmp_path / "later/a.wav").write_bytes(wav())
        await d.until_settled(tmp_path / "later/a.wav")


async def test_a_missed_event_is_made_up_for_by_the_next_scan(desk, root):
    async with desk(root) as d:
        d.watch._observer._tell = d.hints.append  # nothing reaches the watch any more
        d.watch._observer.unwatch(root)
        (root / "a.wav").write_bytes(wav())
        # The pulse finds the observer gone, watches anew and scans.
        await d.until_settled(root / "a.wav")


async def test_a_periodic_scan_finds_what_events_missed_and_watches_anew(desk, root):
    async with desk(root, rescan=0.2) as d:
        watching = d.watch._observer._watches[root]
        heard, d.watch._dispatcher._inbox = d.watch._dispatcher._inbox, deque(maxlen=0)
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        d.watch._dispatcher._inbox = heard
        await d.until(lambda: (now := d.watch._observer._watches.get(root)) is not None and now is not watching)
        (root / "b.wav").write_bytes(wav())
        await d.until_settled(root / "b.wav")


class NetworkShare(Disk):
    def filesystem_of(self, folder):
        return "nfs4"


@pytest.mark.parametrize(("polling", "how"), [("auto", "polling"), ("never", "events")])
async def test_a_network_file_system_is_polled_unless_that_is_forbidden(polling, how, desk, root):
    folder = WatchFolder(root, polling=polling, settle=0.2)
    system = FolderSystem(files=NetworkShare())
    async with desk(folder, timings=FolderTimings(poll=0.05), system=system, how=how) as d:
        assert ("nfs4" in d.watch.status()[0].why) is (how == "polling")
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")


async def test_a_share_that_dies_while_a_file_settles_holds_up_only_itself(desk, root, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    dead = threading.Event()
    back = threading.Event()

    def slow(real):
        def look(path, *args, **kwargs):
            if dead.is_set() and isinstance(path, str | os.PathLike) and str(path).startswith(str(root)):
                assert back.wait(60)
            return real(path, *args, **kwargs)

        return look

    for name in ("lstat", "open", "scandir", "stat"):
        monkeypatch.setattr(os, name, slow(getattr(os, name)))
    monkeypatch.setattr(os.path, "lexists", slow(os.path.lexists))

    class DyingShare(Disk):
        def observe(self, path):
            seen = super().observe(path)
            if path == root / "a.wav" and not back.is_set():
                dead.set()
            return seen

    system = FolderSystem(files=DyingShare())
    share = WatchFolder(root, polling="always", settle=0.0)
    async with desk(
        share, WatchFolder(other, settle=0.1), how=None, system=system, timings=FolderTimings(poll=0.1)
    ) as d:
        await d.until(lambda: len(d.watch.status()) == 2 and all(status.last_scan for status in d.watch.status()))
        d.watch._roots[root].overrides.clear()
        (root / "a.wav").write_bytes(wav())
        opened = threading.Timer(30, back.set)
        opened.start()
        try:
            await d.until(dead.is_set)
            (other / "b.wav").write_bytes(wav())
            await d.until_settled(other / "b.wav")
            assert not back.is_set(), "the other folder was held up until the share came back"
        finally:
            opened.cancel()
            back.set()
        await d.until_settled(root / "a.wav")
