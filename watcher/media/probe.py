"""Probes media files in child processes, which stay while there is work and end when idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Self

from watcher.errors import (
    BrokenMedia,
    InternalError,
    LimitExceeded,
    NotARecording,
    ReadTimeout,
    RecordingError,
    Unreadable,
)
from watcher.logs import get_logger
from watcher.media.child import WORKER, Child, ChildDied, ChildNotStarted, ChildTooSlow
from watcher.models import MediaInfo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["SLOW", "Prober", "death_of", "error_of", "not_started"]

_log = get_logger("media")
_ERRORS: dict[str, type[RecordingError]] = {
    "BrokenMedia": BrokenMedia,
    "LimitExceeded": LimitExceeded,
    "NotARecording": NotARecording,
    "Unreadable": Unreadable,
}
_GIB = 1 << 30
SLOW = "The disk or share that it is on may be slow or stuck, or this machine busy."
"""A hint for the user if a child waited too long."""


class Prober:
    """Probes recordings in child processes.

    Use it as an async context manager: `async with Prober() as prober: info = await prober.probe(path)`.

    Args:
        limit: seconds per file; also the limit of CPU time.
        memory: bytes of address space per child (POSIX).
        workers: the most children at a time.
        idle: seconds without work after which the children are ended.
        script: the program that a child runs.
    """

    def __init__(
        self,
        *,
        limit: float = 30.0,
        memory: int = 2 * _GIB,
        workers: int = 2,
        idle: float = 15.0,
        script: Path = WORKER,
    ) -> None:
        self._limit = limit
        self._memory = memory
        self._script = script
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
        """The number of child processes."""
        return len(self._free) + self._busy

    async def probe(self, path: Path) -> MediaInfo:
        """Return what a recording contains, and check that its audio can be decoded.

        Raises:
            NotARecording: there is no sound in it, or it is no media at all.
            BrokenMedia: it is damaged or cut short.
            LimitExceeded: it takes more time or memory than any recording needs.
            Unreadable: it can't be read.
            ReadTimeout: nor within the time limit.
            InternalError: Dropscribe itself failed.
        """
        [found] = await self.probe_all([path])
        if isinstance(found, Exception):
            raise found
        return found

    async def probe_all(self, paths: Sequence[Path]) -> list[MediaInfo | RecordingError | InternalError]:
        """Probe several recordings, in order, in one batch, which is much faster for small ones.

        Returns:
            For each what `probe` would return, or the error that it would raise.
        """
        found: list[MediaInfo | RecordingError | InternalError] = []
        died_at: int | None = None
        while len(found) < len(paths):
            try:
                await self._probe_into(found, paths)
            except ChildTooSlow:
                # CPU time has its own limit, so the child was waiting for a disk, a share or a busy machine.
                what = f"Opening {paths[len(found)]} took longer than {self._limit:g} s."
                found.append(ReadTimeout(what, fix=SLOW))
            except ChildNotStarted as error:
                found += [not_started(path, error) for path in paths[len(found) :]]
            except ChildDied as death:
                # Something else may have killed it (out of memory): try once more, with a new child.
                if died_at == len(found):
                    found.append(death_of(paths[len(found)], death))
                else:
                    died_at = len(found)
        return found

    async def _probe_into(self, found: list[MediaInfo | RecordingError | InternalError], paths: Sequence[Path]) -> None:
        """Continue where `found` ends, in one child."""
        left = paths[len(found) :]
        async with self._child() as child:
            await child.send({"do": "probe", "path": os.fspath(path.absolute()), "cpu": self._limit} for path in left)
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
                child = child or await Child.start(memory=self._memory, script=self._script)
                yield child
            except BaseException:
                # Leftover answers would be taken for those of the next recordings.
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


def death_of(path: Path, death: ChildDied) -> LimitExceeded | InternalError:
    """Return the error for a worker that died on a recording: it reached its CPU limit, or the program failed."""
    number = -(death.status or 0)
    if number == getattr(signal, "SIGXCPU", None):
        return LimitExceeded(
            f"{path} takes more time of the processor than any recording needs.", fix="Convert it, e.g. to wav."
        )
    if number == getattr(signal, "SIGKILL", None):
        how = "was killed, most likely because memory ran out"
    else:
        how = f"ended with {signal.Signals(number).name if number > 0 else f'exit status {death.status}'}"
    said = f": {death.last_words}" if death.last_words and number <= 0 else ""
    return _internal(path, f"the process that reads it {how}{said}")


def not_started(path: Path, error: ChildNotStarted) -> InternalError:
    """Say that the worker can't be started."""
    return _internal(path, f"the process that reads it does not start: {error}")


def error_of(answer: dict[str, Any], path: Path) -> RecordingError | InternalError:
    """Turn a worker's refusal into one of Dropscribe's errors."""
    if answer["error"] == "InternalError":
        return _internal(path, answer["what"], answer["traceback"])
    kind = _ERRORS.get(answer["error"], Unreadable)
    return kind(f"{path} {answer['what']}.", fix=answer["fix"])


def _internal(path: Path, what: str, trace: str = "") -> InternalError:
    _log.error("Dropscribe itself failed", file=str(path), why=what, **({"traceback": trace} if trace else {}))
    return InternalError(f"Dropscribe itself failed on {path}: {what.rstrip('.')}.")
