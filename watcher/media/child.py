"""Runs a media worker: a process that answers in order, and is killed if it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watcher.interpreter import WORKING_DIRECTORY, child_environment, python_command
from watcher.media.erroroutput import ErrorOutput

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

__all__ = ["WORKER", "Child", "ChildDied", "ChildNotStarted", "ChildTooSlow"]

WORKER = Path(__file__).with_name("worker.py")
"""The program that a child runs."""
_STARTS_WITHIN = 60.0
_LONGEST_LINE = 1 << 20


class ChildDied(Exception):
    """The process ended during a request.

    Attributes:
        status: its exit status; negative for the signal that ended it.
        last_words: the last line that it wrote to standard error, e.g. of a traceback.
    """

    def __init__(self, status: int | None, last_words: str = "") -> None:
        super().__init__(f"exit status {status}")
        self.status = status
        self.last_words = last_words


class ChildNotStarted(Exception):
    """The process can't be started, or ended before its first request: no recording is the cause."""


class ChildTooSlow(Exception):
    """The process exceeded its time and was killed."""


class Child:
    """A running worker process. Make one with `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 - it was started with pipes
        self._process = process
        self._errors = ErrorOutput(process.stderr, process.pid)

    @classmethod
    async def start(cls, *, memory: int, inherited: Sequence[int] = (), script: Path = WORKER) -> Child:
        """Start a worker with limited memory.

        Args:
            memory: bytes of address space (POSIX).
            inherited: open files that it inherits, with the same descriptors (POSIX).
            script: the program that it runs.

        Raises:
            ChildNotStarted: it couldn't be started.
        """
        command = python_command("-X", "faulthandler", str(script), str(memory))
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LONGEST_LINE,
                cwd=WORKING_DIRECTORY,
                env=child_environment(),
                creationflags=flags,
                pass_fds=inherited,
            )
        except OSError as error:
            raise ChildNotStarted(f"{command[0]}: {error.strerror or error}") from error
        child = cls(process)
        try:
            async with asyncio.timeout(_STARTS_WITHIN):
                await child._line()
        except ChildDied as death:
            await child.kill()
            raise ChildNotStarted(death.last_words or str(death)) from death
        except TimeoutError:
            await child.kill()
            raise ChildNotStarted(f"it was not ready within {_STARTS_WITHIN:g} s") from None
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
            request: as `worker.py` expects it.
            seconds: how long it may take without progress.
            progress: called with the fraction done, 0 to 1.

        Raises:
            ChildDied: the process ended.
            ChildTooSlow: it took too long.
        """
        await self.send([request])
        return await self.answer(seconds=seconds, progress=progress)

    async def send(self, requests: Iterable[dict[str, Any]]) -> None:
        """Send requests, all at once; call `answer` once for each.

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
        """End the process after an error: it may still be working on an abandoned request."""
        try:
            yield
        except TimeoutError:
            await self.kill()
            raise ChildTooSlow from None
        except ConnectionError:
            raise await self._death() from None
        except asyncio.CancelledError:
            await asyncio.shield(self.kill())
            raise

    async def kill(self) -> None:
        """Kill the process."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        # Without this the pipe's transport stays open until it is collected, with a warning.
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._errors.finish()

    async def _death(self) -> ChildDied:
        return ChildDied(await self._process.wait(), await self._errors.last_line())

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it was started with pipes
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise await self._death()
        answer: dict[str, Any] = json.loads(line)
        return answer
