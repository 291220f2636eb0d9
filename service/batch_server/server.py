"""Starts and stops the server process."""

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

from service.batch_server import app
from service.batch_server.api import auth
from service.batch_server.dispatch.job_events import JobEvents
from service.batch_server.recognition.messages import ModelSource
from service.batch_server.settings import ServerSettings
from service.batch_server.store.async_store import AsyncStore
from service.batch_server.store.connection import StoreUnusable
from service.batch_server.workers.backends import ClusterUnavailable, open_backends
from service.httpd.protocol import ConnectionLimits
from service.httpd.server import QuietServer, listen

_HEAD_SECONDS: Final = 60.0
# Longer than clients keep an idle connection, so that they close it: a request that arrives on a connection that is
# being closed is lost, and a submission can't be repeated blindly.
_KEEP_ALIVE_SECONDS: Final = 75
_PR_SET_PDEATHSIG: Final = 1
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - recognised, not bound to

_log = structlog.stdlib.get_logger("batch_server")


def run(settings: ServerSettings, *, announce: Callable[[str], None] | None = None) -> int:
    """Serve until a signal; see ``service.batch_server.serve``."""
    auth.check_settings(settings.host, settings.key)
    configure_logs()
    try:
        _check_tls(settings)
    except OSError as error:
        _log.error("can't serve https", certificate=str((settings.tls or "")[0]), reason=error.strerror or str(error))
        return 1
    try:
        listener = listen(settings.host, settings.port)
    except OSError as error:
        reason = f"{error.strerror or error}; choose another address with --host, or another port with --port"
        _log.error("can't listen", host=settings.host, port=settings.port, reason=reason)
        return 1
    url = _url(listener, settings)
    with contextlib.closing(listener):
        try:
            async_store = AsyncStore(settings.data_dir)
        except (StoreUnusable, OSError) as error:
            _log.error("can't work", data_dir=str(settings.data_dir), reason=str(error))
            return 1
        try:
            events = JobEvents()
            backends = open_backends(
                ModelSource(_model(settings.model), settings.threads, settings.data_dir.absolute()),
                workers=settings.workers,
                cluster=settings.cluster,
            )
            unusable = threading.Event()

            def stop_unusable() -> None:
                # The daemon's own server stays: its jobs fail with the reason, and the daemon shows it.
                if not settings.exit_with_parent:
                    unusable.set()
                    server.stop()

            server = QuietServer(
                app.build(settings, async_store, events, backends, on_unusable=stop_unusable),
                keep_alive_seconds=_KEEP_ALIVE_SECONDS,
                limits=ConnectionLimits(head_seconds=_HEAD_SECONDS),
                lifespan=True,
                log_level="warning",
                tls=settings.tls,
                on_ready=lambda: announce(url) if announce is not None else None,
                on_stop=events.close,
            )
            if settings.exit_with_parent:
                _watch_parent(server)
            with _stopped_by_signals(server):
                asyncio.run(server.serve([listener]))
        except ClusterUnavailable as error:
            _log.error("can't work", reason=str(error))
            return 1
        finally:
            async_store.close()
    return 0 if server.started and not unusable.is_set() else 1


@contextlib.contextmanager
def _stopped_by_signals(server: QuietServer) -> Iterator[None]:
    """Stop the server on SIGINT and SIGTERM; outside the main thread Python allows no handlers, and nothing is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        server.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _url(listener: socket.socket, settings: ServerSettings) -> str:
    host, port = listener.getsockname()[:2]
    if settings.host in _EVERYWHERE:
        host = socket.gethostname()  # no client can connect to the address that stands for all
    elif settings.tls is not None and settings.host == "localhost":
        host = settings.host
    return f"{'http' if settings.tls is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}/v2"


def _check_tls(settings: ServerSettings) -> None:
    """Check the certificate before anything else is started.

    Raises:
        OSError: If it can't be read; ``ssl.SSLError`` is one, too.
    """
    if settings.tls is not None:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*settings.tls)


def _watch_parent(server: QuietServer) -> None:
    """Stop when the parent has ended: it held the other end of our standard input."""

    def wait_for_end() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        server.stop()

    threading.Thread(target=wait_for_end, name="parent", daemon=True).start()
    if sys.platform == "linux":
        _signal_on_parent_death(server)


def _signal_on_parent_death(server: QuietServer) -> None:
    """Ask Linux for a signal when the parent dies, in case another process holds our standard input open.

    The kernel also sends it when only the *thread* that started us ends (prctl(2)), so the handler checks whether our
    parent is still the same.
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


def _model(name: str) -> str:
    """Make a folder's path absolute, because workers have another working directory; a model's name stays one."""
    is_path = os.sep in name or "/" in name
    return str(Path(name).absolute()) if is_path and Path(name).is_dir() else name
