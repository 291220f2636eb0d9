"""Logs what a child process writes to standard error, line by line, limited in rate and size."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ErrorOutput"]

_log = get_logger("media child")
_LINES = 100
"""Lines logged per minute; further lines are only counted."""
_MINUTE = 60.0
_LONGEST = 2000
"""Characters of a line that are kept."""
_LATE = 2.0


class ErrorOutput:
    """Logs a child's standard error until the child closes it.

    Args:
        stream: the child's standard error.
        pid: the child's process id.
        monotonic: the time in seconds.
    """

    def __init__(
        self, stream: asyncio.StreamReader, pid: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._pid = pid
        self._monotonic = monotonic
        self._last = ""
        self._minute = monotonic()
        self._logged = 0
        self._left_out = 0
        self._reading = asyncio.create_task(self._read(stream), name=f"standard error of {pid}")

    async def last_line(self) -> str:
        """Return the last non-empty line, once the child has closed its standard error."""
        await self.finish()
        return self._last

    async def finish(self) -> None:
        """Wait a moment for the rest of an ended child's output; a process that it started may keep the pipe open."""
        await asyncio.wait({self._reading}, timeout=_LATE)
        self._reading.cancel()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while piece := await stream.read(65536):
            *lines, rest = (rest + piece).split(b"\n")
            rest = rest[-_LONGEST:]
            for line in lines:
                self._note(line)
        self._note(rest)
        self._tell_left_out()

    def _note(self, line: bytes) -> None:
        text = line[:_LONGEST].decode("utf-8", "replace").rstrip()
        if not text:
            return
        self._last = text
        if self._monotonic() - self._minute >= _MINUTE:
            self._tell_left_out()
            self._minute, self._logged = self._monotonic(), 0
        if self._logged < _LINES:
            self._logged += 1
            _log.warning("standard error", pid=self._pid, line=text)
        else:
            self._left_out += 1

    def _tell_left_out(self) -> None:
        if self._left_out:
            _log.warning("more lines on standard error than are logged", pid=self._pid, more=self._left_out)
            self._left_out = 0
