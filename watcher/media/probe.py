"""What is in a file? Asked of a child process that is kept while there is work and let go when idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, Self

from watcher.errors import BrokenMedia, NotARecording, RecordingError, Unreadable
from watcher.media.child import Child, ChildDied, ChildTooSlow
from watcher.models import MediaInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from types import TracebackType

__all__ = ["Prober", "error_of"]

_ERRORS: dict[str, type[RecordingError]] = {
    "BrokenMedia": BrokenMedia,
    "NotARecording": NotARecording,
    "Unreadable": Unreadable,
}
_GIB = 1 << 30


class Prober:
    """Probes recordings in child processes.

    Use it as an async context manager: `async with Prober() as prober: info = await prober.probe(path)`.

    Args:
        limit: seconds that one file may take; also its limit of CPU time.
        memory: bytes of address space that a child may take (POSIX).
        workers: how many children at most.
        idle: seconds without work after which the children are let go.
    """

    def __init__(self, *, limit: float = 30.0, memory: int = 2 * _GIB, workers: int = 2, idle: float = 15.0) -> None:
        self._limit = limit
        self._memory = memory
        self._idle = idle
        self._slots = asyncio.Semaphore(workers)
        self._free: list[Child] = []
        self._busy = 0
        self._timer: asyncio.TimerHandle | None = None
        self._letting_go: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._let_go()
        await asyncio.gather(*self._letting_go)

    @property
    def children(self) -> int:
        """How many child processes there are now."""
        return len(self._free) + self._busy

    async def probe(self, path: Path) -> MediaInfo:
        """Find out what a recording holds, and that its sound can be decoded.

        Raises:
            NotARecording: there is no sound in it, or it is no media at all.
            BrokenMedia: it is damaged, cut short, or takes more time or memory than any recording needs.
            Unreadable: it can't be read.
        """
        request = {"do": "probe", "path": os.fspath(path), "cpu": self._limit}
        for last in (False, True):
            try:
                answer = await self._ask(request)
            except ChildTooSlow:
                what = f"took longer than {self._limit:g} s to look into"
                raise error_of(
                    {"error": "BrokenMedia", "what": what, "fix": "Convert it, e.g. to wav."}, path
                ) from None
            except ChildDied:
                # Perhaps it was ended by something else (out of memory): once more, with a fresh one.
                if last:
                    what = "makes the program that reads it crash, or take more than it may"
                    broken = {"error": "BrokenMedia", "what": what, "fix": "Convert it, e.g. to wav."}
                    raise error_of(broken, path) from None
                continue
            if "ok" in answer:
                return MediaInfo(**answer["ok"])
            raise error_of(answer, path)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        async with self._child() as child:
            return await child.ask(request, seconds=self._limit)

    @contextlib.asynccontextmanager
    async def _child(self) -> AsyncIterator[Child]:
        async with self._slots:
            if self._timer is not None:
                self._timer.cancel()
            self._busy += 1
            child: Child | None = None
            try:
                while self._free and child is None:
                    candidate = self._free.pop()
                    child = candidate if candidate.is_alive else None
                child = child or await Child.start(memory=self._memory)
                yield child
            finally:
                self._busy -= 1
                if child is not None and child.is_alive:
                    self._free.append(child)
                elif child is not None:
                    await child.kill()
                if not self._busy:
                    self._timer = asyncio.get_running_loop().call_later(self._idle, self._rest)

    def _rest(self) -> None:
        task = asyncio.get_running_loop().create_task(self._let_go())
        self._letting_go.add(task)
        task.add_done_callback(self._letting_go.discard)

    async def _let_go(self) -> None:
        children, self._free = self._free, []
        for child in children:
            await child.kill()


def error_of(answer: dict[str, Any], path: Path) -> RecordingError:
    """Turn a worker's refusal into one of Dropscribe's errors."""
    kind = _ERRORS.get(answer["error"], Unreadable)
    return kind(f"{path} {answer['what']}.", fix=answer["fix"])
