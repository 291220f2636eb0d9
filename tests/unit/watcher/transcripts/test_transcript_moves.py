"""Outputs follow their recording, as long as they are exactly as they were written."""

from __future__ import annotations

import errno
from contextlib import suppress

import pytest

from tests.support.faulty_files import Fault, FaultyFiles, Killed, at
from tests.support.scratch import new_files, quick_folder, snapshot
from watcher.errors import OutputError
from watcher.models import Output, OutputFormat
from watcher.transcripts.writer import TranscriptWriter

CONTENTS = {
    OutputFormat.TXT: b"Good morning.\n",
    OutputFormat.JSON_V2: b'{"format": "2.9"}',
    OutputFormat.SRT: b"1\n00:00:00,000 --> 00:00:01,000\nGood morning.\n",
}


def expected(stem):
    return {stem + format_.suffix: content for format_, content in CONTENTS.items()}


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "meeting.wav"
    path.write_bytes(b"RIFF")
    return path


def test_an_output_is_ours_until_someone_changes_it(recording):
    writer = TranscriptWriter()
    txt, json_v2, srt = writer.publish(recording, recording.parent, CONTENTS)
    assert all(map(writer.is_still_ours, (txt, json_v2, srt)))
    txt.path.write_text("corrected by hand")
    json_v2.path.unlink()
    assert not writer.is_still_ours(txt)
    assert not writer.is_still_ours(json_v2)
    assert writer.is_still_ours(srt)


def test_outputs_follow_a_renamed_recording_and_edited_ones_stay(recording):
    writer = TranscriptWriter()
    txt, json_v2, srt = writer.publish(recording, recording.parent, CONTENTS)
    txt.path.write_text("corrected by hand")
    renamed = recording.rename(recording.with_name("Board.wav"))
    moved = writer.move_outputs((txt, json_v2, srt), renamed, renamed.parent)
    assert [o.path.name for o in moved] == ["meeting.txt", "Board.json", "Board.srt"]
    assert {p.name for p in renamed.parent.iterdir()} == {"Board.wav", "meeting.txt", "Board.json", "Board.srt"}
    assert txt.path.read_text() == "corrected by hand"
    assert writer.move_outputs((txt, json_v2, srt), renamed, renamed.parent) == moved


def test_outputs_that_follow_clobber_nothing(recording):
    writer = TranscriptWriter()
    outputs = writer.publish(recording, recording.parent, CONTENTS)
    mine = recording.with_name("Board.txt")
    mine.write_text("my own")
    renamed = recording.rename(recording.with_name("Board.wav"))
    moved = writer.move_outputs(outputs, renamed, renamed.parent)
    assert {o.path.name for o in moved} == set(expected("Board.wav"))
    assert mine.read_text() == "my own"


def test_outputs_that_went_along_with_their_folder_are_recognised(tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    (old / "meeting.wav").write_bytes(b"RIFF")
    writer = TranscriptWriter()
    outputs = writer.publish(old / "meeting.wav", old, CONTENTS)
    new = old.rename(tmp_path / "new")
    moved = writer.move_outputs(outputs, new / "meeting.wav", new)
    assert [o.path for o in moved] == [new / o.path.name for o in outputs]
    assert all(map(writer.is_still_ours, moved))


def test_moving_is_all_or_nothing_at_every_step_and_can_be_repeated():
    number, reached = 0, True
    while reached:
        for fault in (Fault(errno.EIO), Fault(None), Fault(None, after=True)):
            with quick_folder() as folder:
                source = folder / "meeting.wav"
                source.write_bytes(b"RIFF")
                (folder / "other.txt").write_text("of a person")
                before = snapshot(folder)
                outputs = TranscriptWriter().publish(source, folder, CONTENTS)
                renamed = source.rename(folder / "Board.wav")
                before["Board.wav"] = before.pop("meeting.wav")
                files = FaultyFiles(at(number, fault))
                with suppress(OutputError, Killed):
                    TranscriptWriter(files=files).move_outputs(outputs, renamed, folder)
                reached = len(files.steps) > number
                there = new_files(folder, before)
                assert sorted(set(there.values())) == sorted(CONTENTS.values())
                moved = TranscriptWriter().move_outputs(outputs, renamed, folder)
                assert {o.format: o.path.read_bytes() for o in moved} == CONTENTS
                assert new_files(folder, before) in (expected("Board"), expected("meeting"), expected("Board.wav"))
        number += 1


def test_an_edited_output_is_a_persons_even_if_it_was_removed_elsewhere(recording):
    writer = TranscriptWriter()
    ghost = Output(recording.with_name("ghost.txt"), OutputFormat.TXT, "0" * 64)
    assert writer.move_outputs((ghost,), recording, recording.parent) == (ghost,)
