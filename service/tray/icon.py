"""The icon in the panel: the only module that uses pystray.

pystray chooses its backend at import, and fails there without a desktop; so it is imported late.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.tray import pystray_gtk, pystray_xorg
from service.tray.icons import IconState, draw
from service.tray.menu import SEPARATOR, Item, View
from watcher.errors import DropscribeError
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from service.tray.menu import Action

__all__ = ["NoTray", "TrayIcon"]

_LOOK_AGAIN = 2.0  # seconds between two looks for a panel

# Without a menu, pystray's AppIndicator fails silently, and the icon would stay hidden forever.
_CONNECTING = View(IconState.DOWN, 0, "Dropscribe", (Item("Connecting…"),))

log = get_logger("tray")


class NoTray(DropscribeError):
    """This session can't show an icon."""


class TrayIcon:
    """The icon; it reappears after a restart of the panel.

    Args:
        on_action: called, on a thread of the toolkit, with what was clicked.
        folder: for pictures that the panel reads from files; used by this icon only.

    Raises:
        NoTray: there is no desktop to show it on.
    """

    def __init__(self, on_action: Callable[[Action], None], *, folder: Path) -> None:
        self._on_action = on_action
        self._pystray = _import_pystray()
        mended: dict[str, type] = {
            "xorg": pystray_xorg.OneThread,
            "gtk": pystray_gtk.GtkManners,
            "appindicator": pystray_gtk.GtkManners,
        }
        bases = (*([mended[self._backend]] if self._backend in mended else []), self._pystray.Icon)
        # Its icons close their display when they are collected, and complain when that is gone.
        own = {"__del__": lambda _: None, "folder": folder}
        self._make: Callable[..., Any] = type("Icon", bases, own)
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self._view = _CONNECTING
        self._shown: View | None = None

    @property
    def has_menu(self) -> bool:
        """Whether this desktop shows a menu; otherwise a click does the default action."""
        return bool(self._pystray.Icon.HAS_MENU)

    def run(self, *, patience: float) -> None:
        """Show the icon until `stop`. Call it on the main thread.

        Args:
            patience: seconds to wait for a panel, which may start later than the icon at login.

        Raises:
            NoTray: no panel came, or the desktop is gone.
        """
        deadline = time.monotonic() + patience
        while not self._stopping.is_set():
            while not self._panel_is_there():
                if time.monotonic() >= deadline:
                    raise NoTray(
                        "This desktop shows no tray icons: no panel with a system tray was found.",
                        fix="The status page shows the same: dropscribe open. On GNOME, the extension "
                        "'AppIndicator and KStatusNotifierItem Support' adds a tray.",
                    )
                if self._stopping.wait(_LOOK_AGAIN):
                    return
            self._run_once()
            # Unless `stop` was called, its loop only ends when the panel or the session is gone.
            deadline = time.monotonic() + max(patience, 60.0)

    def stop(self) -> None:
        """Remove the icon. May be called from any thread."""
        self._stopping.set()
        self._changed.set()  # the painter ends the loop

    def show(self, view: View) -> None:
        """Show another state soon. May be called from any thread."""
        self._view = view
        self._changed.set()

    def _run_once(self) -> None:
        try:
            icon = self._make(
                "dropscribe",
                icon=self._picture(self._view),
                title="Dropscribe",
                menu=self._pystray.Menu(self._menu_items),
            )
        except Exception as error:  # X may end at any moment
            raise _cannot_show(error) from error
        self._shown = None
        ready, gone = threading.Event(), threading.Event()
        refresh = partial(self._refresh, icon)
        if self._is_xorg:
            icon.turn, icon.on_turn = _LOOK_AGAIN, refresh
        # pystray's calls wait for its loop and would wait for ever once that has died with the panel. So they
        # are made on a thread that nobody waits for.
        painter = threading.Thread(
            target=self._paint,
            args=(icon.wake if self._is_xorg else refresh, ready, gone),
            daemon=True,
            name="painter",
        )
        painter.start()
        try:
            icon.run(setup=lambda _: ready.set())
        except Exception as error:
            # pystray has begun a thread that waits for its loop, and the process would wait for that one.
            with contextlib.suppress(Exception):
                icon._mark_ready()  # noqa: SLF001 - nothing else ends that thread
            if not self._stopping.is_set():  # GTK's backend fails at its end where nothing shows notifications
                raise _cannot_show(error) from error
        finally:
            gone.set()
            ready.set()
            self._changed.set()
            if self._is_xorg:
                icon.close()

    def _paint(self, refresh: Callable[[], None], ready: threading.Event, gone: threading.Event) -> None:
        """Refresh the icon whenever the view has changed, until the icon is gone."""
        ready.wait()
        self._changed.set()
        while not gone.is_set():
            self._changed.wait()
            self._changed.clear()
            refresh()
        self._changed.set()  # for the painter of the icon that comes after this one

    def _refresh(self, icon: Any) -> None:  # noqa: ANN401 - pystray has no types
        try:
            if self._stopping.is_set():
                icon.stop()
                return
            if self._is_xorg:
                icon.keep_docked()
            elif not icon.visible:
                icon.visible = True
            view = self._view
            self._update(icon, self._shown, view)
            self._shown = view
        except Exception as error:  # noqa: BLE001 - whatever the toolkit says, the next state may work
            log.debug("icon_update_failed", why=type(error).__name__)

    def _update(self, icon: Any, before: View | None, view: View) -> None:  # noqa: ANN401 - pystray has no types
        if before is None or (before.icon, before.count) != (view.icon, view.count):
            icon.icon = self._picture(view)
        icon.title = view.tooltip
        if before is None or before.menu != view.menu:
            icon.update_menu()

    def _picture(self, view: View) -> Any:  # noqa: ANN401 - pystray has no types
        # X11's tray has no transparency in pystray: clear corners would come out black.
        return draw(view.icon, count=view.count, size=64, opaque=self._is_xorg)

    @property
    def _backend(self) -> str:
        return str(self._pystray.Icon.__module__).rsplit("_", 1)[-1]

    @property
    def _is_xorg(self) -> bool:
        return self._backend == "xorg"

    def _menu_items(self) -> list[Any]:
        return [self._item(item) for item in self._view.menu]

    def _item(self, item: Item) -> Any:  # noqa: ANN401 - pystray has no types
        menu, entry = self._pystray.Menu, self._pystray.MenuItem
        if item == SEPARATOR:
            return menu.SEPARATOR
        label = item.label.replace("&", "&&") if self._backend == "win32" else item.label
        if item.children:
            return entry(label, menu(*(self._item(child) for child in item.children)))
        action, checked = item.action, item.checked
        return entry(
            label,
            (lambda: self._on_action(action)) if action else None,
            checked=None if checked is None else lambda _: checked,
            default=item.default,
            enabled=action is not None,
        )

    def _panel_is_there(self) -> bool:
        """Whether somebody shows icons; only Linux's desktops let us ask."""
        if self._backend not in {"xorg", "gtk", "appindicator"}:
            return True
        if self._backend == "appindicator" and pystray_gtk.has_notifier_watcher():
            return True
        try:
            return pystray_xorg.panel_is_there()  # AppIndicator falls back on X11's tray, too
        except pystray_xorg.SessionEnded:
            raise NoTray("The desktop's session has ended.") from None


