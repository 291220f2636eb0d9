"""What pystray 0.19.5 leaves out on X11, where the panel takes the icon's window in (XEMBED).

It doesn't ask X for mouse clicks, and a panel that is restarted doesn't get the icon back.
The protocol is freedesktop's System Tray Protocol Specification 0.3.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

__all__ = ["SessionEnded", "accept_clicks", "close", "flush", "has_lost_panel", "hide", "panel_is_there"]


class SessionEnded(Exception):
    """The X server doesn't answer any more."""


def accept_clicks(icon: Any) -> None:  # noqa: ANN401 - pystray has no types
    """Ask X for the clicks on the icon, besides what pystray asks for."""
    x = _xlib("X")
    mask = x.ExposureMask | x.StructureNotifyMask | x.ButtonPressMask
    icon._window.change_attributes(event_mask=mask)  # noqa: SLF001 - see the module
    icon._display.flush()  # noqa: SLF001 - same


def has_lost_panel(icon: Any) -> bool:  # noqa: ANN401 - pystray has no types
    """Whether the panel that showed the icon is gone."""
    return icon._systray_manager is None  # noqa: SLF001 - see the module


def flush(icon: Any) -> None:  # noqa: ANN401 - pystray has no types
    """Send what was asked of X; pystray leaves a new title in the buffer until something else happens."""
    icon._display.flush()  # noqa: SLF001 - see the module


def hide(icon: Any) -> None:  # noqa: ANN401 - pystray has no types
    """Unmap the icon's window: X gives it to the desktop when the panel dies. A new panel maps it again."""
    icon._window.unmap()  # noqa: SLF001 - see the module
    icon._display.flush()  # noqa: SLF001 - same


def close(icon: Any) -> None:  # noqa: ANN401 - pystray has no types
    """Let go of the icon's display, in whatever state it is."""
    with contextlib.suppress(Exception):
        icon._display.close()  # noqa: SLF001 - see the module


def panel_is_there() -> bool:
    """Whether somebody shows icons.

    Raises:
        SessionEnded: the display is gone.
    """
    display, error = _xlib("display"), _xlib("error")
    try:
        connection = display.Display()
        try:
            tray = connection.intern_atom(f"_NET_SYSTEM_TRAY_S{connection.get_default_screen()}")
            return bool(connection.get_selection_owner(tray) != _xlib("X").NONE)
        finally:
            connection.close()
    except (OSError, error.DisplayError, error.ConnectionClosedError) as gone:
        raise SessionEnded from gone


def _xlib(name: str) -> Any:  # noqa: ANN401 - it has no types
    """Import a module of python-xlib, which is there on X11 only."""
    return importlib.import_module(f"Xlib.{name}")
