"""The icon's menu as GTK draws it: opened, walked through and clicked on a real panel."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from service.tray.icons import IconState, draw
from tests.support.control_server import ControlServer, snapshot
from tests.support.panel import NotifierPanel, Panel, missing
from tests.support.waiting import until

pytestmark = pytest.mark.long

_DEBIAN = Path("/usr/lib/python3/dist-packages/gi")
INDICATORS = list(Path("/usr/lib").glob("*/girepository-1.0/AyatanaAppIndicator3-0.1.typelib"))
_GTK = "import gi; gi.require_version('Gtk', '3.0'); from gi.repository import Gtk"


@pytest.fixture(scope="module")
def gtk(tmp_path_factory):
    """A folder that lets this Python import PyGObject, its own or Debian's; skips where there is neither."""
    if sys.platform != "linux" or missing() or shutil.which("dbus-run-session") is None:
        pytest.skip(f"not installed: {missing() or 'dbus'}; make test-deps installs them")
    folder = tmp_path_factory.mktemp("gi")
    if _DEBIAN.is_dir():
        (folder / "gi").symlink_to(_DEBIAN)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, "-c", _GTK], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no GTK for this Python (make test-deps installs Debian's): {done.stderr.strip()[-100:]}")
    return folder


class Menu:
    """The tray in a D-Bus session of its own, on a panel."""

    def __init__(self, panel, gtk, folder, *arguments, backend="gtk"):
        self.panel = panel
        self.log = folder / "tray.log"
        session = [] if "DBUS_SESSION_BUS_ADDRESS" in panel.environment else ["dbus-run-session", "--"]
        path = os.pathsep.join([str(Path(__file__).parents[3]), str(gtk)])
        environment = {**panel.environment, "PYSTRAY_BACKEND": backend, "PYTHONPATH": path, "NO_AT_BRIDGE": "1"}
        environment["PATH"] = f"{folder}{os.pathsep}{environment['PATH']}"
        argv = [sys.executable, "-m", "service.cli.app", "--state-dir", str(folder / "state"), "tray", *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*session, *argv], env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def end(self):
        """End the tray and its D-Bus session; dbus-run-session alone would leave both behind."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=60)

    def press(self, *keys):
        self.panel.ask("xdotool", "key", "--delay", "150", *keys)  # as a person presses them

    def open(self):
        """Open the menu with the mouse; the icon is the only one, at the left of the panel."""

        click = ("xdotool", "mousemove", "22", "340", "click", "3")
        until(lambda: self.panel.ask("xdotool", "search", "--name", "^Dropscribe:"), "no icon came")
        self.panel.ask(*click)
        until(lambda: menus(self.panel), lambda: f"no menu came: {self.log.read_text()}")


def menus(panel):
    """The windows of open menus, which GTK names after the program."""
    tree = panel.ask("xwininfo", "-root", "-tree")
    windows = re.findall(r'^ +(0x\w+) "app.py": \("app.py" "App.py"\)', tree, re.MULTILINE)
    return [w for w in windows if "Map State: IsViewable" in panel.ask("xwininfo", "-id", w)]


@pytest.fixture
def panel():
    with Panel(icon=32, screen="800x360") as running:
        yield running


def test_the_menu_is_drawn_and_does_what_it_says(panel, gtk, tmp_path):
    transcript = tmp_path / "Gespräch mit Jörg & Söhne_2.txt"
    transcript.write_text("Guten Tag.")
    opener = tmp_path / "xdg-open"
    opener.write_text(f'#!/bin/sh\nprintf "%s" "$1" > "{tmp_path}/opened"\n')
    opener.chmod(0o755)
    recent = [{"uid": "u", "name": "Gespräch mit Jörg & Söhne_2.wav", "outputs": [str(transcript)], "done_at": 1.0}]

    def closed():
        return not menus(panel)

    told = snapshot("working", counts={"WAITING": 12}, recent=recent)
    with ControlServer(tmp_path / "state" / "control.json", status=told) as server:
        menu = Menu(panel, gtk, tmp_path)
        try:
            until(lambda: server.listeners, lambda: f"the tray does not listen: {menu.log.read_text()}")
            menu.open()
            menu.press("Down", "Down", "Down", "Down", "Right", "Return")  # Pause, For an hour
            order, body = server.requests.get(timeout=60)
            assert order == "/api/pause"
            assert body["until"] > 0
            until(closed, "the menu stays open")
            menu.open()
            menu.press("Down", "Down", "Right", "Return")  # Recent transcripts, the first
            until((tmp_path / "opened").exists, "the transcript was not opened")
            until(lambda: (tmp_path / "opened").read_text() == str(transcript), "another file was opened")
            until(closed, "the menu stays open")
            menu.open()
            menu.press("Up", "Return")  # Hide icon
            assert menu.process.wait(timeout=60) == 0, menu.log.read_text()
        finally:
            menu.end()
    said = [line for line in menu.log.read_text().splitlines() if not line.startswith("dbus-daemon")]
    assert said == []


@pytest.mark.parametrize("backend", ["gtk", "appindicator"])
def test_without_a_panel_there_is_a_sentence_and_one_that_comes_late_is_waited_for(panel, gtk, tmp_path, backend):
    if backend == "appindicator" and not INDICATORS:
        pytest.skip("no AppIndicator for GTK; make test-deps installs it")
    panel.end("tint2")
    impatient = Menu(panel, gtk, tmp_path, "--wait", "0", backend=backend)
    assert impatient.process.wait(timeout=60) == 1
    assert "no panel with a system tray was found" in impatient.log.read_text()
    patient = Menu(panel, gtk, tmp_path, "--wait", "60", backend=backend)
    try:
        panel.start_panel()
        patient.open()
    finally:
        patient.end()


def shows(panel, folder, state):
    """Whether the panel shows this state, by the colour of its tile."""
    panel.picture(folder / "screen.png")
    with Image.open(folder / "screen.png") as screen:
        colours = screen.convert("RGB").getcolors(1 << 24)
    tile = draw(state, size=64).getpixel((32, 2))[:3]
    return any(number > 100 and colour == tile for number, colour in colours)


@pytest.mark.skipif(not INDICATORS, reason="no AppIndicator for GTK; make test-deps installs it")
@pytest.mark.skipif(
    shutil.which("xfce4-panel") is None, reason="xfce4-panel isn't installed; make test-deps installs it"
)
def test_a_status_notifier_host_shows_the_icon_and_its_menu(gtk, tmp_path):
    control = tmp_path / "state" / "control.json"
    with NotifierPanel(screen="640x240") as panel, socket.create_server(("127.0.0.1", 0)) as mute:
        control.parent.mkdir()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        control.write_text(json.dumps({"url": url, "token": "t", "pid": os.getpid(), "version": ""}))
        tray = Menu(panel, gtk, tmp_path, backend="appindicator")
        try:
            until(lambda: shows(panel, tmp_path, IconState.DOWN), lambda: f"no icon: {tray.log.read_text()}")
            assert not panel.icon(), "it is in X11's tray"
            mute.close()
            with ControlServer(control, status=snapshot("working", counts={"WAITING": 12})) as server:
                until(lambda: shows(panel, tmp_path, IconState.WORKING), "working is not shown")
                without = len(panel.windows())
                panel.ask("xdotool", "mousemove", "18", "220", "click", "1")
                until(lambda: len(panel.windows()) > without, "no menu came")
                tray.press("Down", "Down", "Down", "Down", "Right", "Return")  # Pause, For an hour
                order, body = server.requests.get(timeout=40)
                assert order == "/api/pause"
                assert body["until"] > 0
                server.now(snapshot("paused"))
                until(lambda: shows(panel, tmp_path, IconState.PAUSED), "paused is not shown")
                panel.kill_panel()
                until(lambda: not shows(panel, tmp_path, IconState.PAUSED), "the panel is there still")
                panel.start_panel()
                until(lambda: shows(panel, tmp_path, IconState.PAUSED), "the icon did not come back")
            tray.process.send_signal(signal.SIGINT)
            assert tray.process.wait(timeout=30) == 0, "Ctrl+C ends it in an orderly way"
            assert not (tmp_path / "state" / "tray").exists(), "its pictures are left behind"
        finally:
            tray.end()
