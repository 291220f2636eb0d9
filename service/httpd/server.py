"""A quiet uvicorn server: it listens on a socket of ours, does nothing while idle, and leaves signals alone."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from service.httpd.protocol import BoundedProtocol, ConnectionLimits

_BACKLOG: Final = 512
_GRACE_SECONDS: Final = 2


def listen(host: str, port: int) -> socket.socket:
    """Open a listening TCP socket.

    Args:
        host: A name, an IPv4 or an IPv6 address.
        port: 0 takes any free port.

    Raises:
        OSError: If the address can't be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only if the protocol is given; with it every response takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # Without this option Windows lets another program listen on the same port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except BaseException:
        listener.close()
        raise
    return listener


class QuietServer(uvicorn.Server):
    """Runs an application with ``serve([listener])`` until ``stop`` is called.

    Args:
        app: The application.
        keep_alive_seconds: How long an idle connection is kept open.
        limits: Limits on connections.
        lifespan: Whether the application has startup and shutdown code of its own.
        log_level: The level from which on uvicorn's own messages are logged; ``"critical"`` if the application logs
            failed requests itself.
        tls: Files with the certificate (and its chain) and its private key, PEM, to serve https; ``None`` serves http.
        on_ready: Called once when requests are accepted.
        on_stop: Called once when the server begins to stop, to end requests that would wait for long.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keep_alive_seconds: int,
        limits: ConnectionLimits,
        lifespan: bool,
        log_level: str,
        tls: tuple[Path, Path] | None = None,
        on_ready: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        certificate, private_key = tls or (None, None)
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level=log_level,
                access_log=False,
                lifespan="on" if lifespan else "off",
                loop="none",
                http=BoundedProtocol.within(limits),
                ws="none",
                server_header=False,
                date_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=keep_alive_seconds,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                ssl_certfile=certificate,
                ssl_keyfile=private_key,
            )
        )
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_wanted = False
        self._stop_event = asyncio.Event()

    def stop(self) -> None:
        """Make ``serve`` finish in good order; may be called from any thread and from a signal handler."""
        self._stop_wanted = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                self._loop.call_soon_threadsafe(self._stop_event.set)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program: uvicorn would raise them again after an orderly stop."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def main_loop(self) -> None:
        """Sleep until ``stop``; uvicorn's own loop wakes up ten times a second, for a Date header that we don't use."""
        self._loop = asyncio.get_running_loop()
        if not self._stop_wanted:
            await self._stop_event.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting requests, and end those that are in progress."""
        self._on_stop()
        await super().shutdown(sockets)
