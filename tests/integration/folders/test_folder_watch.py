"""FolderWatch on real folders: nothing is missed, nothing is handed on half, nothing twice."""

import asyncio
import os
import socket
from collections import deque
from pathlib import Path

import pytest

from tests.integration.folders.conftest import wav
from watcher.folders import Phase, Watching
from watcher.models import Existing, WatchFolder

pytestmark = pytest.mark.anyio


async def test_a_dropped_recording_settles_and_is_hinted_at(desk, root):
    async with desk(root) as d:
        (root / "a.wav").write_bytes(wav())
        await d.until(lambda: d.hints == [root / "a.wav"])
        item = (await d.until_settled(root / "a.wav"))[root / "a.wav"]
        found = (root / "a.wav").stat()
        assert (item.size, item.mtime_ns, item.inode) == (found.st_size, found.st_mtime_ns, found.st_ino)
        assert item.complete
        assert not item.was_there_before
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
        assert len(d.items) == 6


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


async def test_a_file_held_open_waits_however_long_it_pauses(desk, root):
    path = root / "a.mp3"
    async with desk(root) as d:
        with path.open("wb") as file:
            file.write(b"x" * 1000)
            file.flush()
            os.utime(path, (1, 1))
            await d.until(lambda: d.watch.pending() == 1)
            seen = 0
            while seen < 3:
                d.watch.rescan_now()
                explanation = await d.watch.explain(path)
                assert explanation.phase is Phase.SETTLING
                seen += "open for writing" in explanation.reason
                await asyncio.sleep(0.01)
            assert not d.settled
            file.write(b"x" * 1000)
        await d.until_settled(path)
        assert [item.size for item in d.settled] == [2000]


async def test_a_copy_that_is_closed_and_reopened_is_taken_whole_only(desk, root):
    data = wav(4000)
    path = root / "a.wav"

    def waits(path, start):
        candidate = d.watch._roots[root].settler.candidates.get(path)
        seen = candidate is not None and candidate.last is not None and candidate.last.size == start + 3000
        return seen and "not complete" in candidate.reason

    async with desk(root) as d:
        for start in range(0, len(data), 3000):
            with path.open("ab") as file:
                file.write(data[start : start + 3000])
            if start + 3000 < len(data):
                await d.until(lambda start=start: waits(path, start))
        await d.until_settled(path)
        await d.nothing_left()
        assert [item.size for item in d.settled] == [len(data)]


async def test_a_container_cut_short_is_handed_on_as_such(desk, root):
    path = root / "a.wav"
    async with desk(root) as d:
        path.write_bytes(wav(4000)[:5000])
        (root / "empty.wav").touch()
        items = await d.until_settled(path, root / "empty.wav")
        assert not items[path].complete
        assert not items[root / "empty.wav"].complete


