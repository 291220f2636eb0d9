"""The writer and the store on real file systems that are full, out of inodes, or read-only."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.support.small_disks import mounted
from watcher.errors import NoSpace, NotWritable
from watcher.models import OutputFormat
from watcher.transcripts import TranscriptStore, TranscriptWriter

TXT, JSON = OutputFormat.TXT, OutputFormat.JSON_V2
SMALL, LARGE = b"Good morning.\n", os.urandom(60_000)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_disk_that_fills_up_half_way_gets_no_output_until_there_is_space(tmp_path):
    with mounted(tmp_path / "disk", "size=100k") as disk:
        recording = disk / "meeting.wav"
        recording.write_bytes(os.urandom(50_000))
        writer = TranscriptWriter()
        with pytest.raises(NoSpace, match=r"meeting\.wav.*full"):
            writer.publish(recording, disk, {TXT: SMALL, JSON: LARGE})
        assert names(disk) == ["meeting.wav"]
        os.truncate(recording, 10)
        outputs = writer.publish(recording, disk, {TXT: SMALL, JSON: LARGE})
        assert [o.path.read_bytes() for o in outputs] == [SMALL, LARGE]
        assert names(disk) == ["meeting.json", "meeting.txt", "meeting.wav"]


def test_a_full_disk_is_found_before_paying(tmp_path):
    with mounted(tmp_path / "disk", "size=100k") as disk:
        TranscriptWriter(reserve=0).check(disk, 50_000)
        with pytest.raises(NoSpace, match="MB are free"):
            TranscriptWriter(reserve=60_000).check(disk, 50_000)


def test_a_disk_without_inodes_is_found_before_paying(tmp_path):
    with mounted(tmp_path / "disk", "size=1m,nr_inodes=3") as disk:
        for number in range(2):
            (disk / f"{number}.wav").touch()
        with pytest.raises(NoSpace):
            TranscriptWriter(reserve=0).check(disk, 100)
        with pytest.raises(NoSpace):
            TranscriptWriter().publish(disk / "0.wav", disk, {TXT: SMALL})
        assert names(disk) == ["0.wav", "1.wav"]


def test_a_read_only_disk_is_found_before_paying_and_while_writing(tmp_path):
    with mounted(tmp_path / "disk", "size=1m") as disk:
        (disk / "meeting.wav").touch()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(NotWritable, match="Read-only"):
            TranscriptWriter(reserve=0).check(disk, 100)
        with pytest.raises(NotWritable, match="Read-only"):
            TranscriptWriter().publish(disk / "meeting.wav", disk, {TXT: SMALL})
        assert names(disk) == ["meeting.wav"]


def test_what_the_store_keeps_survives_a_full_disk(tmp_path):
    with mounted(tmp_path / "disk", "size=200k") as disk:
        store = TranscriptStore(disk / "transcripts")
        store.put("u1", {TXT: SMALL})
        with pytest.raises(NoSpace):
            store.put("u1", {JSON: os.urandom(300_000)})
        assert store.get("u1") == {TXT: SMALL}
        store.put("u2", {JSON: LARGE})
        assert store.get("u2") == {JSON: LARGE}


def test_outputs_move_to_another_disk(tmp_path):
    recording = tmp_path / "meeting.wav"
    recording.touch()
    writer = TranscriptWriter()
    outputs = writer.publish(recording, tmp_path, {TXT: SMALL, JSON: LARGE})
    with mounted(tmp_path / "disk", "size=1m") as disk:
        moved = writer.move_outputs(outputs, disk / "meeting.wav", disk)
        assert [o.path for o in moved] == [disk / "meeting.txt", disk / "meeting.json"]
        assert all(map(writer.is_still_ours, moved))
        assert names(tmp_path) == ["disk", "meeting.wav"]
