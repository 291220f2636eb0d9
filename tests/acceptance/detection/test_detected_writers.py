"""Recordings that are being written, copied, downloaded or changed: never half, always in the end."""

import os
import random
import signal
import threading
import time
import zlib

import pytest

from tests.acceptance.detection.conftest import digest
from tests.support.fault_server import Fault
from tests.support.sounds import noise, write_recording, write_wav
from tests.support.waiting import until

pytestmark = pytest.mark.long

PAUSES = (0.2, 0.5, 1.0, 2.0)
"""Seconds. They are what is tested, a writer that pauses; nothing is waited for by them."""


def held_open(path, content, pauses):
    """A recorder: keeps the file open, and writes in bursts."""
    size = len(content) // (len(pauses) + 1) + 1
    with path.open("wb") as file:
        for number, pause in enumerate((*pauses, 0)):
            file.write(content[number * size : (number + 1) * size])
            file.flush()
            time.sleep(pause)


def reopened(path, content, pauses):
    """A copy over an unsteady line: closes the file after each piece, and goes on later."""
    size = len(content) // (len(pauses) + 1) + 1
    for number, pause in enumerate((*pauses, 0)):
        with path.open("ab") as file:
            file.write(content[number * size : (number + 1) * size])
        time.sleep(pause)


def out_of_order(path, content, pauses):
    """A downloader: makes the file in its full length, and fills it from behind; its times are set back at the end."""
    half = len(content) // 2
    with path.open("wb") as file:
        file.truncate(len(content))
        file.seek(half)
        file.write(content[half:])
        file.flush()
        time.sleep(sum(pauses))
        file.seek(0)
        file.write(content[:half])
    os.utime(path, (1, 1))


def downloaded(ending):
    def download(path, content, pauses):
        part = path.with_name(path.name + ending)
        if ending == ".part":
            path.touch()  # Firefox keeps the name
        reopened(part, content, pauses)
        part.replace(path)

    return download


def saved_atomically(path, content, pauses):
    """An editor, three times over: the last is what counts."""
    for version in (b"", content[: len(content) // 2], content):
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(version)
        new.replace(path)
        time.sleep(0.05)


WRITERS = {
    "held open": held_open,
    "reopened": reopened,
    "out of order": out_of_order,
    "firefox": downloaded(".part"),
    "chromium": downloaded(".crdownload"),
    "temporary": downloaded(".tmp"),
    "atomic": saved_atomically,
}


def test_slow_writers_of_all_kinds_are_waited_for(watched, tmp_path):
    """Each with pauses much longer than `settle`; what is submitted is what is there at the end, once."""
    with watched(settle=0.1) as it:
        contents = {}
        for name in WRITERS:
            for style in ("wav", "below/wav"):
                made = write_recording(tmp_path / "made.wav", f"{name} {style}", samples=16000)
                contents[f"{style.removesuffix('wav')}{name}.wav"] = made.read_bytes()
        (it.folder / "below").mkdir()
        it.watch()
        threads = [
            threading.Thread(
                target=WRITERS[name.rpartition("/")[2].removesuffix(".wav")],
                args=(it.folder / name, content, random.Random(name).sample(PAUSES, len(PAUSES))),
            )
            for name, content in contents.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        it.until_done(*contents)
        until(lambda: it.count("DONE") == len(contents), what="the ledger")
        assert it.submitted() == sorted(digest(it.folder / name) for name in contents)


def large(path, seed):
    """Seven seconds of noise on eight channels: more bytes than the sockets between daemon and server hold."""
    return write_wav(path, noise(8 * 192_000 * 7, zlib.crc32(seed.encode())).reshape(-1, 8), rate=192_000)


def test_what_changes_while_it_is_uploaded_is_submitted_only_as_it_is_in_the_end(watched):
    """The server reads nothing for a while and hangs up, so that the uploads are surely under way."""
    names = ["shrinks.wav", "grows.wav", "replaced.wav", "vanishes.wav"]
    with watched(Fault("deaf", on="post", times=4, seconds=4.0)) as it:
        originals = {digest(large(it.folder / name, name)) for name in names}
        short = write_recording(it.root / "short.wav", "short").read_bytes()
        it.watch()
        until(lambda: it.server.requests["post"] == len(names), what="the uploads")
        assert it.count("SUBMITTING") == len(names)
        with (it.folder / "shrinks.wav").open("r+b") as file:
            file.write(short)
            file.truncate()
        with (it.folder / "grows.wav").open("r+b") as file:
            whole = large(it.root / "other.wav", "other").read_bytes() + bytes(1000)
            for start in range(0, len(whole), 1 << 20):
                file.write(whole[start : start + (1 << 20)])
                time.sleep(0.01)
        write_recording(it.root / "new.wav", "new").replace(it.folder / "replaced.wav")
        (it.folder / "vanishes.wav").unlink()
        it.until_done(*names[:3])
        until(lambda: not it.count("SUBMITTING") and not it.count("SUBMITTED"), what="the end")
        assert it.submitted() == sorted(digest(it.folder / name) for name in names[:3])
        assert not originals & set(it.submitted())
        assert not (it.folder / "vanishes.txt").exists()


def test_a_recording_whose_writer_crashed_is_waited_for_then_named_and_taken_at_a_word(watched):
    with watched() as it:
        path = it.record("crashed.wav", samples=16000)
        content = bytearray(path.read_bytes())
        content[4:8] = (36 + 115_200_000).to_bytes(4, "little")  # its header promises an hour
        content[40:44] = (115_200_000).to_bytes(4, "little")
        path.write_bytes(content)
        daemon = it.watch()
        told = until(lambda: "not complete" in (it.explain(path)["reason"]) and it.explain(path), what="a look")
        assert told["kind"] == "settling"
        assert "60 s" in told["reason"]
        assert it.server.jobs == [], "it may still be copied"
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
        # Where nothing else is waited for, a few seconds do.
        once = it.run("--config", it.config, "run", "--once")
        assert once.returncode == 1
        assert f"failed: {path}: It is incomplete" in once.stderr
        assert it.server.jobs == []
        # A person who says so gets what is there; its header's hour is not held against the service.
        it.start_with_config()
        assert it.run("--config", it.config, "retry", path).returncode == 0
        it.until_done("crashed.wav")
        assert it.submitted() == [digest(path)]
