"""What pystray 0.19.5 leaves out on X11, where the panel takes the icon's window in (XEMBED).

It doesn't ask X for mouse clicks, a panel that is restarted doesn't get the icon back, titles beyond Latin-1 are
errors, and it talks to X from several threads on one connection: python-xlib 0.33 can lose an answer then, and the
icon stands still for ever. The protocol is freedesktop's System Tray Protocol Specification 0.3.
"""

from __future__ import annotations

import contextlib
import importlib
import select
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OneThread", "SessionEnded", "panel_is_there"]


class SessionEnded(Exception):
    """The X server doesn't answer any more."""


class OneThread:
    """Goes before pystray's X11 icon among the bases: only the thread that runs the icon talks to X.

    What others want done is done by `on_turn`, which that thread calls on every turn of its loop: after `wake`, after
    events of X, and at least every `turn` seconds. The icon's own methods are to be called in there alone.
    """

    turn: float
    on_turn: Callable[[], None]

    # pystray's; it has no types.
    visible: bool
    icon: Any
    title: str
    _display: Any
    _window: Any
    _systray_manager: Any
    _net_system_tray_sx: Any
    _message_handlers: dict[int, Callable[[Any], None]]

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - pystray's
        self._wakes, self._sleeps = socket.socketpair()
        self._wakes.settimeout(0)
        self._sleeps.settimeout(0)
        super().__init__(*arguments, **named)

    def wake(self) -> None:
        """Have `on_turn` called soon; callable from any thread, also after the end."""
        with contextlib.suppress(OSError):  # full: it is woken already; closed: it has ended
            self._wakes.send(b"\0")

    def keep_docked(self) -> None:
        """Show the icon in the panel, or in the one that came after it."""
        panel = self._display.get_selection_owner(self._net_system_tray_sx)
        if panel == _xlib("X").NONE:
            # X gives the window to the desktop when the panel dies. A new panel maps it again.
            self._window.unmap()
            self._systray_manager = None
        elif not self.visible:
            x = _xlib("X")
            self._window.change_attributes(event_mask=x.ExposureMask | x.StructureNotifyMask | x.ButtonPressMask)
            self.visible = True
        elif self._systray_manager is None or self._systray_manager.id != panel.id:
            self.icon = self.icon  # pystray docks when it draws

    def close(self) -> None:
        """Let go of the display, in whatever state it is."""
        with contextlib.suppress(Exception):
            self._display.close()
        self._wakes.close()
        self._sleeps.close()

    def _update_title(self) -> None:
        """Instead of pystray's: names of recordings are in any script (freedesktop's EWMH 1.5, _NET_WM_NAME)."""
        name, utf8 = (self._display.intern_atom(atom) for atom in ("_NET_WM_NAME", "UTF8_STRING"))
        self._window.change_property(name, utf8, 8, self.title.encode())
        self._window.set_wm_name(self.title.encode("latin-1", "replace"))

    def _mainloop(self) -> None:
        """Instead of pystray's: it returns when the window is destroyed, and when X is gone."""
        with contextlib.suppress(_xlib("error").ConnectionClosedError, OSError):
            while self._take_events():
                self.on_turn()
                self._display.flush()
                # What came while an answer was waited for is in the queue and not in the socket any more.
                if not self._display.pending_events():
                    select.select([self._display.fileno(), self._sleeps], [], [], self.turn)
                with contextlib.suppress(BlockingIOError):
                    self._sleeps.recv(4096)

    def _take_events(self) -> bool:
        """Handle what X has sent; whether the window still is."""
        x = _xlib("X")
        while self._display.pending_events():
            event = self._display.next_event()
            if event.type == x.DestroyNotify:
                if event.window.id == self._window.id:
                    return False
                self._systray_manager = None  # no other window's end is asked for; see keep_docked
            elif event.type in self._message_handlers:
                self._message_handlers[event.type](event)
        return True


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
