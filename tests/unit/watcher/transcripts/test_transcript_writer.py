"""The promises of the writer, held on real files while any step fails."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.faulty_files import STEPS, Fault, FaultyFiles, Killed, at, from_then_on
from tests.support.scratch import new_files, quick_folder, snapshot
from watcher.errors import NoSpace, NotWritable, OutputError
from watcher.models import OutputFormat
from watcher.transcripts.files import Files
from watcher.transcripts.naming import name_key
from watcher.transcripts.publish import RESERVED, _announcing_name
from watcher.transcripts.tempfiles import TempFile
from watcher.transcripts.writer import TranscriptWriter

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = {
    OutputFormat.TXT: b"Good morning.\n",
    OutputFormat.JSON_V2: b'{"format": "2.9"}',
    OutputFormat.SRT: b"1\n00:00:00,000 --> 00:00:01,000\nGood morning.\n",
}
FILE_SYSTEMS = {
    "links": {},
    "renames only": {"no_links": True},
    "neither": {"no_links": True, "no_rename": True},
}
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EDQUOT)


def expected(stem: str, contents=CONTENTS) -> dict[str, bytes]:
    return {stem + format_.suffix: content for format_, content in contents.items()}


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "meeting.wav"
    path.write_bytes(b"RIFF")
    return path


def test_outputs_stand_beside_the_recording_as_ordinary_files(recording):
    umask = os.umask(0o027)
    try:
        outputs = TranscriptWriter().publish(recording, recording.parent, CONTENTS)
    finally:
        os.umask(umask)
    assert [output.path.name for output in outputs] == ["meeting.txt", "meeting.json", "meeting.srt"]
    assert [output.format for output in outputs] == list(CONTENTS)
    assert all(o.sha256 == hashlib.sha256(CONTENTS[o.format]).hexdigest() for o in outputs)
    assert new_files(recording.parent, {"meeting.wav": snapshot(recording.parent)["meeting.wav"]}) == expected(
        "meeting"
    )
    assert {stat.S_IMODE(o.path.stat().st_mode) for o in outputs} == {0o640}
    assert {o.path.stat().st_nlink for o in outputs} == {1}


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_one_taken_name_moves_all_formats_to_the_next_stem(recording, kind):
    mine = recording.with_name("meeting.json")
    mine.write_text("my own notes")
    before = snapshot(recording.parent)
    outputs = TranscriptWriter(files=FaultyFiles(**FILE_SYSTEMS[kind])).publish(recording, recording.parent, CONTENTS)
    assert {o.path.name for o in outputs} == set(expected("meeting.wav"))
    assert new_files(recording.parent, before) == expected("meeting.wav")


def test_publishing_again_changes_nothing_and_says_the_same(recording):
    first = TranscriptWriter().publish(recording, recording.parent, CONTENTS)
    before = snapshot(recording.parent)
    assert TranscriptWriter().publish(recording, recording.parent, CONTENTS) == first
    assert snapshot(recording.parent) == before


def test_the_same_words_in_another_recording_get_files_of_their_own(recording):
    """Two silent recordings have equal transcripts; one's outputs must not serve for the other's."""
    silence = {OutputFormat.TXT: b""}
    writer = TranscriptWriter()
    first = writer.publish(recording, recording.parent, silence)
    other = recording.with_suffix(".mp3")
    other.write_bytes(b"ID3")
    second = writer.publish(other, recording.parent, silence, claimed=[o.path for o in first])
    assert [o.path.name for o in (*first, *second)] == ["meeting.txt", "meeting.mp3.txt"]


def test_a_name_that_differs_only_in_case_or_composition_is_taken(tmp_path):
    for source, taken in (("Café.wav", "cafe\u0301.TXT"), ("straße.wav", "STRASSE.txt")):
        recording = tmp_path / source
        recording.write_bytes(b"RIFF")
        (tmp_path / taken).write_text("mine")
        outputs = TranscriptWriter().publish(recording, tmp_path, {OutputFormat.TXT: b"ours"})
        assert outputs[0].path.name == f"{source}.txt"
        assert (tmp_path / taken).read_text() == "mine"


@pytest.mark.parametrize(
    ("kind", "naming"), [("links", "link"), ("renames only", "rename_noreplace"), ("neither", "replace")]
)
def test_content_is_on_the_disk_before_it_has_a_name_and_names_are_before_it_is_said(recording, kind, naming):
    files = FaultyFiles(**FILE_SYSTEMS[kind])
    TranscriptWriter(files=files).publish(recording, recording.parent, CONTENTS)
    steps = files.steps
    first_name, last_name = steps.index(naming), len(steps) - 1 - steps[::-1].index(naming)
    assert steps[:first_name].count("fsync") == len(CONTENTS)
    assert "fsync_folder" in steps[last_name:]


class FoldingFiles(Files):
    """A file system that ignores case and composition, and spells names in its own way."""

    def create(self, path, mode=0o666):
        return super().create(self._folded(path), mode)

    def open(self, path):
        return super().open(self._folded(path))

    def lstat(self, path):
        return super().lstat(self._folded(path))

    def link(self, source, target):
        super().link(self._folded(source), self._folded(target))

    def unlink(self, path):
        super().unlink(self._folded(path))

    def _folded(self, path):
        return path.with_name(name_key(path.name))


def test_a_file_system_that_respells_names_gets_its_outputs_once(tmp_path):
    recording = tmp_path / "Café.wav"
    recording.write_bytes(b"RIFF")
    (tmp_path / "notes.txt").write_text("mine")
    writer = TranscriptWriter(files=FoldingFiles())
    first = writer.publish(recording, tmp_path, CONTENTS)
    assert [o.path.name for o in first] == ["Café.txt", "Café.json", "Café.srt"]
    before = snapshot(tmp_path)
    assert writer.publish(recording, tmp_path, CONTENTS) == first
    assert snapshot(tmp_path) == before
    other = writer.publish(tmp_path / "NOTES.wav", tmp_path, CONTENTS)
    assert other[0].path.name == "NOTES.wav.txt"
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links and pipes")
@pytest.mark.parametrize("thing", ["link to a file", "dangling link", "link to the same bytes", "pipe", "folder"])
def test_what_is_no_plain_file_is_left_alone(recording, tmp_path_factory, thing):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "precious"
    target = recording.with_name("meeting.txt")
    if thing == "folder":
        target.mkdir()
    elif thing == "pipe":
        os.mkfifo(target)
    else:
        if thing != "dangling link":
            elsewhere.write_bytes(CONTENTS[OutputFormat.TXT] if "same" in thing else b"precious")
        target.symlink_to(elsewhere)
    before, was = snapshot(recording.parent), elsewhere.exists() and elsewhere.read_bytes()
    TranscriptWriter().publish(recording, recording.parent, CONTENTS)
    assert new_files(recording.parent, before) == expected("meeting.wav")
    assert (elsewhere.exists() and elsewhere.read_bytes()) == was


def test_a_mirrored_folder_is_made_but_a_vanished_recordings_folder_is_not(recording, tmp_path):
    mirrored = tmp_path / "out" / "2026" / "May"
    outputs = TranscriptWriter().publish(recording, mirrored, {OutputFormat.TXT: b"hi"})
    assert [o.path for o in outputs] == [mirrored / "meeting.txt"]
    gone = tmp_path / "unplugged" / "meeting.wav"
    with pytest.raises(NotWritable, match="unplugged"):
        TranscriptWriter().publish(gone, gone.parent, CONTENTS)
    assert not gone.parent.exists()


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EPERM, errno.EXDEV])
def test_any_single_failure_leaves_all_or_nothing_and_the_next_run_completes(kind, when, error):
    for number in range(_count_steps(kind)):
        with quick_folder() as folder:
            source, before = _prepared(folder)
            files = FaultyFiles(at(number, Fault(error, after=when == "after")), **FILE_SYSTEMS[kind])
            try:
                TranscriptWriter(files=files).publish(source, folder, CONTENTS)
            except OutputError:
                assert new_files(folder, before) == {}, (number, files.steps[number])
            else:
                assert new_files(folder, before) in _complete(), (number, files.steps[number])
            _assert_next_run_completes(source, before, kind)


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_step_the_next_run_completes(kind, when):
    for number in range(_count_steps(kind)):
        with quick_folder() as folder:
            source, before = _prepared(folder)
            files = FaultyFiles(at(number, Fault(None, after=when == "after")), **FILE_SYSTEMS[kind])
            with pytest.raises(Killed):
                TranscriptWriter(files=files).publish(source, folder, CONTENTS)
            new_files(folder, before)
            _assert_next_run_completes(source, before, kind)


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_on_a_disk_that_dies_at_any_step_nothing_foreign_changes(kind):
    for number in range(_count_steps(kind)):
        with quick_folder() as folder:
            source, before = _prepared(folder)
            files = FaultyFiles(from_then_on(number, Fault(errno.EIO)), **FILE_SYSTEMS[kind])
            with suppress(NotWritable):
                TranscriptWriter(files=files).publish(source, folder, CONTENTS)
            new_files(folder, before)
            _assert_next_run_completes(source, before, kind)


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("content", [b"a person's", b"", RESERVED[:10], CONTENTS[OutputFormat.SRT]])
def test_a_person_who_takes_a_name_in_a_race_keeps_it(kind, content):
    for number in range(_count_steps(kind)):
        with quick_folder() as folder:
            source, before = _prepared(folder)

            def person(step_number, step, number=number, folder=folder, before=before):
                target = folder / "meeting.srt"
                if step_number == number and not target.exists():
                    target.write_bytes(content)
                    before["meeting.srt"] = snapshot(folder)["meeting.srt"]

            files = FaultyFiles(before=person, **FILE_SYSTEMS[kind])
            outputs = TranscriptWriter(files=files).publish(source, folder, CONTENTS)
            stem = outputs[0].path.name.removesuffix(".txt")
            there = new_files(folder, before) | {n: e[2] for n, e in before.items() if n in expected(stem)}
            assert there == expected(stem), (number, files.steps[number])
            assert {o.path.name: o.path.read_bytes() for o in outputs} == expected(stem)


@st.composite
def situations(draw):
    """A folder with anything in it, on any kind of file system, with any fault at any step."""
    names = st.sampled_from(
        [
            stem + suffix
            for stem in ("meeting", "meeting.wav", "MEETING", "meeting.wav (2)")
            for suffix in (".txt", ".json")
        ]
    )
    contents = st.sampled_from([b"", b"mine", *CONTENTS.values(), RESERVED + b"!", RESERVED[:9]])
    formats = draw(st.lists(st.sampled_from(list(CONTENTS)), min_size=1, unique=True))
    lasting = draw(st.booleans())
    # A disk that goes on doing everything, and calls all of it a failure, is not looked at.
    happens_too = False if lasting else draw(st.booleans())
    return (
        draw(st.dictionaries(names, contents, max_size=5)),
        {format_: CONTENTS[format_] for format_ in formats},
        draw(st.sampled_from(list(FILE_SYSTEMS))),
        draw(st.integers(0, 60)),
        Fault(draw(st.sampled_from([None, *ERRORS])), after=happens_too),
        lasting,
    )


@settings(max_examples=400, deadline=None)
@given(situations())
def test_whatever_fails_wherever_nothing_foreign_changes_and_a_second_run_completes(situation):
    foreign, contents, kind, number, fault, lasting = situation
    with quick_folder() as folder:
        for name, content in foreign.items():
            (folder / name).write_bytes(content)
        source, before = _prepared(folder)
        plan = (from_then_on if lasting else at)(number, fault)
        files = FaultyFiles(plan, **FILE_SYSTEMS[kind])
        try:
            outputs = TranscriptWriter(files=files).publish(source, folder, contents)
        except OutputError:
            assert lasting or new_files(folder, before) == {}
        except Killed:
            pass
        else:
            _assert_whole(outputs, contents, new_files(folder, before))
            return
        new_files(folder, before)
        outputs = TranscriptWriter(files=FaultyFiles(**FILE_SYSTEMS[kind])).publish(source, folder, contents)
        _assert_whole(outputs, contents, new_files(folder, before))
        assert not _leftovers(folder)


def _assert_whole(outputs, contents, written) -> None:
    assert {o.format: o.path.read_bytes() for o in outputs} == contents
    assert len({o.path.name.removesuffix(o.format.suffix) for o in outputs}) == 1
    assert set(written) <= {o.path.name for o in outputs}


def test_every_step_is_named_by_the_fault_layer():
    assert {"create", "write", "fsync", "link", "rename_noreplace", "unlink", "fsync_folder", "listdir"} <= set(STEPS)


def _prepared(folder: Path) -> tuple[Path, dict[str, tuple[object, ...]]]:
    source = folder / "meeting.wav"
    source.write_bytes(b"RIFF")
    (folder / "other.txt").write_text("of a person")
    return source, snapshot(folder)


def _complete() -> list[dict[str, bytes]]:
    """One failed step may cost a stem (a name was taken as far as it could be told), never an output."""
    return [expected("meeting"), expected("meeting.wav"), expected("meeting.wav (2)")]


def _count_steps(kind: str) -> int:
    with quick_folder() as folder:
        source, _ = _prepared(folder)
        files = FaultyFiles(**FILE_SYSTEMS[kind])
        TranscriptWriter(files=files).publish(source, folder, CONTENTS)
        return len(files.steps)


def _assert_next_run_completes(source: Path, before: dict[str, tuple[object, ...]], kind: str) -> None:
    outputs = TranscriptWriter(files=FaultyFiles(**FILE_SYSTEMS[kind])).publish(source, source.parent, CONTENTS)
    assert new_files(source.parent, before) in _complete()
    assert {o.format: o.path.read_bytes() for o in outputs} == CONTENTS
    assert not _leftovers(source.parent)


def _leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".dropscribe-")]


@pytest.mark.skipif(os.name != "posix", reason="locks are told apart by flock")
def test_stale_temp_files_go_and_live_ones_stay(recording):
    folder = recording.parent
    stale, alike = folder / f".dropscribe-{'0' * 16}.tmp", folder / ".dropscribe-notes.tmp"
    stale.write_bytes(b"half of")
    alike.write_bytes(b"a person's")
    with TempFile(Files(), folder, b"in use") as live:
        TranscriptWriter().publish(recording, folder, CONTENTS)
        assert live.path.read_bytes() == b"in use"
    assert not stale.exists()
    assert alike.read_bytes() == b"a person's"
    assert not live.path.exists()


@pytest.mark.skipif(os.name != "posix", reason="locks are told apart by flock")
def test_a_name_that_a_live_process_has_reserved_is_left_to_it(recording):
    reserved = recording.with_name("meeting.txt")
    reserved.write_bytes(RESERVED)
    with TempFile(Files(), recording.parent, b"its transcript") as theirs:
        theirs.rename(_announcing_name(reserved))
        first = TranscriptWriter().publish(recording, recording.parent, CONTENTS)
        assert reserved.read_bytes() == RESERVED
    assert {o.path.name for o in first} == set(expected("meeting.wav"))
    other = recording.with_name("meeting.mp3")
    assert TranscriptWriter().publish(other, recording.parent, {OutputFormat.TXT: b"new"})[0].path == reserved


def test_a_temp_file_that_another_process_took_for_abandoned_is_made_again(tmp_path):
    """Also where the file system doesn't count a file's names."""

    class Shared(Files):
        removed = False

        def lock(self, descriptor):
            if not self.removed:
                self.removed = True
                next(tmp_path.iterdir()).unlink()
            super().lock(descriptor)

        def fstat(self, descriptor):
            status = super().fstat(descriptor)
            return os.stat_result((*status[:3], 0, *status[4:]))

    with TempFile(Shared(), tmp_path, b"new") as temp:
        assert list(tmp_path.iterdir()) == [temp.path]
        assert temp.path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == []


def test_check_finds_a_folder_that_can_be_written_and_leaves_nothing(tmp_path):
    folder = tmp_path / "made" / "for it"
    TranscriptWriter(reserve=0).check(folder, 1000)
    assert list(folder.iterdir()) == []


def test_check_says_before_paying_that_space_is_short(tmp_path):
    writer = TranscriptWriter(reserve=1 << 60)
    with pytest.raises(NoSpace, match="MB are free") as failure:
        writer.check(tmp_path, 1000)
    assert "Free some space" in failure.value.fix


@pytest.mark.parametrize(
    ("error", "kind"), [(errno.ENOSPC, NoSpace), (errno.EDQUOT, NoSpace), (errno.EROFS, NotWritable)]
)
@pytest.mark.parametrize("step", ["create", "write"])
def test_check_finds_what_only_writing_can_find(tmp_path, error, kind, step):
    files = FaultyFiles(lambda _number, name: Fault(error) if name == step else None)
    with pytest.raises(kind, match=str(tmp_path)):
        TranscriptWriter(files=files).check(tmp_path, 1000)
    assert list(tmp_path.iterdir()) == []


def test_check_makes_no_folder_unless_it_may(tmp_path):
    with pytest.raises(NotWritable, match="unplugged"):
        TranscriptWriter().check(tmp_path / "unplugged", 10, create=False)
    assert not (tmp_path / "unplugged").exists()
