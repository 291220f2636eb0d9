"""What the system and its people do to watch folders, met by the real daemon."""

import contextlib
import os
import shutil
import signal
import socket
import sys

import pytest

from tests.acceptance.detection.conftest import digest
from tests.integration.folders.test_folder_trouble import IN_NAMESPACES, needs_namespaces
from tests.support.daemon_bench import write_recording
from tests.support.waiting import until

pytestmark = pytest.mark.long

linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def lose_events(folder):
    """Make the kernel's queue overflow, cheaply: every close is an event, whatever the file."""
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as file:  # noqa: PTH123 - as short
        limit = int(file.read())
    if limit > 100_000:
        pytest.skip("this system's queue is too long to fill in a test")
    for _ in range(limit // 2 + 500):
        for name in ("one.tmp", "two.tmp"):  # in turns: what repeats itself is told once
            os.close(os.open(folder / name, os.O_WRONLY | os.O_CREAT))


@linux
def test_events_that_are_lost_lose_no_recording(watched):
    with watched(paused=True) as it:
        daemon = it.watch()
        daemon.send_signal(signal.SIGSTOP)
        lose_events(it.folder)
        for number in range(30):
            it.record(f"{number}.wav")
            it.record(f"made meanwhile/deep/{number}.wav")
        daemon.send_signal(signal.SIGCONT)
        until(lambda: it.count("WAITING") == 60, what="all of them")
        assert "some were lost" in it.log()
        it.record("made meanwhile/deep/later.wav")
        until(lambda: it.count("WAITING") == 61, what="one in a folder of whose making nobody told")


@linux
@needs_namespaces
def test_at_the_watch_limit_nothing_is_missed_and_the_remedy_is_told(watched):
    with watched(paused=True) as it:
        for number in range(20):
            (it.folder / str(number)).mkdir()
        limit = ["sh", "-c", 'echo 8 > /proc/sys/user/max_inotify_watches; exec "$@"', "sh"]
        it.prefix = [*IN_NAMESPACES, *limit]
        it.watch()
        it.prefix = []
        for number in range(20):
            it.record(f"{number}/a.wav", seed=number)
        until(lambda: it.count("WAITING") == 20, what="all of them")
        [folder] = it.status()
        assert "max_user_watches" in folder["reason"]
        assert "sudo sysctl fs.inotify.max_user_watches=" in folder["fix"]


def test_a_thousand_at_once_and_a_tree_of_them_moved_in(watched, tmp_path):
    sample = write_recording(tmp_path / "sample.wav", "sample").read_bytes()
    with watched(paused=True) as it:
        it.watch()
        for number in range(500):
            (it.folder / f"{number}.wav").write_bytes(sample[:-4] + number.to_bytes(4, "little"))
            place = tmp_path / "tree" / str(number % 7) / f"{number}.wav"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(sample[:-4] + (1000 + number).to_bytes(4, "little"))
        (tmp_path / "tree").rename(it.folder / "tree")
        until(lambda: it.count("WAITING") == 1000, what="all of them")
        it.record("tree/3/later.wav")
        until(lambda: it.count("WAITING") == 1001, what="one more in the tree")


def test_a_folder_that_goes_comes_back_and_may_not_be_written_to(watched, tmp_path):
    with watched() as it:
        if os.geteuid() == 0:
            if shutil.which("setpriv") is None:
                pytest.skip("nothing is forbidden to root, and setpriv is missing")
            it.prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        it.watch()
        it.prefix = []
        it.folder.rename(tmp_path / "unplugged")
        until(lambda: "isn't there" in it.status()[0]["reason"], what="the word that it is gone")
        write_recording(tmp_path / "unplugged/a.wav", "a")
        (tmp_path / "unplugged").rename(it.folder)
        it.until_done("a.wav")
        (it.folder / "read-only").mkdir()
        path = write_recording(tmp_path / "b.wav", "b").rename(it.folder / "read-only/b.wav")
        (it.folder / "read-only").chmod(0o555)
        try:
            told = until(
                lambda: (now := it.explain(path))["kind"] == "entry" and now["reason"] and now, what="a reason"
            )
            assert told["state"] == "WAITING"
            assert f"write {path.parent}" in told["reason"] or str(path.parent) in told["reason"]
            assert it.submitted() == [digest(it.folder / "a.wav")], "nothing is paid for what can't be written down"
        finally:
            (it.folder / "read-only").chmod(0o755)


def test_strange_names_and_things_that_are_no_recordings(watched, tmp_path):
    with watched() as it:
        names = [os.fsdecode(b"caf\xe9.wav"), "ü" * 125 + "x.wav", "new\nline.wav", "-rf.wav", "a b 'c' \"d\".wav"]
        folder = it.folder / os.fsdecode(b"dir\xfe")
        outside = write_recording(tmp_path / "outside/x.wav", "outside")
        it.watch()
        (it.folder / "folder.wav").mkdir()
        os.mkfifo(it.folder / "pipe.wav")
        (it.folder / "loop").symlink_to(it.folder)
        (it.folder / "way out").symlink_to(outside.parent)
        (it.folder / "link.wav").symlink_to(outside)
        with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(it.folder):
            listener.bind("socket.wav")
        device = it.folder / "device.wav"
        if os.geteuid() == 0:
            os.mknod(device, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero: reading it would never end
        for number, name in enumerate(names):
            it.record(name, seed=number)
            write_recording(folder / name, f"below {number}")
        until(lambda: it.count("DONE") == 2 * len(names), what="all transcripts")
        transcripts = [path for path in it.folder.rglob("*.txt") if not path.is_symlink()]
        assert len(transcripts) == len(it.server.jobs) == 2 * len(names)
        kinds = {"folder.wav": "folder", "pipe.wav": "named pipe", "link.wav": "symbolic link", "socket.wav": "socket"}
        for name, kind in kinds.items():
            assert kind in it.explain(it.folder / name)["reason"]
        if device.exists():
            assert "device" in it.explain(device)["reason"]
