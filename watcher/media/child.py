"""A media worker as its parent sees it: one process that answers in order, killed when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

__all__ = ["Child", "ChildDied", "ChildTooSlow"]

_SCRIPT = Path(__file__).with_name("worker.py")
_STARTS_WITHIN = 60.0
_LONGEST_LINE = 1 << 20


class ChildDied(Exception):
    """The process ended in the middle of a request.

    Attributes:
        status: its exit status; negative for the signal that ended it.
    """

    def __init__(self, status: int | None) -> None:
        super().__init__(f"exit status {status}")
        self.status = status


class ChildTooSlow(Exception):
    """The process took longer than it may, and was killed."""


class Child:
    """A running worker process. Make one with `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, *, memory: int) -> Child:
        """Start a worker that may take so many bytes of memory.

        Raises:
            ChildDied: it couldn't be started.
        """
        # -P keeps this folder off the module path: its names must not hide the standard library's.
        command = [sys.executable, "-P", str(_SCRIPT), str(memory)]
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
            creationflags=flags,
        )
        child = cls(process)
        try:
            async with asyncio.timeout(_STARTS_WITHIN):
                await child._line()
        except BaseException:
            await child.kill()
            raise
        return child

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs, as far as is known."""
        return self._process.returncode is None

    async def ask(
        self, request: dict[str, Any], *, seconds: float | None, progress: Callable[[float], None] | None = None
    ) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Args:
            request: what `worker.py` understands.
            seconds: how long it may take without a sign of progress.
            progress: told how far it is, 0 to 1.

        Raises:
            ChildDied: the process ended.
            ChildTooSlow: it took too long.
        """
        await self.send([request])
        return await self.answer(seconds=seconds, progress=progress)

    async def send(self, requests: Iterable[dict[str, Any]]) -> None:
        """Send requests, all at once; each wants its `answer` to be waited for.

        Raises:
            ChildDied: the process ended.
        """
        assert self._process.stdin is not None  # noqa: S101 - it was started with pipes
        async with self._usable():
            self._process.stdin.write(b"".join(json.dumps(request).encode("ascii") + b"\n" for request in requests))
            await self._process.stdin.drain()

    async def answer(self, *, seconds: float | None, progress: Callable[[float], None] | None = None) -> dict[str, Any]:
        """Wait for the next answer; arguments and errors are those of `ask`."""
        async with self._usable():
            while True:
                async with asyncio.timeout(seconds):
                    answer = await self._line()
                if "progress" not in answer:
                    return answer
                if progress is not None:
                    progress(answer["progress"])

    @contextlib.asynccontextmanager
    async def _usable(self) -> AsyncIterator[None]:
        """After an error the process is in the middle of something nobody waits for any more: end it."""
        try:
            yield
        except TimeoutError:
            await self.kill()
            raise ChildTooSlow from None
        except ConnectionError:
            raise ChildDied(await self._process.wait()) from None
        except asyncio.CancelledError:
            await asyncio.shield(self.kill())
            raise

    async def kill(self) -> None:
        """End the process, now."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        # Without this the pipe's transport stays open until it is collected, with a warning.
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it was started with pipes
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ChildDied(await self._process.wait())
        answer: dict[str, Any] = json.loads(line)
        return answer
