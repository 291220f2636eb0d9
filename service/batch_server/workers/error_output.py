"""Logs what a worker process writes to standard error, line by line, limited in rate and size."""

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO, Final

import structlog

LINES: Final = 100
"""Lines that are logged per minute; the rest are only counted."""
_MINUTE: Final = 60.0
_LINE_BYTES: Final = 2000
_END_SECONDS: Final = 2.0

_log = structlog.stdlib.get_logger("batch_server.worker")


class ErrorOutput:
    """Logs a process's standard error, a pipe, until the process closes it."""

    def __init__(self, process: subprocess.Popen[bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pid = process.pid
        self._clock = clock
        self._last: deque[str] = deque(maxlen=1)
        self._minute = clock()
        self._logged = 0
        self._left_out = 0
        self._thread = threading.Thread(target=self._read, args=(process.stderr,), name="worker's errors", daemon=True)
        self._thread.start()

    def last_line(self) -> str:
        """Return the last line that isn't empty; after the process ended, wait a moment for its remaining output."""
        self._thread.join(_END_SECONDS)
        return self._last[0] if self._last else ""

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            while piece := pipe.readline(_LINE_BYTES):
                if line := piece.decode("utf-8", "replace").rstrip():
                    self._last.append(line)
                    self._note(line)
        self._log_left_out()

    def _note(self, line: str) -> None:
        if self._clock() - self._minute >= _MINUTE:
            self._log_left_out()
            self._minute, self._logged = self._clock(), 0
        if self._logged < LINES:
            self._logged += 1
            _log.warning("worker's standard error", pid=self._pid, line=line)
        else:
            self._left_out += 1

    def _log_left_out(self) -> None:
        if self._left_out:
            _log.warning(
                "the worker wrote more lines to standard error than are logged", pid=self._pid, more=self._left_out
            )
            self._left_out = 0
