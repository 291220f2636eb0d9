"""Follows the daemon's state for the tray, through restarts of the daemon too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from service.control.client import ControlClient, ControlError, DaemonGone
from service.tray.model import Snapshot
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.paths import StatePaths

__all__ = ["DaemonLink"]

_RETRY = 2.0  # seconds between two tries to find a daemon
_SETTLE = 0.5  # seconds within which several events cause one request
_REFRESH = 30.0  # seconds after which the state is requested even without an event

log = get_logger("tray")


class DaemonLink:
    """Follows the daemon of one state directory, on its own threads.

    Args:
        paths: of the state directory.
        on_snapshot: called with each changed state; None while no daemon answers.
        retry: seconds between two tries to find a daemon.
        settle: seconds within which several events cause one request.
    """

    def __init__(
        self,
        paths: StatePaths,
        on_snapshot: Callable[[Snapshot | None], None],
        *,
        retry: float = _RETRY,
        settle: float = _SETTLE,
    ) -> None:
        self._paths = paths
        self._tell = on_snapshot
        self._retry = retry
        self._settle = settle
        self._stopping = threading.Event()
        self._last: Snapshot | None = None
        self._told = False

    def start(self) -> None:
        """Start following the daemon, until `stop`."""
        # A thread that reads from a socket can't be woken, so it must not keep the process alive.
        threading.Thread(target=self._follow, name="daemon-link", daemon=True).start()

    def stop(self) -> None:
        """Report nothing more."""
        self._stopping.set()

    def client(self) -> ControlClient:
        """Connect to the running daemon.

        Raises:
            DaemonGone: there is none.
        """
        client = ControlClient.from_state(self._paths)
        if client is None:
            raise DaemonGone("Dropscribe isn't running.")
        return client

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                self._stay(self.client())
            except (ControlError, msgspec.MsgspecError, ValueError) as lost:
                log.debug("daemon_lost", why=type(lost).__name__)
            self._publish(None)
            self._stopping.wait(self._retry)

    def _stay(self, client: ControlClient) -> None:
        """Request the state now and after each event, until the daemon is gone."""
        self._ask(client)
        news, gone = threading.Event(), threading.Event()
        listener = threading.Thread(target=_listen, args=(client, news, gone), name="daemon-events", daemon=True)
        listener.start()
        while not gone.is_set():
            news.wait(_REFRESH)
            if self._stopping.wait(self._settle):
                return
            news.clear()
            self._ask(client)

    def _ask(self, client: ControlClient) -> None:
        self._publish(msgspec.convert(client.status(), Snapshot))

    def _publish(self, snapshot: Snapshot | None) -> None:
        if self._stopping.is_set() or (self._told and snapshot == self._last):
            return
        self._told, self._last = True, snapshot
        self._tell(snapshot)


def _listen(client: ControlClient, news: threading.Event, gone: threading.Event) -> None:
    """Read the event stream. Only the fact that something happened matters here."""
    try:
        for _ in client.events():
            news.set()
    except (ControlError, ValueError) as end:
        log.debug("events_ended", why=type(end).__name__)
    finally:
        gone.set()
        news.set()
