"""What is asked of single files: fingerprint, who writes, and how a look never blocks or raises."""

import hashlib
import os
import socket
import subprocess
import sys

import pytest

from watcher.errors import SourceChanged, Unreadable
from watcher.folders.fingerprint import fingerprint, unreadable
from watcher.folders.stability.observe import observe
from watcher.folders.stability.open_files import open_for_writing

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")


def test_a_fingerprint_is_size_mtime_and_sha256(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"x" * 3_000_001)
    os.utime(path, ns=(1, 1234567890123456789))
    found = fingerprint(path)
    assert (found.size, found.mtime_ns) == (3_000_001, 1234567890123456789)
    assert found.sha256 == hashlib.sha256(b"x" * 3_000_001).hexdigest()


def test_a_fingerprint_of_a_name_that_is_no_text(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff\xfe" + b"x" * 240 + b".wav")
    path.write_bytes(b"")
    assert fingerprint(path).sha256 == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("change", ["append", "rewrite", "truncate"])
def test_a_file_that_changes_while_it_is_read_has_no_fingerprint(change, tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(b"x" * 5_000_000)
    module = sys.modules["watcher.folders.fingerprint"]
    real = module._read_into
    done = []

    def read(descriptor, view, which):
        count = real(descriptor, view, which)
        if not done:
            done.append(True)
            if change == "truncate":
                os.truncate(path, 100)
            else:
                with path.open("ab" if change == "append" else "r+b") as file:
                    file.write(b"more")
                os.utime(path, ns=(5, 5))
        return count

    monkeypatch.setattr(module, "_read_into", read)
    with pytest.raises(SourceChanged, match=r"a\.wav changed while it was being read") as caught:
        fingerprint(path)
    assert caught.value.fix


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "socket", "link"])
def test_what_is_no_file_is_refused_at_once(kind, tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    holder = None
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        holder = socket.socket(socket.AF_UNIX)
        monkeypatch.chdir(tmp_path)
        holder.bind("a.wav")
    elif kind == "link":
        (tmp_path / "b").write_bytes(b"x")
        path.symlink_to(tmp_path / "b")
    try:
        with pytest.raises(Unreadable, match=r"a\.wav") as caught:
            fingerprint(path)
    finally:
        if holder is not None:
            holder.close()
    assert caught.value.fix
    assert observe(path).sighting is None


def test_missing_permission_says_what_to_do(tmp_path):
    error = unreadable(tmp_path / "a.wav", PermissionError(13, "Permission denied"))
    assert "can't be read: permission denied" in error.message
    assert "permission" in error.fix


@linux_only
def test_an_open_writer_is_seen_and_a_reader_is_not(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF")
    assert observe(path).has_writer is False
    with path.open("rb"):
        assert observe(path).has_writer is False
    with path.open("ab"):
        assert observe(path).has_writer is True
    with path.open("r+b") as file:
        assert observe(path).has_writer is True
        file.write(b"RIFF")
    assert observe(path).has_writer is False


@linux_only
def test_a_writer_in_another_process_is_seen_and_not_disturbed(tmp_path):
    path = tmp_path / "a.wav"
    script = "import sys; f=open(sys.argv[1],'wb'); print(flush=True); sys.stdin.read(); f.write(b'whole'); f.close()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        for _ in range(200):
            assert observe(path).has_writer is True
        writer.stdin.close()
        assert writer.wait(10) == 0
    assert path.read_bytes() == b"whole"
    assert observe(path).has_writer is False


@linux_only
def test_where_leases_are_missing_the_process_table_tells(tmp_path, monkeypatch):
    import fcntl

    path = tmp_path / "a.wav"
    path.write_bytes(b"x")
    real = fcntl.fcntl

    def refuse(descriptor, command, *arguments):
        if command == fcntl.F_SETLEASE:
            raise OSError(22, "Invalid argument")
        return real(descriptor, command, *arguments)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    script = "import sys; f=open(sys.argv[1],'ab'); print(flush=True); sys.stdin.read()"
    with path.open("rb") as reader:
        assert open_for_writing(reader.fileno()) is None
        with subprocess.Popen(
            [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as writer:
            writer.stdout.readline()
            assert open_for_writing(reader.fileno()) is True
            writer.stdin.close()
            writer.wait(10)
        assert open_for_writing(reader.fileno()) is None


def test_a_look_at_a_pipe_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    assert observe(tmp_path / "a.wav").sighting is None
