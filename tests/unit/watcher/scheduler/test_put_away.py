"""A recording is put away so that it is whole at one place or the other, wherever a step fails or is the last."""

import contextlib
import errno
import hashlib
import os
import subprocess
import sys

import pytest

from tests.support.faulty_files import Fault, FaultyFiles, Killed, at
from tests.support.scratch import quick_folder
from watcher.errors import NotWritable, RecordingError, SourceChanged
from watcher.models import Engine, Entry, EntryState, Fingerprint, Output, OutputFormat, WatchFolder
from watcher.scheduler import dispose as module
from watcher.scheduler.aside import aside_name
from watcher.scheduler.dispose import put_away
from watcher.transcripts.files import Files

CONTENT = b"a recording" * 1000
ASIDE = ".a.wav.dropscribe-aside"
MTIME = 1_700_000_000_123_456_789


def record(folder):
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.wav").write_bytes(CONTENT)
    os.utime(folder / "sub" / "a.wav", ns=(MTIME, MTIME))
    (folder / "sub" / "a.txt").write_text("words")
    return folder


@pytest.fixture
def folder(tmp_path):
    return record(tmp_path / "in")


def put(folder, after, *, files=None):
    entry = entry_of(folder)
    outputs = [Output(folder / "sub" / "a.txt", OutputFormat.TXT, "")]
    return put_away(entry, after, WatchFolder(folder), outputs, files=files or Files())


def entry_of(folder):
    """The entry of the recording as `record` made it."""
    digest = Fingerprint(len(CONTENT), MTIME, hashlib.sha256(CONTENT).hexdigest())
    path, formats = folder / "sub" / "a.wav", (OutputFormat.TXT,)
    return Entry(1, "uid", folder, path, EntryState.DONE, digest, Engine.LOCAL, {}, "key", formats, 0.0, 0.0)


def places(folder):
    """Where the recording is, whole: at its place, at its new one, or set aside."""
    found = [folder / "sub" / "a.wav", folder / "done" / "sub" / "a.wav", folder / "sub" / ASIDE]
    return [path for path in found if path.exists() and path.read_bytes() == CONTENT]


FILE_SYSTEMS = {
    "the same": {},
    "without a rename that doesn't replace": {"no_rename": True},
    "without links either": {"no_rename": True, "no_links": True},
}


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_it_is_moved_with_its_folders_and_its_time(folder, kind):
    before = (folder / "sub" / "a.wav").lstat()
    said = put(folder, "move:done", files=FaultyFiles(**FILE_SYSTEMS[kind]))
    target = folder / "done" / "sub" / "a.wav"
    assert said == f"The recording was moved to {target}."
    assert places(folder) == [target]
    assert (target.lstat().st_mtime_ns, target.lstat().st_mode) == (before.st_mtime_ns, before.st_mode)
    assert [path.name for path in target.parent.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [None, errno.EIO, errno.ENOSPC, errno.EROFS])
def test_wherever_a_step_fails_it_is_whole_and_the_next_try_ends_it(tmp_path, kind, when, error):
    number = 0
    while True:
        root = record(tmp_path / str(number))
        files = FaultyFiles(at(number, Fault(error, after=when == "after")), **FILE_SYSTEMS[kind])
        with contextlib.suppress(Killed, OSError):
            put(root, "move:done", files=files)
        struck = len(files.steps) > number
        assert places(root), f"lost at step {number}, {files.steps[-1]}"
        put(root, "move:done", files=FaultyFiles(**FILE_SYSTEMS[kind]))
        assert places(root) == [root / "done" / "sub" / "a.wav"], f"after step {number}, {files.steps}"
        # What could not be removed at once is hidden, and goes with the next recording that comes there.
        left = [path.name for path in (root / "done" / "sub").iterdir() if not path.name.startswith(".dropscribe-")]
        assert left == ["a.wav"], f"after step {number}, {files.steps}"
        if not struck:
            break
        number += 1
    assert number >= 3


def test_nothing_that_stands_at_the_new_place_is_replaced(folder):
    target = folder / "done" / "sub" / "a.wav"
    target.parent.mkdir(parents=True)
    target.write_bytes(b"another one")
    for lacking in FILE_SYSTEMS.values():
        with pytest.raises(RecordingError, match="already"):
            put(folder, "move:done", files=FaultyFiles(**lacking))
    assert target.read_bytes() == b"another one"
    assert places(folder) == [folder / "sub" / "a.wav"]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("after", ["move:.", "move:../in", "move:../alias", "move:sub/.."])
def test_moved_to_where_it_is_it_stays(folder, after, kind):
    (folder.parent / "alias").symlink_to(folder)
    with pytest.raises(RecordingError, match="the folder that it is in"):
        put(folder, after, files=FaultyFiles(**FILE_SYSTEMS[kind]))
    assert places(folder) == [folder / "sub" / "a.wav"]


