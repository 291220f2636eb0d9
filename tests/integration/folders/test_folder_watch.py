"""FolderWatch on real folders: nothing is missed, nothing is handed on half, nothing twice."""

import asyncio
import os

import pytest

from tests.integration.folders.conftest import wav
from watcher.models import WatchFolder

pytestmark = pytest.mark.anyio


async def test_a_dropped_recording_settles_and_is_hinted_at(desk, root):
    async with desk(root) as d:
        (root / "a.wav").write_bytes(wav())
        await d.until(lambda: d.hints == [root / "a.wav"])
        item = (await d.until_settled(root / "a.wav"))[root / "a.wav"]
        found = (root / "a.wav").stat()
        assert (item.size, item.mtime_ns, item.inode) == (found.st_size, found.st_mtime_ns, found.st_ino)
        assert item.complete
        assert not item.preexisting
        assert item.folder.path == root
        await d.nothing_left()
        assert len(d.items) == 1


async def test_what_was_there_at_the_start_is_found(desk, root):
    (root / "deep/er").mkdir(parents=True)
    (root / "deep/er/a.mp3").write_bytes(b"x")
    async with desk(root) as d:
        await d.until_settled(root / "deep/er/a.mp3")
        assert await d.nothing_left() == []


async def test_what_is_known_is_not_handed_on_again(desk, root):
    (root / "a.mp3").write_bytes(b"x")
    async with desk(root) as d:
        await d.until_settled(root / "a.mp3")
        os.utime(root / "a.mp3", ns=(1, d.settled[0].mtime_ns))
        for _ in range(3):
            await d.nothing_left()
        assert len(d.items) == 1


async def test_what_was_taken_is_not_handed_on_again_while_the_ledger_has_not_written_it(desk, root):
    async with desk(root) as d:
        d.remembers = False
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        for _ in range(3):
            await d.nothing_left()
        assert len(d.items) == 1


async def test_a_slow_taker_holds_up_a_large_first_scan_and_loses_nothing(desk, root):
    for number in range(3000):
        (root / f"{number}.wav").write_bytes(b"RIFF\4\0\0\0WAVE")
        os.utime(root / f"{number}.wav", (1, 1))
    async with desk(WatchFolder(root, settle=0.0), how=None, most_candidates=100) as d:
        await d.until(lambda: len(d.settled) == 3000)
        await d.nothing_left()
        assert len(d.items) == 3000


async def test_the_iteration_ends_with_run(desk, root):
    async with desk(root) as d:
        pass
    with pytest.raises(StopAsyncIteration):
        await d.watch.__anext__()
    assert await d.watch.scan_complete() == []


@pytest.mark.long
async def test_ten_thousand_at_once_are_all_settled(desk, root):
    count = 10_000

    def drop():
        for number in range(count):
            (root / f"{number}.wav").write_bytes(b"RIFF\4\0\0\0WAVE")

    async with desk(root) as d:
        await asyncio.to_thread(drop)
        await d.until(lambda: len(d.settled) >= count, seconds=60)
        assert len(set(d.paths())) == count
        assert await d.nothing_left() == []
        assert len(d.items) == count
