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
    from collections.abc import AsyncIterator, Sequence
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
        [found] = await self.probe_all([path])
        if isinstance(found, RecordingError):
            raise found
        return found

    async def probe_all(self, paths: Sequence[Path]) -> list[MediaInfo | RecordingError]:
        """Probe several recordings, in order, in one go: of small ones many more in the same time.

        Returns:
            For each what `probe` would return, or the error that it would raise.
        """
        found: list[MediaInfo | RecordingError] = []
        died_at: int | None = None
        while len(found) < len(paths):
            try:
                await self._probe_into(found, paths)
            except ChildTooSlow:
                found.append(_broken(paths[len(found)], f"took longer than {self._limit:g} s to look into"))
            except ChildDied:
                # Perhaps it was ended by something else (out of memory): once more, with a fresh one.
                if died_at == len(found):
                    what = "makes the program that reads it crash, or take more than it may"
                    found.append(_broken(paths[len(found)], what))
                else:
                    died_at = len(found)
        return found

    async def _probe_into(self, found: list[MediaInfo | RecordingError], paths: Sequence[Path]) -> None:
        """Go on where `found` ends, in one child."""
        left = paths[len(found) :]
        async with self._child() as child:
            await child.send({"do": "probe", "path": os.fspath(path), "cpu": self._limit} for path in left)
            for path in left:
                answer = await child.answer(seconds=self._limit)
                found.append(MediaInfo(**answer["ok"]) if "ok" in answer else error_of(answer, path))

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
            except BaseException:
                # Answers that nobody waited for would be taken for those of the next recordings.
                if child is not None:
                    await asyncio.shield(child.kill())
                raise
            finally:
                self._busy -= 1
                if child is not None and child.is_alive:
                    self._free.append(child)
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


def _broken(path: Path, what: str) -> BrokenMedia:
    return BrokenMedia(f"{path} {what}.", fix="Convert it, e.g. to wav.")


def error_of(answer: dict[str, Any], path: Path) -> RecordingError:
    """Turn a worker's refusal into one of Dropscribe's errors."""
    kind = _ERRORS.get(answer["error"], Unreadable)
    return kind(f"{path} {answer['what']}.", fix=answer["fix"])
