"""Serving the control API and the page inside the daemon's own event loop, on loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from service.control.app import create_app
from service.control.auth import new_token
from service.httpd.protocol import ConnectionLimits
from service.httpd.server import QuietServer, listen
from watcher.logs import get_logger

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.applications import Starlette

    from watcher.control import Control
    from watcher.paths import StatePaths

__all__ = ["Address", "serve_dashboard"]

_log = get_logger("dashboard")
_LOOPBACK = "127.0.0.1"
_KEEP_ALIVE_SECONDS = 30


# Any user of this machine can open connections, and the daemon needs file descriptors for other things too.
_LIMITS = ConnectionLimits(most=256, head_seconds=20.0)


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
        app = create_app(control, token=token, port=actual)
        async with _running(app, limits, listener):
            with _control_file(paths.control, address, token):
                if notice:
                    _log.warning(notice, url=address.url)
                yield address


def _listen(port: int) -> tuple[socket.socket, str]:
    """Listen on the port, or on a free one where it is taken or not allowed, and say so."""
    try:
        return listen(_LOOPBACK, port), ""
    except OSError as error:
        if not port:
            raise
        why = error.strerror or str(error)
        listener = listen(_LOOPBACK, 0)
        actual = listener.getsockname()[1]
        return listener, f"Port {port} can't be used ({why}); the page is on port {actual} this time."


@asynccontextmanager
async def _running(app: Starlette, limits: ConnectionLimits, listener: socket.socket) -> AsyncIterator[None]:
    """Answer requests while the block runs."""
    ready = asyncio.Event()
    server = QuietServer(
        app,
        keep_alive_seconds=_KEEP_ALIVE_SECONDS,
        limits=limits,
        lifespan=False,
        log_level="critical",  # the application logs failed requests itself
        on_ready=ready.set,
        on_stop=app.state.streams.close,
    )
    serving = asyncio.create_task(server.serve([listener]), name="dashboard")
    listening = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait([serving, listening], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield
    finally:
        listening.cancel()
        server.stop()
        await serving


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
