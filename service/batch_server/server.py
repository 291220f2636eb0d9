"""Starting and stopping the server process, in order."""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final

import structlog
import uvicorn

from service.batch_server import app
from service.batch_server.api import auth
from service.batch_server.dispatch.job_events import Waiters
from service.batch_server.recognition.messages import ModelSource
from service.batch_server.settings import ServerSettings
from service.batch_server.store.async_store import Database
from service.batch_server.store.connection import StoreUnusable
from service.batch_server.workers.backends import ClusterUnavailable, open_slots
from service.httpd.protocol import PunctualProtocol

_GRACE_SECONDS: Final = 2
_BACKLOG: Final = 512
# Longer than clients keep an idle connection, so that it is they who close it: a request that meets a
# connection being closed is lost, and a submission can't be repeated blindly.
_KEEP_ALIVE_SECONDS: Final = 75
_PR_SET_PDEATHSIG: Final = 1
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound to

_log = structlog.stdlib.get_logger("batch_server")


def run(settings: ServerSettings, *, announce: Callable[[str], None] | None = None) -> int:
    """Serve until told to stop; see ``service.batch_server.serve``."""
    auth.check_settings(settings.host, settings.key)
    configure_logs()
    try:
        _check_tls(settings)
    except OSError as error:
        _log.error("can't serve https", certificate=str((settings.tls or "")[0]), reason=error.strerror or str(error))
        return 1
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        reason = f"{error.strerror or error}; choose another address with --host, or another port with --port"
        _log.error("can't listen", host=settings.host, port=settings.port, reason=reason)
        return 1
    url = _url(listener, settings)
    certificate, private_key = settings.tls or (None, None)
    with contextlib.closing(listener):
        try:
            database = Database(settings.data_dir)
        except (StoreUnusable, OSError) as error:
            _log.error("can't work", data_dir=str(settings.data_dir), reason=str(error))
            return 1
        try:
            waiters = Waiters()
            slots = open_slots(
                ModelSource(_model(settings.model), settings.threads, settings.data_dir.absolute()),
                workers=settings.workers,
                cluster=settings.cluster,
            )
            server = _Server(
                uvicorn.Config(
                    app.build(settings, database, waiters, slots),
                    log_config=None,
                    access_log=False,
                    lifespan="on",
                    loop="asyncio",
                    http=PunctualProtocol,
                    ws="none",
                    server_header=False,
                    date_header=False,
                    timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                    timeout_graceful_shutdown=_GRACE_SECONDS,
                    ssl_certfile=certificate,
                    ssl_keyfile=private_key,
                ),
                waiters,
                on_ready=lambda: announce(url) if announce is not None else None,
            )
            if settings.exit_with_parent:
                _watch_parent(server)
            asyncio.run(server.serve([listener]))
        except ClusterUnavailable as error:
            _log.error("can't work", reason=str(error))
            return 1
        finally:
            database.close()
    return 0 if server.started else 1


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it is ready and lets nobody wait when it stops."""

    def __init__(self, config: uvicorn.Config, waiters: Waiters, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._waiters = waiters
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told_to_stop = asyncio.Event()

    def stop(self) -> None:
        """Stop in good order; may be called from any thread and from a signal handler."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                self._loop.call_soon_threadsafe(self._told_to_stop.set)

    async def main_loop(self) -> None:
        """Sleep until told to stop; uvicorn's own loop wakes up ten times a second, for ever."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._told_to_stop.wait()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._waiters.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals ourselves: uvicorn would raise them again after an orderly stop."""
        handled = [signal.SIGINT, signal.SIGTERM]
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._stop) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _: int, __: FrameType | None) -> None:
        self.stop()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio only switches Nagle's delay off where it is told the protocol; with it every answer takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _url(listener: socket.socket, settings: ServerSettings) -> str:
    host, port = listener.getsockname()[:2]
    if settings.host in _EVERYWHERE:
        host = socket.gethostname()  # others can't reach us under the address that stands for all
    elif settings.tls is not None and settings.host == "localhost":
        host = settings.host
    return f"{'http' if settings.tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}/v2"


def _check_tls(settings: ServerSettings) -> None:
    """Try the certificate before anything is begun.

    Raises:
        OSError: If it can't be read; ``ssl.SSLError`` is one, too.
    """
    if settings.tls is not None:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*settings.tls)


def _watch_parent(server: _Server) -> None:
    """Stop when the parent has gone: it held the other end of our standard input."""

    def wait_for_end() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        server.stop()

    threading.Thread(target=wait_for_end, name="parent", daemon=True).start()
    if sys.platform == "linux":
        _signal_on_parent_death(server)


def _signal_on_parent_death(server: _Server) -> None:
    """Ask Linux for a signal when the parent dies, in case somebody else holds our standard input open.

    The kernel sends it when the *thread* that started us ends, too (prctl(2)); so the signal only makes us
    look whether our parent is still the same.
    """
    if sys.platform == "linux":
        parent = os.getppid()

        def look(_: int, __: FrameType | None) -> None:
            if os.getppid() != parent:
                server.stop()

        signal.signal(signal.SIGUSR1, look)
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1)


def configure_logs() -> None:
    """Log to standard error: for people on a terminal, as JSON lines otherwise."""
    on_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*processors, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if on_terminal else [structlog.processors.format_exc_info]),
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def _model(name: str) -> str:
    """Make a folder's path absolute, because workers have another working directory; a model's name stays one."""
    is_path = os.sep in name or "/" in name
    return str(Path(name).absolute()) if is_path and Path(name).is_dir() else name
