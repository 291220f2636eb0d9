"""Keeps the daemon running where the platform doesn't do it well: launchd and Windows' Task Scheduler.

`python -P -m service.os_service.supervisor --log FILE -- dropscribe run` starts the command, writes what it says
to the log, starts it again when it fails, and ends when the command ends in order or can't be helped by
another start (exit status 78 or 2). It ends with exit status 0 then, so that launchd takes it for an orderly end.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

__all__ = ["Supervisor", "main", "next_start", "rotate"]

# 78, EX_CONFIG of sysexits(3): the config or the ledger can't be used. 2: the command line is wrong, or no
# folder is watched.
_USELESS_AGAIN = frozenset({2, 78})
_INSTALL = "dropscribe service install"
_NOT_FOUND = 127
"""The status of a command that isn't there, as in a shell."""
_MOST_MISSES = 5
"""An update may take the program away for a while; one that stays away so long was removed."""
_FIRST_DELAY = 5.0
_LONGEST_DELAY = 300.0
_HEALTHY_AFTER = 600.0  # seconds of life after which earlier failures no longer count
_LOG_LIMIT = 5_000_000  # bytes; one older log is kept beside it
_STOP_GRACE = 55.0  # seconds; below launchd's ExitTimeOut in the template


def next_start(status: int, *, lived: float, failures: int) -> tuple[float, int] | None:
    """Decide what happens when the command has ended.

    Args:
        status: its exit status; negative: killed by that signal.
        lived: seconds that it ran.
        failures: how often it failed in a row before.

    Returns:
        Seconds to wait before the next start and the new number of failures; None: no other start.
    """
    if status == 0 or status in _USELESS_AGAIN or (status == _NOT_FOUND and failures >= _MOST_MISSES):
        return None
    failures = 1 if lived >= _HEALTHY_AFTER else failures + 1
    return min(_FIRST_DELAY * 2 ** min(failures - 1, 10), _LONGEST_DELAY), failures


def rotate(log: Path, *, limit: int = _LOG_LIMIT) -> None:
    """Put a log of more than `limit` bytes aside, as `NAME.1`. Only between two runs of the command."""
    try:
        if log.stat().st_size > limit:
            log.replace(log.with_name(log.name + ".1"))
    except OSError:
        return  # absent, or on Windows still open elsewhere: the log goes on as it is


class Supervisor:
    """Runs one command again and again.

    Args:
        argv: the command.
        log: the file for its output.
        time_scale: factor for the waiting times between two runs.
    """

    def __init__(self, argv: Sequence[str], log: Path, *, time_scale: float = 1.0) -> None:
        self._argv = list(argv)
        self._log = log
        self._time_scale = time_scale
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """Ask the command to end, and don't start it again. Safe in a signal handler."""
        self._stop.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            killer = threading.Timer(_STOP_GRACE, child.kill)
            killer.daemon = True
            killer.start()

    def run(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Run until the command ends for good."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        failures = 0
        while not self._stop.is_set():
            rotate(self._log)
            began = monotonic()
            status = self._once()
            decision = next_start(status, lived=monotonic() - began, failures=failures)
            if decision is None:
                return
            delay, failures = decision
            self._stop.wait(delay * self._time_scale)

    def _once(self) -> int:
        """Run the command to its end; a command that can't be started counts as failed."""
        with self._log.open("ab") as log:
            try:
                self._child = subprocess.Popen(  # noqa: S603 - the command that `service install` wrote down
                    self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, creationflags=_no_window()
                )
            except FileNotFoundError:
                log.write(f"{self._argv[0]} was removed. Install Dropscribe again, then: {_INSTALL}\n".encode())
                return _NOT_FOUND
            except OSError as error:
                log.write(f"{self._argv[0]} can't be started: {error.strerror}.\n".encode())
                return 1
            if self._stop.is_set():  # asked to stop between the check and the start
                self._child.terminate()
            return self._child.wait()


def _no_window() -> int:
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW
    return flags


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program; see the module."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if len(arguments) < 4 or arguments[0] != "--log" or arguments[2] != "--":  # noqa: PLR2004 - --log FILE -- COMMAND
        sys.stderr.write("usage: python -m service.os_service.supervisor --log FILE -- COMMAND…\n")
        return 2
    supervisor = Supervisor(arguments[3:], Path(arguments[1]))

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        supervisor.stop()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    supervisor.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
