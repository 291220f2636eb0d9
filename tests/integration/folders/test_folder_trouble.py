"""What the system does to a watcher: lost events, used-up limits, mounts that come and go, missing permission."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.integration.folders.conftest import wav
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify and namespaces are Linux's")

ROOT = Path(__file__).parents[3]
IN_NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]


def may_unshare():
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*IN_NAMESPACES, "true"], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not may_unshare(), reason="this user may not make namespaces")


class Process:
    """A running watch_process."""

    def __init__(self, *folders, prefix=()):
        command = [*prefix, sys.executable, "-m", "tests.integration.folders.watch_process", *map(str, folders)]
        self.popen = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = queue.SimpleQueue()
        self.settled = []
        self.statuses = []
        self.errors = []
        self.ran = []
        self.threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.popen.stdout:
            message = json.loads(line)
            if "settled" in message:
                self.settled.append(message["settled"])
            elif "ran" in message:
                self.ran.append(message["ran"])
            else:
                self.statuses.append(message["status"])

    def _read_errors(self):
        self.errors.extend(self.popen.stderr)

    def status(self):
        return self.statuses[-1][0] if self.statuses and self.statuses[-1] else {}

    def until(self, condition):
        def found():
            assert self.popen.poll() is None, "".join(self.errors)
            return condition()

        until(found, lambda: f"{len(self.settled)} settled; {self.statuses[-3:]}, {self.errors[-5:]}")

    def until_watching(self, how):
        self.until(lambda: self.status().get("watching") == how and self.status().get("scanned"))

    def run(self, command):
        before = len(self.ran)
        self.popen.stdin.write(command + "\n")
        self.popen.stdin.flush()
        self.until(lambda: len(self.ran) > before)
        assert self.ran[-1] == 0, self.errors

    def close(self):
        self.popen.kill()
        self.popen.wait()
        for thread in self.threads:
            thread.join()
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            stream.close()


@pytest.fixture
def process():
    made = []

    def start(*folders, **options):
        made.append(Process(*folders, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.mark.long
def test_lost_events_are_made_up_for(process, root):
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    count = limit // 2 + 12_000  # each file makes two events
    if count > 60_000:
        pytest.skip("this system's queue is too long to fill in a test")
    (root / "sub").mkdir()
    watching = process(root)
    watching.until_watching("events")
    watching.popen.send_signal(signal.SIGSTOP)
    for number in range(count):
        (root / "sub" / f"{number}.wav").write_bytes(b"RIFF\4\0\0\0WAVE")
    (root / "made meanwhile").mkdir()
    (root / "made meanwhile/a.wav").write_bytes(wav())
    watching.popen.send_signal(signal.SIGCONT)
    watching.until(lambda: len(watching.settled) == count + 1)
    assert len(set(watching.settled)) == count + 1
    assert any("events at once" in line for line in watching.errors)
    # It hears again, also in the folder of whose making it was not told.
    (root / "made meanwhile/b.wav").write_bytes(wav())
    watching.until(lambda: str(root / "made meanwhile/b.wav") in watching.settled)


@needs_namespaces
def test_at_the_watch_limit_it_polls_and_says_how_to_raise_it(process, root):
    for number in range(20):
        (root / str(number)).mkdir()
    limit = ["sh", "-c", 'echo 10 > /proc/sys/user/max_inotify_watches; exec "$@"', "sh"]
    watching = process(root, prefix=[*IN_NAMESPACES, *limit])
    watching.until_watching("polling")
    assert "max_user_watches" in watching.status()["why"]
    assert "sudo sysctl fs.inotify.max_user_watches=" in watching.status()["fix"]
    for number in range(20):
        (root / str(number) / "a.wav").write_bytes(wav())
    watching.until(lambda: len(watching.settled) == 20)


@needs_namespaces
def test_a_watch_limit_that_is_reached_later_is_noticed(process, root):
    limit = ["sh", "-c", 'echo 10 > /proc/sys/user/max_inotify_watches; exec "$@"', "sh"]
    watching = process(root, prefix=[*IN_NAMESPACES, *limit])
    watching.until_watching("events")
    for number in range(20):
        (root / str(number)).mkdir()
        (root / str(number) / "a.wav").write_bytes(wav())
    watching.until(lambda: len(watching.settled) == 20)
    watching.until_watching("polling")
    (root / "19/later.wav").write_bytes(wav())
    watching.until(lambda: len(watching.settled) == 21)


@needs_namespaces
def test_no_inotify_instances_left_means_polling(process, root):
    limit = ["sh", "-c", 'echo 0 > /proc/sys/user/max_inotify_instances; exec "$@"', "sh"]
    watching = process(root, prefix=[*IN_NAMESPACES, *limit])
    watching.until_watching("polling")
    assert "max_user_instances" in watching.status()["fix"]
    (root / "a.wav").write_bytes(wav())
    watching.until(lambda: watching.settled)


@needs_namespaces
def test_a_volume_that_is_unmounted_and_mounted_again_is_heard_again(process, root, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "a.wav").write_bytes(wav())
    watching = process(root, prefix=IN_NAMESPACES)
    watching.until_watching("events")
    watching.run(f"mount --bind {volume} {root}")
    watching.until(lambda: watching.settled == [str(root / "a.wav")])
    watching.run(f"umount -l {root}")
    watching.run(f"mount -t tmpfs none {root} && mkdir {root}/sub && cp {volume}/a.wav {root}/sub/b.wav")
    watching.until(lambda: str(root / "sub/b.wav") in watching.settled)
    watching.until_watching("events")
    watching.run(f"cp {volume}/a.wav {root}/sub/c.wav")
    watching.until(lambda: str(root / "sub/c.wav") in watching.settled)


@needs_namespaces
def test_a_stick_that_is_plugged_in_below_a_watch_folder_is_heard(process, root, tmp_path):
    """As below /media: the folder is there first, and what is mounted on it says nothing of its files."""
    (tmp_path / "a.wav").write_bytes(wav())
    (root / "stick").mkdir()
    watching = process(root, prefix=IN_NAMESPACES)
    watching.until_watching("events")
    watching.run(f"mount -t tmpfs none {root}/stick && cp {tmp_path}/a.wav {root}/stick/a.wav")
    watching.until(lambda: str(root / "stick/a.wav") in watching.settled)
    watching.run(f"cp {tmp_path}/a.wav {root}/stick/b.wav")
    watching.until(lambda: str(root / "stick/b.wav") in watching.settled)
    watching.run(f"umount -l {root}/stick && cp {tmp_path}/a.wav {root}/stick/c.wav")
    watching.until(lambda: str(root / "stick/c.wav") in watching.settled)


def test_what_may_not_be_read_is_told_and_the_rest_goes_on(process, root):
    prefix = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("nothing is forbidden to root, and setpriv is missing")
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    (root / "secret").mkdir()
    (root / "secret/a.wav").write_bytes(wav())
    (root / "b.wav").write_bytes(wav())
    (root / "b.wav").chmod(0)
    (root / "secret").chmod(0)
    try:
        watching = process(root, prefix=prefix)
        watching.until_watching("events")
        (root / "c.wav").write_bytes(wav())
        # What can't be read is handed on too, so that it ends as an explained failure.
        watching.until(lambda: {str(root / "b.wav"), str(root / "c.wav")} <= set(watching.settled))
        watching.until(lambda: any("secret can't be read" in p for p in watching.status()["problems"]))
        watching.until(lambda: any("b.wav can't be read" in p for p in watching.status()["problems"]))
    finally:
        (root / "secret").chmod(0o755)
    watching.until(lambda: str(root / "secret/a.wav") in watching.settled)
    # It could not be watched before; now it is, though no scan is due for minutes.
    (root / "secret/later.wav").write_bytes(wav())
    watching.until(lambda: str(root / "secret/later.wav") in watching.settled)
