"""The real daemon in a real process that is killed at a step of its work, or at any moment.

``python -m tests.support.chaos_daemon`` has everything imported once. It reads lines of JSON from standard input,
forks a daemon for each, and answers with a line that says how it ended. Each line has ``root``, ``url`` and
``wishes``, as `chaos.choose_wishes` makes them, and:

``{"die_at": 7}``         it kills itself (SIGKILL) at the seventh step; with ``"step"``, at the seventh of that name
``{"kill_after": 0.13}``  it is killed after so many seconds
``{}``                    it runs until all that is there has come to its end

A step is each commit of the ledger, before and after, and each change of the file system that publishing makes.
"""

import asyncio
import contextlib
import errno
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from tests.support.daemon_bench import Bench, quick_client
from watcher import logs
from watcher.transcripts.files import Files

FILE_STEPS = ("create", "write", "fsync", "link", "rename_noreplace", "replace", "unlink", "mkdir", "fsync_folder")
LONGEST_RUN = 60.0


class Steps:
    """Counts steps, and dies at one of them."""

    def __init__(self, die_at, step, told):
        self._left = die_at
        self._step = step
        self._told = told

    def __call__(self, name):
        if self._left is None or self._step not in {None, name}:
            return
        self._left -= 1
        if self._left == 0:
            os.write(self._told, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def step_at_files(steps, lacking):
    """Make every change of the file system that the daemon makes a step, before and after."""
    for name in FILE_STEPS:
        setattr(Files, name, stepped(name, refused(name) if name in lacking else getattr(Files, name), steps))


def refused(name):
    """What the file system says that can't do it."""

    def do(_self, *_args, **_kwargs):
        raise OSError(errno.EPERM if name == "link" else errno.EINVAL, f"no {name} here")

    return do


def stepped(name, real, steps):
    def do(self, *args, **kwargs):
        steps(f"before {name}")
        answer = real(self, *args, **kwargs)
        steps(f"after {name}")
        return answer

    return do


async def run(root, url, steps, seed, wishes):
    account = {"settle_listing": 0.4, "max_uploads": 2, "delete_after_download": wishes["delete_after_download"]}
    bench = Bench(root, None, account=account, after=wishes["after"])
    async with quick_client(url) as client, asyncio.timeout(LONGEST_RUN):
        daemon = bench.daemon(client, checkpoint=steps, runtime={"rng": random.Random(seed)})
        await daemon.run(once=True)


def child(order, told):
    root, wishes = Path(order["root"]), order["wishes"]
    log = os.open(root / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    logs.configure(stream=sys.stderr)
    steps = Steps(order.get("die_at"), order.get("step"), told)
    step_at_files(steps, wishes["lacking"])
    status = 1
    try:
        asyncio.run(run(root, order["url"], steps, order.get("seed", 0), wishes))
        status = 0
    except BaseException:  # noqa: BLE001 - it goes into the log, and the parent sees the status
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)


def serve():
    for line in sys.stdin:
        order = json.loads(line)
        hear, told = os.pipe()
        began = time.monotonic()
        pid = os.fork()
        if not pid:
            child(order, told)
        os.close(told)
        if "kill_after" in order:
            ended = wait(pid, order["kill_after"])
            if ended is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                ended = wait(pid, 30)
        else:
            ended = wait(pid, LONGEST_RUN + 10)
        if ended is None:
            os.kill(pid, signal.SIGKILL)
            ended = wait(pid, 30)
        step = os.read(hear, 1000).decode()
        os.close(hear)
        answer = {"status": ended, "step": step, "took": round(time.monotonic() - began, 3)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def wait(pid, seconds):
    """The child's exit status, negative for a signal; None if it still runs then."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.002)


if __name__ == "__main__":
    serve()
