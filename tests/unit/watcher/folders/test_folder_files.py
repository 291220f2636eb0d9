"""What is asked of single files: fingerprint, completeness, who writes, and how a look never blocks or raises."""

import hashlib
import os
import socket
import subprocess
import sys
import wave
from io import BytesIO

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.errors import SourceChanged, Unreadable
from watcher.folders.completeness import is_complete
from watcher.folders.fingerprint import fingerprint, unreadable
from watcher.folders.inspection import inspect
from watcher.folders.writers import open_for_writing

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="leases are Linux's")


def encoded(container, codec, *, seconds=1.0, rate=16000, options=None):
    """Encode a tone; return the file's bytes."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=container, options=options or {}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.codec_context.layout = "mono"
        if not codec.startswith(("pcm", "flac")):
            stream.codec_context.bit_rate = 64_000
        resampler = av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate, frame_size=0)
        tone = (np.sin(np.arange(int(seconds * rate)) * 0.1) * 8000).astype(np.int16)
        fifo = av.AudioFifo()
        frame = av.AudioFrame.from_ndarray(tone.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = rate
        for piece in resampler.resample(frame):
            piece.pts = None
            fifo.write(piece)
        size = stream.codec_context.frame_size or 1024
        while (piece := fifo.read(size)) or (piece := fifo.read(size, partial=True)):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def wav(frames=1600):
    buffer = BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(2 * frames))
    return buffer.getvalue()


def completeness(path, data):
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return is_complete(descriptor, len(data))
    finally:
        os.close(descriptor)


CONTAINERS = {
    "wav": ("wav", "pcm_s16le", True),
    "avi": ("avi", "pcm_s16le", True),
    "aiff": ("aiff", "pcm_s16be", True),
    "mp4": ("mp4", "aac", True),
    "mov": ("mov", "pcm_s16le", True),
    "fragmented mp4": ("mp4", "aac", True),
    "matroska": ("matroska", "aac", True),
    "asf": ("asf", "wmav2", True),
    "ogg": ("ogg", "libopus", True),
    "mp3": ("mp3", "libmp3lame", True),
    "flac": ("flac", "flac", None),
    "adts": ("adts", "aac", None),
}
OPTIONS = {"fragmented mp4": {"movflags": "frag_keyframe+empty_moov"}}


@pytest.fixture(scope="module")
def containers():
    made = {}
    for name, (container, codec, _) in CONTAINERS.items():
        rate = 48000 if codec == "libopus" else 16000
        made[name] = encoded(container, codec, rate=rate, options=OPTIONS.get(name))
    return made


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_container_is_never_called_cut_short(name, containers, tmp_path):
    assert completeness(tmp_path / "x", containers[name]) is CONTAINERS[name][2]


@pytest.mark.parametrize("name", ["wav", "avi", "aiff", "mp4", "mov", "matroska", "asf", "mp3"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_container_that_tells_its_length_is_seen_to_be_cut_short(name, part, containers, tmp_path):
    data = containers[name]
    assert completeness(tmp_path / "x", data[: int(len(data) * part)]) is False


@pytest.mark.parametrize("name", ["ogg", "flac", "adts"])
def test_a_container_that_does_not_tell_is_not_called_whole(name, containers, tmp_path):
    data = containers[name]
    assert completeness(tmp_path / "x", data[:-200]) is None


def test_an_mp4_without_its_index_is_cut_short(containers, tmp_path):
    data = containers["mp4"]
    assert completeness(tmp_path / "x", data[: data.index(b"moov") - 4]) is False


def test_an_empty_file_is_cut_short(tmp_path):
    assert completeness(tmp_path / "x", b"") is False


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_wav_written_as_a_stream_does_not_tell(size, tmp_path):
    data = bytearray(wav())
    data[4:8] = size
    assert completeness(tmp_path / "x", bytes(data)) is None


def test_rf64_tells_its_length(tmp_path):
    body = wav()[8:]
    ds64 = b"ds64" + (28).to_bytes(4, "little") + (len(body) + 36).to_bytes(8, "little") + bytes(20)
    data = b"RF64\xff\xff\xff\xff" + body[:4] + ds64 + body[4:]
    assert completeness(tmp_path / "x", data) is True
    assert completeness(tmp_path / "x", data[:-100]) is False


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from([b"", b"RIFF", b"FORM", b"RF64", b"\x1a\x45\xdf\xa3", b"fLaC", b"OggS", b"ID3", b"\xff\xfb"]),
    rest=st.binary(max_size=300),
)
def test_no_bytes_make_it_fail_or_hang(start, rest, tmp_path_factory):
    data = start + rest
    assert completeness(tmp_path_factory.getbasetemp() / "any", data) in {True, False, None}


@settings(max_examples=200, deadline=None)
@given(length=st.integers(0, 2**32 - 1), kind=st.sampled_from([b"ftyp", b"moov", b"mdat"]), tail=st.binary(max_size=64))
def test_no_box_makes_it_fail_or_hang(length, kind, tail, tmp_path_factory):
    data = length.to_bytes(4, "big") + kind + tail
    assert completeness(tmp_path_factory.getbasetemp() / "box", data) in {True, False, None}


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
    with pytest.raises(SourceChanged, match=r"a\.wav changed while it was read") as caught:
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
    assert inspect(path).sighting is None


def test_missing_permission_says_what_to_do(tmp_path):
    error = unreadable(tmp_path / "a.wav", PermissionError(13, "Permission denied"))
    assert "may not be read" in error.message
    assert "permission" in error.fix


@linux_only
def test_an_open_writer_is_seen_and_a_reader_is_not(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav())
    assert inspect(path).written_by_others is False
    with path.open("rb"):
        assert inspect(path).written_by_others is False
    with path.open("ab"):
        assert inspect(path).written_by_others is True
    with path.open("r+b") as file:
        assert inspect(path).written_by_others is True
        file.write(b"RIFF")
    assert inspect(path).written_by_others is False


@linux_only
def test_a_writer_in_another_process_is_seen_and_not_disturbed(tmp_path):
    path = tmp_path / "a.wav"
    script = "import sys; f=open(sys.argv[1],'wb'); print(flush=True); sys.stdin.read(); f.write(b'whole'); f.close()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        for _ in range(200):
            assert inspect(path).written_by_others is True
        writer.stdin.close()
        assert writer.wait(10) == 0
    assert path.read_bytes() == b"whole"
    assert inspect(path).written_by_others is False


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
    assert inspect(tmp_path / "a.wav").sighting is None