def test_a_second_name_of_the_recording_is_not_taken_for_a_copy(folder):
    class SecondName(Files):
        """A file system on which two folders show the same files, as with a bind mount or another case."""

        def rename_noreplace(self, source, target):
            super().rename_noreplace(source, target)
            if target.name == ASIDE:
                (folder / "done" / "sub" / "a.wav").unlink()

    (folder / "done" / "sub").mkdir(parents=True)
    os.link(folder / "sub" / "a.wav", folder / "done" / "sub" / "a.wav")
    with pytest.raises(RecordingError, match="no copy of it"):
        put(folder, "move:done", files=SecondName())
    assert places(folder) == [folder / "sub" / "a.wav"]


def test_an_equal_recording_with_another_time_is_another_one(folder):
    target = folder / "done" / "sub" / "a.wav"
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    os.utime(target, ns=(1, 1))
    with pytest.raises(RecordingError, match="already"):
        put(folder, "move:done")
    assert len(places(folder)) == 2


@pytest.mark.parametrize("after", ["delete", "trash", "move:done"])
def test_a_recording_that_changed_stays(folder, after):
    source = folder / "sub" / "a.wav"
    source.write_bytes(b"a new take")
    with pytest.raises(SourceChanged):
        put(folder, after)
    assert source.read_bytes() == b"a new take"


@pytest.mark.parametrize("after", ["delete", "trash", "move:done"])
def test_it_stays_while_an_output_is_missing(folder, after):
    (folder / "sub" / "a.txt").unlink()
    with pytest.raises(RecordingError, match=r"a\.txt"):
        put(folder, after)
    assert places(folder) == [folder / "sub" / "a.wav"]


def test_a_folder_that_is_not_there_says_nothing(folder, tmp_path):
    folder.rename(tmp_path / "unplugged")
    with pytest.raises(NotWritable):
        put(folder, "delete")


def test_what_changes_during_a_long_copy_is_not_removed(folder, monkeypatch):
    real = module._copy

    def slow_copy(work, path, new):
        real(work, path, new)
        (folder / "sub" / "a.wav").write_bytes(b"a new take")

    monkeypatch.setattr(module, "_copy", slow_copy)
    with pytest.raises(SourceChanged, match="What was transcribed is at"):
        put(folder, "move:done", files=FaultyFiles(no_rename=True))
    assert (folder / "sub" / "a.wav").read_bytes() == b"a new take"
    assert places(folder) == [folder / "done" / "sub" / "a.wav"]


def test_it_is_deleted_once_and_a_second_time_finds_it_gone(folder):
    assert "deleted" in put(folder, "delete")
    assert not places(folder)
    assert "not at its path" in put(folder, "delete")