async def test_what_is_no_recording_is_never_handed_on(desk, root, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x.wav").write_bytes(wav())
    async with desk(root) as d:
        (root / "folder.wav").mkdir()
        os.mkfifo(root / "pipe.wav")
        (root / "loop").symlink_to(root)
        (root / "way out").symlink_to(tmp_path / "out")
        (root / "link.wav").symlink_to(tmp_path / "out/x.wav")
        with socket.socket(socket.AF_UNIX) as listener:
            here = Path.cwd()
            os.chdir(root)
            try:
                listener.bind("socket.wav")
            finally:
                os.chdir(here)
        for name in ("a.txt", "a.json", "a.srt", ".hidden.wav", "a.wav.part", "a.docx"):
            (root / name).write_bytes(wav())
        (root / "real.wav").write_bytes(wav())
        await d.until_settled(root / "real.wav")
        await d.nothing_left()
        assert d.paths() == [root / "real.wav"]


async def test_names_that_are_no_text_and_names_of_255_bytes(desk, root):
    names = [os.fsdecode(b"\xff\xfe\x80.wav"), "ü" * 125 + "x.wav", "new\nline.wav", "\u202e3pm.wav"]
    folder = root / os.fsdecode(b"dir\xfe")
    async with desk(root) as d:
        folder.mkdir()
        for name in names:
            (root / name).write_bytes(wav())
            (folder / name).write_bytes(wav())
        await d.until_settled(*(root / name for name in names), *(folder / name for name in names))
        (folder / names[0]).rename(root / os.fsdecode(b"moved\xfd.wav"))
        await d.until(lambda: d.moved == [(folder / names[0], root / os.fsdecode(b"moved\xfd.wav"))])
        assert (await d.watch.explain(root / names[0])).phase is Phase.DELIVERED


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
    async with desk(WatchFolder(root, polling="always", settle=0.1), poll=0.05, how="polling") as d:
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
        assert await d.watch.scan_complete() == []
        (tmp_path / "later").mkdir()
        (tmp_path / "later/a.wav").write_bytes(wav())
        await d.until_settled(tmp_path / "later/a.wav")


async def test_an_ignore_file_comes_and_goes(desk, root):
    (root / "private").mkdir()
    (root / "private/.dropscribe-ignore").touch()
    (root / "private/a.wav").write_bytes(wav())
    async with desk(root) as d:
        (root / "private/b.wav").write_bytes(wav())
        (root / "c.wav").write_bytes(wav())
        await d.until_settled(root / "c.wav")
        explanation = await d.watch.explain(root / "private/a.wav")
        assert (explanation.phase, explanation.rule) == (Phase.IGNORED, "ignore file")
        assert d.paths() == [root / "c.wav"]
        (root / "private/.dropscribe-ignore").unlink()
        await d.until_settled(root / "private/a.wav", root / "private/b.wav")


async def test_overrides_go_along_and_broken_ones_hold_recordings_until_mended(desk, root):
    (root / "de").mkdir()
    (root / "de/.dropscribe.toml").write_text('langage = "de"')
    async with desk(root) as d:
        (root / "de/a.wav").write_bytes(wav())
        await d.until(lambda: root / "de/a.wav" in d.watch._roots[root].blocked)
        [left] = await d.watch.scan_complete()
        assert left.phase is Phase.BLOCKED
        assert "langage" in left.reason
        assert any("langage" in problem for problem in d.watch.status()[0].problems)
        (root / "de/.dropscribe.toml").write_text('language = "de"')
        items = await d.until_settled(root / "de/a.wav")
        assert items[root / "de/a.wav"].folder.transcription == {"language": "de"}
        assert items[root / "de/a.wav"].folder.path == root


async def test_what_was_there_before_is_told_apart(desk, root):
    (root / "old.wav").write_bytes(wav())
    os.utime(root / "old.wav", (1, 1))
    folder = WatchFolder(root, settle=0.3, existing=Existing.IGNORE)
    async with desk(folder, new_roots=lambda path: path == root) as d:
        (root / "new.wav").write_bytes(wav())
        items = await d.until_settled(root / "old.wav", root / "new.wav")
        assert items[root / "old.wav"].was_there_before
        assert not items[root / "new.wav"].was_there_before


async def test_folders_change_while_running(desk, root, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b.wav").write_bytes(wav())
    async with desk(root) as d:
        await d.watch.set_folders([WatchFolder(root, settle=0.3, exclude=("no*",)), WatchFolder(other, settle=0.3)])
        await d.until_settled(other / "b.wav")
        (root / "no.wav").write_bytes(wav())
        (root / "yes.wav").write_bytes(wav())
        await d.until_settled(root / "yes.wav")
        await d.watch.set_folders([WatchFolder(root, settle=0.3)])
        await d.until_settled(root / "no.wav")
        assert [status.path for status in d.watch.status()] == [root]
        (other / "c.wav").write_bytes(wav())
        (root / "d.wav").write_bytes(wav())
        await d.until_settled(root / "d.wav")
        assert (await d.watch.explain(other / "c.wav")).phase is Phase.NOT_WATCHED
        assert other / "c.wav" not in d.paths()


async def test_explain_says_which_rule_decided(desk, root):
    (root / "folder.wav").mkdir()
    for name in ("a.txt", "a.wav.part", "small.wav", "x.xyz"):
        (root / name).write_bytes(b"x")
    async with desk(WatchFolder(root, settle=0.3, min_size=10)) as d:
        rules = {}
        for name in ("a.txt", "a.wav.part", "small.wav", "x.xyz", "folder.wav"):
            explanation = await d.watch.explain(root / name)
            await d.until(lambda: d.watch.pending() == 0)
            explanation = await d.watch.explain(root / name)
            assert explanation.phase is Phase.IGNORED
            assert explanation.folder == root
            rules[name] = explanation.rule
        assert rules == {
            "a.txt": "transcript",
            "a.wav.part": "temporary",
            "small.wav": "min_size",
            "x.xyz": "extension",
            "folder.wav": "kind",
        }
        assert (await d.watch.explain(root / "nowhere.wav")).phase is Phase.MISSING
        assert d.settled == []


async def test_the_mirrored_outputs_inside_the_tree_feed_nothing(desk, root):
    out = root / "out"
    async with desk(WatchFolder(root, settle=0.3, output=out, include=("*",))) as d:
        out.mkdir()
        for suffix in (".txt", ".json", ".srt", ".vtt", ".md"):
            (out / f"a{suffix}").write_bytes(wav())
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        await d.nothing_left()
        assert d.paths() == [root / "a.wav"]


async def test_own_outputs_are_asked_for_where_include_decides(desk, root):
    async def ours(path):
        return path.name == "ours.dat"

    folder = WatchFolder(root, settle=0.2, include=("*.dat",))
    async with desk(folder, own_outputs=ours) as d:
        (root / "ours.dat").write_bytes(b"x")
        (root / "theirs.dat").write_bytes(b"x")
        await d.until_settled(root / "theirs.dat")
        await d.nothing_left()
        assert d.paths() == [root / "theirs.dat"]


async def test_a_missed_event_is_made_up_for_by_the_next_scan(desk, root):
    async with desk(root) as d:
        d.watch._watcher._tell = d.hints.append  # nothing reaches the watch any more
        d.watch._watcher.unwatch(root)
        (root / "a.wav").write_bytes(wav())
        # The pulse finds the observer gone, watches anew and scans.
        await d.until_settled(root / "a.wav")


async def test_a_periodic_scan_finds_what_events_missed_and_watches_anew(desk, root):
    async with desk(root, rescan=0.2) as d:
        watching = d.watch._watcher._watches[root]
        heard, d.watch._inbox = d.watch._inbox, deque(maxlen=0)
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")
        d.watch._inbox = heard
        await d.until(lambda: (now := d.watch._watcher._watches.get(root)) is not None and now is not watching)
        (root / "b.wav").write_bytes(wav())
        await d.until_settled(root / "b.wav")


@pytest.mark.parametrize(("polling", "how"), [("auto", "polling"), ("never", "events")])
async def test_a_network_file_system_is_polled_unless_that_is_forbidden(polling, how, desk, root, monkeypatch):
    monkeypatch.setattr("watcher.folders.root.filesystem_of", lambda _: "nfs4")
    async with desk(WatchFolder(root, polling=polling, settle=0.2), poll=0.05, how=how) as d:
        assert ("nfs4" in d.watch.status()[0].why) is (how == "polling")
        (root / "a.wav").write_bytes(wav())
        await d.until_settled(root / "a.wav")


async def test_a_slow_taker_holds_up_a_large_first_scan_and_loses_nothing(desk, root, monkeypatch):
    monkeypatch.setattr("watcher.folders.keeper._PLENTY", 100)
    for number in range(3000):
        (root / f"{number}.wav").write_bytes(b"RIFF\4\0\0\0WAVE")
        os.utime(root / f"{number}.wav", (1, 1))
    async with desk(WatchFolder(root, settle=0.0), how=None) as d:
        await d.until(lambda: len(d.settled) == 3000)
        await d.nothing_left()
        assert len(d.items) == 3000


async def test_the_iteration_ends_with_run(desk, root):
    async with desk(root) as d:
        pass
    with pytest.raises(StopAsyncIteration):
        await d.watch.__anext__()
    assert await d.watch.scan_complete() == []


@pytest.mark.slow
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
