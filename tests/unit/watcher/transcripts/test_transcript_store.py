"""What was paid for is kept whole, or is found to be damaged."""

from __future__ import annotations

import errno
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.faulty_files import Fault, FaultyFiles, Killed, at
from watcher.errors import NoSpace, NotWritable, OutputError
from watcher.models import OutputFormat
from watcher.transcripts.errors import DamagedTranscript
from watcher.transcripts.store import TranscriptStore

TXT, JSON, SRT = OutputFormat.TXT, OutputFormat.JSON_V2, OutputFormat.SRT
ORIGINALS = {TXT: "Grüße\n".encode(), JSON: b'{"results": []}'}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "transcripts"


@pytest.fixture
def store(folder):
    return TranscriptStore(folder)


def test_what_was_put_is_what_is_got(store):
    with pytest.raises(FileNotFoundError):
        store.get("u1")
    store.put("u1", ORIGINALS)
    assert store.get("u1") == ORIGINALS
    store.remove("u1")
    store.remove("u1")
    with pytest.raises(FileNotFoundError):
        store.get("u1")


def test_another_format_joins_those_that_are_kept(store):
    store.put("u1", ORIGINALS)
    store.put("u1", {SRT: b"1\n", TXT: b"again"})
    assert store.get("u1") == {TXT: b"again", JSON: ORIGINALS[JSON], SRT: b"1\n"}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX'")
def test_only_the_user_can_read_it(store, folder):
    store.put("u1", ORIGINALS)
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in found] == [0o600]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, found[0].parent)} == {0o700}


@pytest.mark.parametrize("uid", ["", "../../etc/passwd", "a/b", ".hidden", "a\0", "x" * 200, "u1\n"])
def test_a_uid_never_leads_out_of_the_store(store, uid):
    with pytest.raises(ValueError):
        store.put(uid, ORIGINALS)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_damage_is_found_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    store = TranscriptStore(folder)
    store.put("u1", ORIGINALS)
    path = next(path for path in folder.rglob("u1.*"))
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1), label="at")]
    else:
        content[data.draw(st.integers(0, len(content) - 1), label="at")] ^= data.draw(st.integers(1, 255), label="bits")
    path.write_bytes(content)
    try:
        assert store.get("u1") == ORIGINALS  # e.g. a flag in gzip's header that means nothing here
    except DamagedTranscript as error:
        assert str(path) in error.message  # noqa: PT017 - both ends are right
    store.put("u1", ORIGINALS)
    assert store.get("u1") == ORIGINALS


def test_what_cannot_be_read_is_damaged_too(store, folder):
    store.put("u1", ORIGINALS)
    broken = TranscriptStore(
        folder, files=FaultyFiles(lambda _number, step: Fault(errno.EIO) if step == "read" else None)
    )
    with pytest.raises(DamagedTranscript, match="Input/output"):
        broken.get("u1")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, None])
def test_whatever_fails_what_was_kept_stays_or_the_new_is_there(tmp_path, error, after):
    number, reached = 0, True
    new = {TXT: b"new", JSON: b"new"}
    while reached:
        folder = tmp_path / str(number)
        TranscriptStore(folder).put("u1", ORIGINALS)
        files = FaultyFiles(at(number, Fault(error, after=after)))
        try:
            TranscriptStore(folder, files=files).put("u1", new)
        except (OutputError, Killed):
            assert TranscriptStore(folder).get("u1") in (ORIGINALS, new)
        else:
            assert TranscriptStore(folder).get("u1") == new
        TranscriptStore(folder).put("u1", new)
        assert TranscriptStore(folder).get("u1") == new
        assert len([path for path in folder.rglob("*") if path.is_file()]) == 1
        reached = len(files.steps) > number
        number += 1


def test_it_is_on_the_disk_when_put_returns(folder):
    files = FaultyFiles()
    TranscriptStore(folder, files=files).put("u1", ORIGINALS)
    steps = [step for step in files.steps if step in ("write", "fsync", "replace", "fsync_folder")]
    assert steps[-4:] == ["write", "fsync", "replace", "fsync_folder"]
    assert steps.count("fsync_folder") == 3  # also for the two folders that were made


@pytest.mark.parametrize(("error", "kind"), [(errno.ENOSPC, NoSpace), (errno.EROFS, NotWritable)])
def test_an_error_names_the_file_and_what_to_do(folder, error, kind):
    store = TranscriptStore(folder, files=FaultyFiles(lambda _number, step: Fault(error) if step == "write" else None))
    with pytest.raises(kind, match="u1") as failure:
        store.put("u1", ORIGINALS)
    assert failure.value.fix
