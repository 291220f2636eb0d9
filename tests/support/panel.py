"""A real X display with a window manager and a panel, for the tray icon."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.waiting import until

# Each program, and the Debian package that has it.
PROGRAMS = {
    "Xvfb": "xvfb",
    "openbox": "openbox",
    "tint2": "tint2",
    "xdotool": "xdotool",
    "xwininfo": "x11-utils",
    "import": "imagemagick",
}

_TINT2 = """
rounded = 0
border_width = 0
background_color = {colour} 100
panel_items = S
panel_monitor = 1
panel_position = bottom center horizontal
panel_size = 100% {height}
panel_padding = 6 4 6
panel_background_id = 1
systray = 1
systray_padding = 0 0 4
systray_icon_size = {icon}
systray_background_id = 0
"""

# A panel for StatusNotifierItems: one with nothing but the tray.
_XFCE = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=8;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="{height}"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray"/></property>
</channel>
"""


def missing() -> str:
    """The Debian packages that aren't there, or nothing."""
    return " ".join(package for program, package in PROGRAMS.items() if shutil.which(program) is None)


class Panel:
    """Xvfb, openbox and tint2, until closed.

    Args:
        icon: size of the icons, in pixels.
        colour: of the panel.
        screen: its size in pixels.
    """

    def __init__(self, *, icon: int = 32, colour: str = "#e8e8e8", screen: str = "640x240") -> None:
        self._screen = screen
        self._folder = Path(tempfile.mkdtemp(prefix="dropscribe-panel-"))
        (self._folder / "tint2rc").write_text(_TINT2.format(icon=icon, height=icon + 8, colour=colour))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.display = ""

    @property
    def environment(self) -> dict[str, str]:
        """What programs on this display need."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return {**kept, "DISPLAY": self.display, "HOME": str(self._folder), "XDG_CONFIG_HOME": str(self._folder)}

    def __enter__(self) -> Self:
        read, write = os.pipe()
        argv = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{self._screen}x24", "-nolisten", "tcp", "-noreset"]
        self._start("Xvfb", argv, pass_fds=(write,))
        os.close(write)
        with os.fdopen(read) as number:
            self.display = f":{number.readline().strip()}"
        self._start("openbox", ["openbox", "--sm-disable"])
        self.start_panel()
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("tint2", "openbox", "Xvfb"):
            self.end(name)
        shutil.rmtree(self._folder)

    def start_panel(self) -> None:
        """Start the panel, and wait until it takes icons."""
        self._start("tint2", ["tint2", "-c", str(self._folder / "tint2rc")])
        until(lambda: self.ask("xdotool", "search", "--class", "tint2"), "the panel is not there")

    def end(self, name: str) -> None:
        """End one of the programs."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask(self, *argv: str) -> str:
        """Run a program on the display; what it printed, or nothing when it failed."""
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=20, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    def icon(self) -> str:
        """The X window of the icon, once the panel has taken it in; nothing before."""
        found = self.ask("xdotool", "search", "--class", "dropscribe")
        for window in found.split():
            if "Map State: IsViewable" in self.ask("xwininfo", "-id", window):
                return window
        return ""

    def picture(self, file: Path, *, window: str = "root") -> None:
        """Take a picture of the display or of one window."""
        self.ask("import", "-window", window, str(file))

    def _start(self, name: str, argv: list[str], *, pass_fds: tuple[int, ...] = ()) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                argv, env=self.environment, stdout=log, stderr=log, pass_fds=pass_fds
            )


class NotifierPanel(Panel):
    """Xvfb, openbox and Xfce's panel, which is a StatusNotifierHost, in a D-Bus session of its own."""

    def __enter__(self) -> Self:
        settings = self._folder / "xfce4" / "xfconf" / "xfce-perchannel-xml"
        settings.mkdir(parents=True)
        (settings / "xfce4-panel.xml").write_text(_XFCE.format(height=40))
        return super().__enter__()

    def __exit__(self, *about: object) -> None:
        for name in ("xfce4-panel", "dbus-daemon"):
            self.end(name)
        super().__exit__(*about)

    @property
    def environment(self) -> dict[str, str]:
        """What programs in this session need."""
        address = f"unix:path={self._folder / 'bus'}"
        return {**super().environment, "DBUS_SESSION_BUS_ADDRESS": address, "NO_AT_BRIDGE": "1"}

    def start_panel(self) -> None:
        """Start the panel, and wait until it is shown."""
        if "dbus-daemon" not in self._processes:
            address = self.environment["DBUS_SESSION_BUS_ADDRESS"]
            self._start("dbus-daemon", ["dbus-daemon", "--session", "--nofork", f"--address={address}"])
            until((self._folder / "bus").exists, "the session's bus is not there")
        self._start("xfce4-panel", ["xfce4-panel", "--disable-wm-check"])
        until(self.windows, "the panel is not there")

    def windows(self) -> list[str]:
        """The visible windows of the panel's tray: itself and the menus it opened."""
        return self.ask("xdotool", "search", "--onlyvisible", "--class", "wrapper-2.0").split()

    def kill_panel(self) -> None:
        """Have it end as in a crash."""
        process = self._processes.pop("xfce4-panel")
        process.kill()
        process.wait()
