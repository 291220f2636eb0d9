"""What pystray 0.19.5 leaves out on GTK, with its own tray icon and with AppIndicator's (StatusNotifierItem)."""

from __future__ import annotations

import hashlib
import signal
from importlib import import_module
from typing import TYPE_CHECKING, Any

from watcher.logs import get_logger

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GtkManners", "has_notifier_watcher"]

log = get_logger("tray")


class GtkManners:
    """Goes before pystray's GTK icons among the bases.

    A panel reads the icon from a file, when it gets round to it. pystray's lie in /tmp: one is deleted as soon as the
    next is there, and the last stays behind when the session ends under the icon. These lie in `folder`, which its
    owner clears.
    """

    folder: Path

    # pystray's; it has no types.
    icon: Any
    title: str
    _icon_path: str | None
    _icon_valid: bool

    def _initialize(self) -> None:
        """Keep our way of ending: pystray has Ctrl+C kill the process."""
        ours = signal.getsignal(signal.SIGINT)
        super()._initialize()  # type: ignore[misc]  # pystray's
        signal.signal(signal.SIGINT, ours)

    def _update_fs_icon(self) -> None:
        """Write the icon under a name that goes with its content: no panel shows an old one that it remembers."""
        path = self.folder / f"{hashlib.sha256(self.icon.tobytes()).hexdigest()[:16]}.png"
        self.icon.save(path)
        self._icon_path, self._icon_valid = str(path), True

    def _remove_fs_icon(self) -> None:
        """Leave the file to a panel that is about to read it."""
        self._icon_valid = False

    def _update_title(self) -> None:
        """Set GTK's tooltip, too; AppIndicator's panels show the title."""
        super()._update_title()  # type: ignore[misc]  # pystray's
        if (status_icon := getattr(self, "_status_icon", None)) is not None:
            import_module("gi.repository.GLib").idle_add(status_icon.set_tooltip_text, self.title)


def has_notifier_watcher() -> bool:
    """Whether a panel takes StatusNotifierItems; asks the D-Bus service that libayatana-appindicator asks."""
    gio, glib = (import_module(f"gi.repository.{name}") for name in ("Gio", "GLib"))
    question = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner")
    asked = glib.Variant("(s)", ("org.kde.StatusNotifierWatcher",))
    try:
        bus = gio.bus_get_sync(gio.BusType.SESSION, None)
        answer = bus.call_sync(*question, asked, glib.VariantType("(b)"), gio.DBusCallFlags.NONE, 2000, None)
    except glib.Error as error:
        log.debug("session_bus_not_asked", why=str(error))
        return False
    return bool(answer[0])