def _import_pystray() -> ModuleType:
    _refuse_without_display()
    if platform.system() == "Linux" and not _has_session_bus():
        os.environ.setdefault("PYSTRAY_BACKEND", "xorg")  # the others need D-Bus, and hang without it
    logging.getLogger("pystray").setLevel(logging.CRITICAL + 1)  # it logs tracebacks for a panel that restarts
    try:
        import pystray  # noqa: PLC0415 - see the module
    except Exception as error:  # noqa: BLE001 - besides ImportError: whatever the X library raises
        raise _cannot_show(error) from None
    module: ModuleType = pystray
    return module


def _refuse_without_display() -> None:
    if platform.system() != "Linux" or os.environ.get("DISPLAY"):
        return
    if os.environ.get("WAYLAND_DISPLAY"):
        raise NoTray(
            "This Wayland session runs no Xwayland, which the tray icon needs.",
            fix="Everything is on the page, too: `dropscribe open`.",
        )
    raise NoTray(
        "There is no desktop here to show a tray icon on (DISPLAY isn't set).",
        fix="Start `dropscribe tray` on your desktop; `dropscribe status` says the same in a terminal.",
    )


def _has_session_bus() -> bool:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS")) or bool(runtime and Path(runtime, "bus").exists())


def _cannot_show(error: Exception) -> NoTray:
    return NoTray(
        f"No tray icon can be shown here: {_first_line(error)}.",
        fix="Start `dropscribe tray` in a terminal of your desktop; or use the page: `dropscribe open`.",
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
