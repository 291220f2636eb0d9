"""Downloads, renames and moves: what was there is followed, what comes is taken whole."""

import asyncio
import os

import pytest

from tests.integration.folders.conftest import wav

pytestmark = pytest.mark.anyio


async def test_new_content_under_an_old_name_is_handed_on(desk, root):
    async with desk(root) as d:
        (root / "a.wav").write_bytes(wav(100))
        await d.until_settled(root / "a.wav")
        (root / "new.tmp").write_bytes(wav(200))
        (root / "new.tmp").replace(root / "a.wav")
        await d.until(lambda: [item.size for item in d.settled] == [244, 444])


@pytest.mark.parametrize("ending", [".part", ".crdownload", ".tmp", ".filepart"])
async def test_a_download_is_taken_under_its_final_name(ending, desk, root):
    async with desk(root) as d:
        partial = root / f"a.wav{ending}"
        if ending == ".part":
            (root / "a.wav").touch()  # Firefox keeps the name free with an empty file
        partial.write_bytes(wav(100))
        with partial.open("ab") as file:
            file.write(bytes(100))
        partial.rename(root / "a.wav")
        await d.until_settled(root / "a.wav")
        await d.nothing_left()
        assert [(item.path, item.size) for item in d.settled] == [(root / "a.wav", 344)]


async def test_a_tree_moved_in_is_taken_whole(desk, root, tmp_path):
    outside = tmp_path / "outside"
    for number in range(50):
        folder = outside / str(number % 7) / str(number % 3)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}.wav").write_bytes(wav())
    async with desk(root) as d:
        outside.rename(root / "inside")
        await d.until(lambda: len(d.settled) == 50)
        later = root / "inside/3/1/later.wav"
        later.write_bytes(wav())
        await d.until_settled(later)


async def test_a_tree_made_in_place_is_taken_whole(desk, root):
    def make():
        for number in range(200):
            folder = root / f"{number % 10}/{number % 4}/{number}"
            folder.mkdir(parents=True)
            (folder / "a.wav").write_bytes(wav(10))

    async with desk(root) as d:
        await asyncio.to_thread(make)
        await d.until(lambda: len(d.settled) == 200)
        await d.nothing_left()
        assert len(d.items) == 200


async def test_a_hard_link_and_an_atomic_replace_are_seen(desk, root, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav())
    async with desk(root) as d:
        (root / "linked.wav").hardlink_to(tmp_path / "a.wav")
        await d.until_settled(root / "linked.wav")


async def test_a_rename_inside_is_a_move_and_nothing_new(desk, root):
    async with desk(root) as d:
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        (root / "b.wav").parent.mkdir(exist_ok=True)
        (root / "a.wav").rename(root / "b.wav")
        await d.until(lambda: d.moved == [(root / "a.wav", root / "b.wav")])
        await d.nothing_left()
        assert len(d.items) == 2


async def test_a_folder_renamed_inside_moves_each_recording(desk, root):
    (root / "x").mkdir()
    for name in "abc":
        (root / f"x/{name}.wav").write_bytes(wav())
    async with desk(root) as d:
        await d.until(lambda: len(d.settled) == 3)
        (root / "x").rename(root / "y")
        await d.until(lambda: sorted(d.moved) == [(root / f"x/{n}.wav", root / f"y/{n}.wav") for n in "abc"])
        await d.nothing_left()
        assert len(d.moved) == 3
        # A scan may meet one of them before its move was taken; what takes it knows it by its path.
        assert set(d.paths()) <= {root / f"{folder}/{n}.wav" for folder in "xy" for n in "abc"}


async def test_a_move_between_two_watch_folders_is_a_move(desk, root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    async with desk(root, other) as d:
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        (root / "a.wav").rename(other / "b.wav")
        await d.until(lambda: d.moved == [(root / "a.wav", other / "b.wav")])
        await d.nothing_left()
        assert len(d.items) == 2


async def test_a_folder_moved_between_two_watch_folders_moves_each_recording(desk, root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (root / "x").mkdir()
    (root / "x/a.wav").write_bytes(wav())
    async with desk(root, other) as d:
        await d.until_settled(root / "x/a.wav")
        (root / "x").rename(other / "y")
        await d.until(lambda: d.moved == [(root / "x/a.wav", other / "y/a.wav")])
        (other / "y/later.wav").write_bytes(wav())
        await d.until_settled(other / "y/later.wav")


async def test_the_same_move_may_happen_again(desk, root):
    """As when a recorder rotates its files; of a move inside a nested watch folder both hear, but it is one."""
    inner = root / "inner"
    inner.mkdir()
    async with desk(root, inner) as d:
        for times in (1, 2):
            (inner / "a.wav").write_bytes(wav(100 * times))
            await d.until(lambda times=times: len(d.settled) == times)
            (inner / "a.wav").replace(inner / "b.wav")
            await d.until(lambda times=times: d.moved == [(inner / "a.wav", inner / "b.wav")] * times)
        await d.nothing_left()
        assert len(d.items) == 4


async def test_what_comes_back_before_the_ledger_has_it_is_handed_on_again(desk, root, tmp_path):
    async with desk(root) as d:
        d.remembers = False
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        (root / "a.wav").rename(tmp_path / "away.wav")
        (tmp_path / "away.wav").rename(root / "a.wav")
        await d.until(lambda: len(d.settled) == 2)


async def test_content_that_is_replaced_within_one_tick_of_a_rough_clock_is_noticed(desk, root):
    """FAT tells mtimes in steps of two seconds, and a recorder's files may all have the same length."""
    path = root / "a.wav"
    new = root / "new.tmp"
    async with desk(root) as d:
        path.write_bytes(wav())
        tick = int(path.stat().st_mtime) * 10**9
        os.utime(path, ns=(tick, tick))
        await d.until(lambda: d.watch.pending() == 1)
        new.write_bytes(wav())
        os.utime(new, ns=(tick, tick))
        new.replace(path)
        await d.until_settled(path)
        assert d.settled[-1].inode == path.stat().st_ino
        assert len(d.settled) == 1
