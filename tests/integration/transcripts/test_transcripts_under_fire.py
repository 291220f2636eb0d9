"""Processes that are really killed while they publish, and many that publish into one folder at once."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from watcher.models import OutputFormat
from watcher.transcripts import TranscriptWriter
from watcher.transcripts.files import Files

RECORDINGS = 60
EXTENSIONS = ("wav", "mp3", "flac", "m4a", "ogg", "opus")


def contents_of(name):
    return {
        form: f"{form}: {name}\n".encode() * 50 for form in (OutputFormat.TXT, OutputFormat.JSON_V2, OutputFormat.SRT)
    }


# Publishes the recordings of a folder, and says so line by line.
PROGRAM = """
import sys
from pathlib import Path
from watcher.models import OutputFormat as F
from watcher.transcripts import TranscriptWriter
folder = Path(sys.argv[1])
writer = TranscriptWriter()
for name in sorted(path.name for path in folder.glob("*.wav")):
    contents = {form: f"{form}: {name}\\n".encode() * 50 for form in (F.TXT, F.JSON_V2, F.SRT)}
    writer.publish(folder / name, folder, contents)
    print(name, flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")
def test_processes_killed_while_they_publish_leave_nothing_that_the_next_one_does_not_put_right(tmp_path):
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    for number in range(RECORDINGS):
        (tmp_path / f"r{number:03}.wav").touch()
    (tmp_path / "r005.txt").write_text("a person's")
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE) as child:
            for _ in range(chance.randrange(1, RECORDINGS)):
                child.stdout.readline()
            for _ in range(chance.randrange(2000)):
                pass
            child.send_signal(signal.SIGKILL)
    writer = TranscriptWriter()
    expected = {"r005.txt"}
    for number in range(RECORDINGS):
        recording = tmp_path / f"r{number:03}.wav"
        outputs = writer.publish(recording, tmp_path, contents_of(recording.name))
        assert {o.format: o.path.read_bytes() for o in outputs} == contents_of(recording.name)
        expected |= {recording.name, *(o.path.name for o in outputs)}
    assert {path.name for path in tmp_path.iterdir()} == expected
    assert (tmp_path / "r005.txt").read_text() == "a person's"


def test_recordings_of_one_name_published_at_once_each_get_a_whole_set(tmp_path):
    recordings = [tmp_path / f"talk.{extension}" for extension in EXTENSIONS]
    for recording in recordings:
        recording.touch()

    def publish(recording):
        return TranscriptWriter().publish(recording, tmp_path, contents_of(recording.name))

    with ThreadPoolExecutor(len(recordings)) as pool:
        found = dict(zip(recordings, pool.map(publish, recordings), strict=True))
    for recording, outputs in found.items():
        assert {o.format: o.path.read_bytes() for o in outputs} == contents_of(recording.name)
        assert len({o.path.name.removesuffix(o.format.suffix) for o in outputs}) == 1
    written = {o.path.name for outputs in found.values() for o in outputs}
    assert len(written) == 3 * len(recordings)
    assert {path.name for path in tmp_path.iterdir()} == written | {recording.name for recording in recordings}


@pytest.mark.parametrize("step", ["link", "rename_noreplace"])
def test_of_many_that_want_one_name_exactly_one_gets_it(tmp_path, step):
    """The two system calls that every promise about other people's files rests on."""
    files = Files()
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(30):
            sources = [tmp_path / f"{round_}-{number}" for number in range(8)]
            for source in sources:
                source.write_text(source.name)
            target, start = tmp_path / f"{round_}", Barrier(8, timeout=30)

            def take(source, target=target, start=start):
                start.wait()
                try:
                    getattr(files, step)(source, target)
                except FileExistsError:
                    return None
                except OSError as error:
                    if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ENOTSUP):
                        pytest.skip(f"this file system has no {step}: {error}")
                    raise
                return source.name

            winners = [name for name in pool.map(take, sources) if name]
            assert winners == [target.read_text()]