def test_the_trash_gets_it(folder, monkeypatch):
    binned = []
    monkeypatch.setattr(module.send2trash, "send2trash", lambda path: binned.append(path.name) or path.unlink())
    assert "trash" in put(folder, "trash")
    assert binned == ["a.wav"]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("error", [None, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("when", ["before", "after"])
def test_wherever_a_deletion_fails_it_is_whole_or_gone_and_never_hidden_for_long(tmp_path, kind, error, when):
    number = 0
    struck = True
    while struck:
        root = record(tmp_path / str(number))
        files = FaultyFiles(at(number, Fault(error, after=when == "after")), **FILE_SYSTEMS[kind])
        done = False
        with contextlib.suppress(Killed, OSError):
            put(root, "delete", files=files)
            done = True
        struck = len(files.steps) > number
        assert done or places(root) or "unlink" in files.steps, f"lost at step {number}, {files.steps}"
        put(root, "delete", files=FaultyFiles(**FILE_SYSTEMS[kind]))
        assert [path.name for path in (root / "sub").iterdir()] == ["a.txt"], f"after step {number}, {files.steps}"
        number += 1
    assert number >= 3


def put_until_killed(root, after, step, kind):
    """Put the recording away in a process that is killed after a step; returns whether there was that step."""
    files = FaultyFiles(at(step, Fault(None, after=True)), **FILE_SYSTEMS[kind])
    with contextlib.suppress(Killed, OSError):
        put(root, after, files=files)
    return len(files.steps) > step


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        *[("delete", kind) for kind in FILE_SYSTEMS],
        ("move:done", "the same"),
        # Many hundred pairs of steps.
        pytest.param("move:done", "without a rename that doesn't replace", marks=pytest.mark.long),
        pytest.param("move:done", "without links either", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_killed_twice_it_never_shows_anything_else_at_its_old_place(kind, after):
    """The second kill strikes while the next run puts back what the first one left aside."""
    first, struck_first = 0, True
    with quick_folder() as scratch:
        while struck_first:
            second, struck_second = 0, True
            while struck_second:
                root = record(scratch / f"{first} {second}")
                source = root / "sub" / "a.wav"
                struck_first = put_until_killed(root, after, first, kind)
                struck_second = put_until_killed(root, after, second, kind)
                assert not source.exists() or source.read_bytes() == CONTENT, f"after steps {first} and {second}"
                put(root, after, files=FaultyFiles(**FILE_SYSTEMS[kind]))
                left = sorted(path.name for path in (root / "sub").iterdir())
                assert left == ["a.txt"], f"after steps {first} and {second}"
                assert places(root) == ([root / "done" / "sub" / "a.wav"] if "move" in after else [])
                second += 1
            first += 1
    assert first >= 5


def test_it_is_at_its_place_while_it_is_copied_to_another_file_system(folder):
    seen = []

    def before(_number, step):
        if step in {"write", "fsync"}:
            seen.append(places(folder))

    put(folder, "move:done", files=FaultyFiles(before=before, no_rename=True, no_links=True))
    assert seen
    assert all(found == [folder / "sub" / "a.wav"] for found in seen), seen


def replace_it(source, content):
    """Put another file of the same size and time in its place."""
    new = source.with_name("new.tmp")
    new.write_bytes(content)
    os.utime(new, ns=(MTIME, MTIME))
    new.replace(source)


@pytest.mark.parametrize("after", ["delete", "trash", "move:done"])
def test_a_file_of_the_same_size_and_time_is_not_the_recording(folder, after):
    other = CONTENT[::-1]
    replace_it(folder / "sub" / "a.wav", other)
    with pytest.raises(SourceChanged, match="same size and time"):
        put(folder, after)
    assert (folder / "sub" / "a.wav").read_bytes() == other
    assert not (folder / "done").exists()


@pytest.mark.parametrize("after", ["delete", "move:done"])
@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_what_takes_its_place_between_the_check_and_the_rename_is_put_back(folder, after, kind):
    source = folder / "sub" / "a.wav"
    other = CONTENT[::-1]
    calls = []

    def before(_number, step):
        if step == "rename_noreplace" and not calls:
            calls.append(step)
            replace_it(source, other)

    with pytest.raises(SourceChanged, match="took its place"):
        put(folder, after, files=FaultyFiles(before=before, **FILE_SYSTEMS[kind]))
    assert source.read_bytes() == other
    assert sorted(path.name for path in (folder / "sub").iterdir()) == ["a.txt", "a.wav"]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_two_files_that_took_its_place_are_both_kept(folder, kind):
    source = folder / "sub" / "a.wav"
    seen = []

    def before(_number, step):
        seen.append(step)
        if step == "rename_noreplace" and seen.count(step) == 1:
            replace_it(source, CONTENT[::-1])
        if step == "open" and seen.count(step) == 1:  # the first is aside by now
            source.write_bytes(b"a third")

    with pytest.raises(SourceChanged, match=r"it is a \(2\)\.wav now, and both are kept"):
        put(folder, "delete", files=FaultyFiles(before=before, **FILE_SYSTEMS[kind]))
    assert source.read_bytes() == b"a third"
    assert (folder / "sub" / "a (2).wav").read_bytes() == CONTENT[::-1]


def test_what_a_killed_run_left_aside_is_put_back_even_if_after_says_keep_now(folder):
    source = folder / "sub" / "a.wav"
    source.rename(folder / "sub" / ASIDE)
    assert not module.restore(source, files=Files())
    assert places(folder) == [source]


def test_what_was_left_aside_does_not_replace_what_has_its_name_now(folder):
    source = folder / "sub" / "a.wav"
    source.rename(folder / "sub" / ASIDE)
    source.write_bytes(b"a new take")
    with pytest.raises(RecordingError, match=r"a \(2\)\.wav"):
        put(folder, "delete")
    assert source.read_bytes() == b"a new take"
    assert (folder / "sub" / "a (2).wav").read_bytes() == CONTENT


@pytest.mark.parametrize("after", ["delete", "trash", "move:done"])
def test_a_file_that_a_program_writes_to_waits(folder, after):
    """The program keeps it open; that of this test is another process, as a writer's own lease would not tell."""
    script = "import sys; f = open(sys.argv[1], 'ab'); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(folder / "sub" / "a.wav")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"open\n"
        with pytest.raises(NotWritable, match="open for writing"):
            put(folder, after)
        writer.stdin.close()
    assert places(folder) == [folder / "sub" / "a.wav"]


def test_another_name_of_the_same_file_stays(folder):
    (folder / "other.wav").hardlink_to(folder / "sub" / "a.wav")
    put(folder, "delete")
    assert not places(folder)
    assert (folder / "other.wav").read_bytes() == CONTENT


def test_a_link_in_its_place_is_left_alone(folder, tmp_path):
    source = folder / "sub" / "a.wav"
    source.rename(tmp_path / "private.wav")
    source.symlink_to(tmp_path / "private.wav")
    with pytest.raises(SourceChanged, match="symbolic link"):
        put(folder, "delete")
    assert source.is_symlink()
    assert (tmp_path / "private.wav").read_bytes() == CONTENT


def test_it_is_not_moved_through_a_folder_that_became_a_link(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "done").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        put(folder, "move:done")
    assert places(folder) == [folder / "sub" / "a.wav"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_name_that_is_too_long_to_be_shown_gets_a_short_one():
    name = "ä" * 120 + ".wav"
    assert len(aside_name(name).encode()) <= 255
    assert aside_name(name) != aside_name("ö" * 120 + ".wav")
