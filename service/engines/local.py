"""Runs the local server as a child process: started when there is work, restarted if it dies, stopped when idle.

It listens on loopback only, with a random key per run of the daemon. It ends with the daemon, even if that is killed:
its standard input is a pipe that the daemon holds.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from watcher.errors import EngineUnavailable
from watcher.interpreter import WORKING_DIRECTORY, child_environment, python_command
from watcher.logs import get_logger
from watcher.speechmatics import AsyncClient

if TYPE_CHECKING:
    from watcher.clock import Clock
    from watcher.config import LocalConfig

__all__ = ["LocalServer"]

_log = get_logger("local server")
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_SAY = 65536
_LOG_BYTES = 5_000_000


class LocalServer:
    """A `Connector` to a server that it runs itself.

    Args:
        config: `[local]`.
        data_dir: where the server keeps its jobs.
        clock: for the idle time.
    """

    def __init__(self, config: LocalConfig, data_dir: Path, *, clock: Clock) -> None:
        self._config = config
        self._data_dir = data_dir
        self._clock = clock
        self._key = secrets.token_urlsafe(32)
        self._process: asyncio.subprocess.Process | None = None
        self._client: AsyncClient | None = None
        self._starting = asyncio.Lock()
        self._last_use = clock.monotonic()
        self._background: set[asyncio.Task[None]] = set()

    async def connect(self) -> AsyncClient:
        """Return a client of the running server, starting it if it is not running.

        Raises:
            EngineUnavailable: it can't be started.
        """
        self._last_use = self._clock.monotonic()
        async with self._starting:
            if self._client is None or self._process is None or self._process.returncode is not None:
                await self._close_client()
                self._client = await self._start()
            return self._client

    def in_use(self, *, busy: bool) -> None:
        """Start the server in advance if there is work; otherwise its idle time starts."""
        if not busy:
            return
        self._last_use = self._clock.monotonic()
        if self._process is None and not self._starting.locked():
            task = asyncio.create_task(self._warm_up(), name="warm up the local server")
            self._background.add(task)
            task.add_done_callback(self._background.discard)

    async def watch_idle(self) -> None:
        """Stop the server after its idle time; cancel to end."""
        idle = self._config.idle_release
        while True:
            await asyncio.sleep(max(1.0, idle - (self._clock.monotonic() - self._last_use)))
            if self._process is not None and self._clock.monotonic() - self._last_use >= idle:
                _log.debug("let go: no work")
                await self.close()

    async def close(self) -> None:
        """Stop the server and wait until it is gone."""
        async with self._starting:
            await self._close_client()
            process, self._process = self._process, None
            if process is None or process.returncode is not None:
                return
            if process.stdin:
                process.stdin.close()  # the server ends by itself when its input does
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _warm_up(self) -> None:
        with suppress(EngineUnavailable):
            await self.connect()

    async def _close_client(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _start(self) -> AsyncClient:
        command = python_command("-m", "service.batch_server", "--data-dir", str(self._data_dir.absolute()))
        command += ["--port", "0", "--model", _absolute(self._config.model), "--threads", str(self._config.threads)]
        command += ["--idle-release", str(self._config.idle_release), "--exit-with-parent", "--preload"]
        _rotate(self._data_dir / "server.log")
        log = os.open(self._data_dir / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_SAY,
                cwd=WORKING_DIRECTORY,
                env=child_environment(DROPSCRIBE_SERVER_KEY=self._key),
            )
        except OSError as error:
            raise EngineUnavailable(f"The local server can't be started: {error}.") from error
        finally:
            os.close(log)
        url = await self._wait_for_address(self._process)
        _log.debug("started", url=url, pid=self._process.pid)
        return AsyncClient(self._key, url=url)

    async def _wait_for_address(self, process: asyncio.subprocess.Process) -> str:
        line = b""
        if process.stdout:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    line = await process.stdout.readline()
            except TimeoutError:
                pass
        try:
            return str(json.loads(line)["url"])
        except (ValueError, KeyError, TypeError):
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            log = self._data_dir / "server.log"
            raise EngineUnavailable("The local server does not start.", fix=f"See its log: {log}") from None


def _absolute(model: str) -> str:
    """Make a folder's path absolute, because the server has another working directory; a model's name stays one."""
    is_path = os.sep in model or "/" in model
    return os.path.abspath(model) if is_path and Path(model).is_dir() else model  # noqa: PTH100 - links stay


def _rotate(log: Path) -> None:
    """Put a long log aside, as `NAME.1`; only between two runs of the server."""
    with suppress(OSError):
        if log.stat().st_size > _LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
