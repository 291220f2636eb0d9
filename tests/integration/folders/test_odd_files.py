"""Files that are being written, that are no recordings, or that have strange names."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tests.integration.folders.conftest import wav
from watcher.folders import Phase

pytestmark = pytest.mark.anyio


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
        candidate = d.watch._roots[root].queue.candidates.get(path)
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
