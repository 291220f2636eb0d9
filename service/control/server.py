"""Serving the control API and the page inside the daemon's own event loop, on loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

import uvicorn

from service.control.app import create_app
from service.control.auth import new_token
from service.httpd.protocol import PunctualProtocol
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.applications import Starlette

    from watcher.control import Control
    from watcher.paths import StatePaths

__all__ = ["Address", "ConnectionLimits", "serve_dashboard"]

_log = get_logger("dashboard")
_LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_GRACE_SECONDS = 2
_KEEP_ALIVE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on connections: any user of this machine can open them.

    Attributes:
        most: how many may be open; each holds a file descriptor, and the daemon needs those too.
        head_seconds: how long a request's head may take.
    """

    most: int = 256
    head_seconds: float = 20.0


_LIMITS = ConnectionLimits()


@dataclass(frozen=True, slots=True)
class Address:
    """Where the control API and the page are.

    Attributes:
        url: e.g. `http://127.0.0.1:7373`.
        port: the port it got.
        notice: why that is not the port that was asked for; empty if it is.
    """

    url: str
    port: int
    notice: str = ""


@asynccontextmanager
async def serve_dashboard(
    control: Control, paths: StatePaths, port: int, *, limits: ConnectionLimits = _LIMITS
) -> AsyncIterator[Address]:
    """Serve for as long as the block runs; other programs find the address and the token in `paths.control`.

    Args:
        control: the daemon's facade.
        paths: the state directory, which must exist.
        port: on 127.0.0.1; 0 takes any free one. A port that is taken is replaced by a free one, and the address
            that is yielded says so.
        limits: on connections.

    Raises:
        OSError: no port can be listened on, or the control file can't be written.
    """
    listener, notice = _listen(port)
    with contextlib.closing(listener):
        actual = listener.getsockname()[1]
        address = Address(f"http://{_LOOPBACK}:{actual}", actual, notice)
        token = new_token()
        server = _Server(create_app(control, token=token, port=actual), limits)
        async with _running(server, listener):
            with _control_file(paths.control, address, token):
                if notice:
                    _log.warning(notice, url=address.url)
                yield address


def _listen(port: int) -> tuple[socket.socket, str]:
    """Listen on the port, or on a free one where it is taken or not allowed, and say so."""
    try:
        return _bind(port), ""
    except OSError as error:
        if not port:
            raise
        why = error.strerror or str(error)
        listener = _bind(0)
        actual = listener.getsockname()[1]
        return listener, f"Port {port} can't be used ({why}); the page is on port {actual} this time."


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # Elsewhere nobody else can listen on a port in use; there it takes this option.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_LOOPBACK, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except BaseException:
        listener.close()
        raise
    return listener


def _protocol(limits: ConnectionLimits) -> type[PunctualProtocol]:
    """Make a protocol that keeps to these limits."""

    class Bounded(PunctualProtocol):
        head_seconds = limits.head_seconds

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            """Accept a connection, or close it at once where there are too many."""
            super().connection_made(transport)
            if len(self.connections) > limits.most:
                self.transport.abort()

    return Bounded


class _Server(uvicorn.Server):
    """uvicorn's server as a guest in another program's loop: no signal handlers, and nothing to do when idle."""

    def __init__(self, app: Starlette, limits: ConnectionLimits) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="critical",  # what goes wrong in a request is logged by the app
                access_log=False,
                lifespan="off",
                loop="none",
                http=_protocol(limits),
                ws="none",
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._streams = app.state.streams
        self._stop = asyncio.Event()
        self.listening = asyncio.Event()

    def stop(self) -> None:
        """End `serve` in an orderly way."""
        self._stop.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the daemon."""
        yield

    async def main_loop(self) -> None:
        """Wait for the end; uvicorn's own loop wakes up ten times a second, for a Date header that we don't send."""
        self.listening.set()
        await self._stop.wait()
        self._streams.close()


@asynccontextmanager
async def _running(server: _Server, listener: socket.socket) -> AsyncIterator[None]:
    task = asyncio.create_task(server.serve([listener]), name="dashboard")
    listening = asyncio.create_task(server.listening.wait())
    try:
        await asyncio.wait([task, listening], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield
    finally:
        listening.cancel()
        server.stop()
        await task


@contextmanager
def _control_file(file: Path, address: Address, token: str) -> Iterator[None]:
    """Tell other programs of this user where the daemon is; take it back afterwards, if it is still ours."""
    text = json.dumps(
        {"url": address.url, "token": token, "pid": os.getpid(), "version": installed_version("dropscribe")}
    )
    _replace_private(file, text)
    try:
        yield
    finally:
        with suppress(OSError):
            if file.read_text(encoding="utf-8") == text:
                file.unlink()


def _replace_private(file: Path, text: str) -> None:
    """Replace a file as a whole with one that only its owner can read."""
    temp = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        temp.replace(file)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
