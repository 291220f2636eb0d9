"""The process of the tray icon: the icon on the main thread, the connection to the daemon on others."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import sys
import threading
from typing import TYPE_CHECKING

import filelock

from service.os_service.plan import apply
from service.tray.daemon_watcher import DaemonLink
from service.tray.icon import NoTray, TrayIcon
from service.tray.menu import Action, Verb, pause_until, view
from service.tray.opener import CannotOpen, open_page, open_path
from watcher.errors import DropscribeError
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from service.os_service.manager import ServiceManager, UnitState
    from service.os_service.spec import ServiceSpec
    from service.tray.model import Snapshot
    from watcher.paths import StatePaths

__all__ = ["TrayApp"]

_END = 5.0  # seconds that the icon may take to go

log = get_logger("tray")


class TrayApp:
    """Everything behind the icon.

    Args:
        paths: the state directory of the daemon that is shown.
        manager: the platform's service manager; None where there is none.
        spec: what `Start at login` would install.
        report: shows an error on the desktop.
    """

    def __init__(
        self,
        paths: StatePaths,
        *,
        manager: ServiceManager | None,
        spec: ServiceSpec | None,
        report: Callable[[str], None],
    ) -> None:
        self._paths = paths
        self._manager = manager
        self._spec = spec
        self._report = report
        self._icon: TrayIcon | None = None
        self._snapshot: Snapshot | None = None
        self._unit: UnitState | None = None
        self._ended = threading.Event()
        self._link = DaemonLink(paths, self._on_snapshot)

    def run(self, *, patience: float) -> None:
        """Show the icon until it is hidden or a signal ends the process. Call it on the main thread.

        Args:
            patience: seconds to wait for a panel.

        Raises:
            NoTray: it can't be shown, or is shown already.
        """
        self._paths.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(self._paths.root / "tray.lock", mode=0o600)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise NoTray("The tray icon is already running.", fix="Look for it in your panel.") from None
        with lock, _fresh_folder(self._paths.root / "tray") as pictures:
            self._icon = TrayIcon(self.act, folder=pictures)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._on_signal)
            if sys.platform != "win32":
                signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a vanished panel must not end the process silently
            _in_thread(self._look_at_unit)
            self._link.start()
            try:
                self._icon.run(patience=patience)
            finally:
                self._ended.set()
                self._link.stop()

    def act(self, action: Action) -> None:
        """Do what was clicked; returns at once."""
        _in_thread(lambda: self._do(action))

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # On another thread: the toolkit may hold its locks when the signal arrives.
        _in_thread(self._quit)

    def _quit(self) -> None:
        if self._icon is not None:
            self._icon.stop()
        # Toolkits can hang when their panel dies. Nothing here needs an orderly shutdown.
        if not self._ended.wait(_END):
            os._exit(0)

    def _on_snapshot(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot
        self._show()

    def _show(self) -> None:
        if self._icon is None:
            return
        unit = self._unit
        at_login = None if unit is None else unit.at_login
        can_start = unit is not None and unit.installed
        now = dt.datetime.now().astimezone()
        self._icon.show(view(self._snapshot, now=now, at_login=at_login, can_start=can_start))

    def _do(self, action: Action) -> None:
        try:
            self._perform(action)
        except (DropscribeError, CannotOpen) as error:
            self._report(str(error))
        except OSError as error:
            self._report(f"The action failed: {error.strerror or error}.")

    def _perform(self, action: Action) -> None:
        match action.verb:
            case Verb.OPEN_PAGE:
                open_page(self._link.client().open_code())
            case Verb.OPEN_FILE | Verb.OPEN_FOLDER:
                open_path(action.argument)
            case Verb.PAUSE:
                self._link.client().pause(pause_until(action.argument, dt.datetime.now().astimezone()))
            case Verb.RESUME:
                self._link.client().resume()
            case Verb.DISMISS:
                self._link.client().dismiss_all()
            case Verb.START:
                if self._manager is not None:
                    apply(self._manager.plan_start())
            case Verb.AT_LOGIN:
                self._set_at_login(on=action.argument == "on")
            case Verb.QUIT:
                self._quit()

    def _set_at_login(self, *, on: bool) -> None:
        """Turn the start at login on or off. A running daemon is not affected."""
        if self._manager is None or self._spec is None:
            return
        if on:
            apply(self._manager.plan_install(self._spec, start=False))
        apply(self._manager.plan_at_login(on=on))
        self._look_at_unit()

    def _look_at_unit(self) -> None:
        """Check whether the service is installed; without a manager the menu leaves those items out."""
        if self._manager is None:
            return
        try:
            self._unit = self._manager.state()
        except DropscribeError as error:
            log.debug("no_service_manager", why=str(error))
            return
        self._show()


@contextlib.contextmanager
def _fresh_folder(folder: Path) -> Iterator[Path]:
    """Create a folder for one run, replacing one that a killed icon left behind."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_thread(work: Callable[[], None]) -> None:
    """Run something on a thread that doesn't keep the process alive."""
    threading.Thread(target=work, daemon=True).start()
