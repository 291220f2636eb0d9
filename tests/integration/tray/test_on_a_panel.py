"""The icon on a real panel: X server, window manager and tint2."""

import json
import shlex
import subprocess
import sys

import pytest
from PIL import Image, ImageChops, ImageStat

from service.tray.icons import IconState, draw
from tests.support.control_server import ControlServer, snapshot
from tests.support.panel import Panel, missing
from tests.support.waiting import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="X11 panels are Linux"),
    pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}; make test-deps installs them"),
]


@pytest.fixture
def panel():
    with Panel(icon=32) as running:
        yield running


class Tray:
    """A tray process of its own."""

    def __init__(self, panel, folder, *arguments):
        self.log = folder / "tray.log"
        # The browser is one that notes where it is sent.
        browser = folder / "browser"
        self.visited = folder / "visited"
        browser.write_text(f'#!/bin/sh\necho "$1" >> {shlex.quote(str(self.visited))}\n')
        browser.chmod(0o755)
        environment = {**panel.environment, "BROWSER": f"{browser} %s", "PYSTRAY_BACKEND": "xorg"}
        argv = [sys.executable, "-m", "service.cli.app", "--state-dir", str(folder / "state"), "tray", *arguments]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log)

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(timeout=60)


@pytest.fixture
def start(panel, tmp_path):
    begun = []

    def begin(*arguments):
        begun.append(Tray(panel, tmp_path, *arguments))
        return begun[-1]

    yield begin
    for tray in begun:
        tray.end()


def looks_like(panel, folder, state, **more):
    """Whether the icon in the panel shows this state, by its pixels."""
    window = panel.icon()
    if not window:
        return False
    panel.picture(folder / "icon.png", window=window)
    with Image.open(folder / "icon.png") as seen:
        expected = draw(state, size=64, opaque=True, **more).convert("RGB").resize(seen.size, Image.Resampling.LANCZOS)
        difference = ImageStat.Stat(ImageChops.difference(seen.convert("RGB"), expected)).mean
    return max(difference) < 3.0


def name(panel):
    return panel.ask("xdotool", "getwindowname", panel.icon())


def says(panel, words):
    return name(panel) == words


def click(panel):
    panel.ask("xdotool", "mousemove", "--window", panel.icon(), "16", "16")
    panel.ask("xdotool", "click", "1")


def test_the_icon_follows_the_daemon_and_a_click_opens_the_page(panel, start, tmp_path):
    control = tmp_path / "state" / "control.json"
    tray = start()
    until(lambda: looks_like(panel, tmp_path, IconState.DOWN), "not running is not shown")
    until(lambda: says(panel, "Dropscribe: not running"), lambda: f"the words are others: {name(panel)}")
    with ControlServer(control) as server:
        until(lambda: looks_like(panel, tmp_path, IconState.IDLE), "idle is not shown")
        server.now(snapshot("working", counts={"WAITING": 12}))
        until(lambda: looks_like(panel, tmp_path, IconState.WORKING, count=12), "working is not shown")
        until(
            lambda: says(panel, "Dropscribe: transcribing 12 recordings"),
            lambda: f"the words are others: {name(panel)}",
        )
        recording = {"uid": "u", "name": "会议记录 Überblick.wav", "state": "SUBMITTED", "progress": 0.3}
        server.now(snapshot("working", counts={"SUBMITTED": 1}, active=[recording]))
        until(
            lambda: says(panel, "Dropscribe: transcribing 会议记录 Überblick.wav, 30 %"),
            lambda: f"the words are others: {name(panel)}",
        )
        server.now(snapshot("attention", counts={"HELD": 1}))
        until(lambda: looks_like(panel, tmp_path, IconState.ATTENTION), "attention is not shown")
        server.now(snapshot("paused"))
        until(lambda: looks_like(panel, tmp_path, IconState.PAUSED), "paused is not shown")
        click(panel)
        assert server.requests.get(timeout=60) == ("/api/open-code", {})
        address = until(lambda: tray.visited.exists() and tray.visited.read_text(), "no browser was opened")
        assert address.strip() == f"{server.url}/enter?code=once"
    until(lambda: looks_like(panel, tmp_path, IconState.DOWN), "not running is not shown again")
    with ControlServer(control):
        until(lambda: looks_like(panel, tmp_path, IconState.IDLE), "the new daemon is not shown")
    assert tray.end() == 0
    assert tray.log.read_text() == ""


def test_it_comes_back_with_the_panel(panel, start, tmp_path):
    tray = start()
    until(panel.icon, "no icon")
    panel.end("tint2")
    until(lambda: not panel.icon(), "the icon lies about on the desktop")
    panel.start_panel()
    until(lambda: looks_like(panel, tmp_path, IconState.DOWN), "the icon did not come back")
    assert tray.process.poll() is None
    assert tray.end() == 0


def test_there_is_only_one(panel, start):
    start()
    until(panel.icon, "no icon")
    second = start()
    assert second.process.wait(timeout=60) == 1
    assert "The tray icon is already running. Look for it" in " ".join(second.log.read_text().split())


def test_a_panel_that_comes_late_is_waited_for_and_none_is_told(panel, start):
    panel.end("tint2")
    impatient = start("--wait", "0")
    assert impatient.process.wait(timeout=60) == 1
    assert "no panel with a system tray was found" in impatient.log.read_text()
    patient = start("--wait", "60")
    until(lambda: patient.log.exists() and patient.process.poll() is None, "it ended")
    panel.start_panel()
    until(panel.icon, "no icon after the panel came")


def test_the_end_of_the_session_is_no_traceback(panel, start):
    tray = start()
    until(panel.icon, "no icon")
    panel.end("Xvfb")
    assert tray.process.wait(timeout=60) == 1
    said = tray.log.read_text()
    assert "The desktop's session has ended." in said
    assert "Traceback" not in said


def test_a_daemon_that_was_killed_is_shown_as_down(panel, start, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    gone = subprocess.Popen(["true"])
    gone.wait()
    facts = {"url": "http://127.0.0.1:9", "token": "t", "pid": gone.pid, "version": ""}
    (state / "control.json").write_text(json.dumps(facts))
    start()
    until(lambda: looks_like(panel, tmp_path, IconState.DOWN), "not running is not shown")
    click(panel)
    assert (state / "control.json").exists(), "the daemon's file is the daemon's"
