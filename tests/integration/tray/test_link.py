"""The tray's line to the daemon, over real HTTP."""

import json
import queue
import subprocess
import sys

import pytest

from service.control.client import DaemonGone
from service.tray.daemon_watcher import DaemonLink
from tests.support.control_server import ControlServer, snapshot
from watcher.paths import StatePaths


@pytest.fixture
def paths(tmp_path):
    return StatePaths(tmp_path)


@pytest.fixture
def told(paths):
    """What the link tells, in order."""
    seen = queue.Queue()
    link = DaemonLink(paths, seen.put, retry=0.05, settle=0.02)
    link.start()
    yield lambda: seen.get(timeout=60)
    link.stop()


def test_it_follows_through_a_restart(paths, told):
    assert told() is None
    with ControlServer(paths.control, status=snapshot("working", counts={"WAITING": 3})) as server:
        assert told().at_work == 3
        server.now(snapshot("paused", paused_until=123.0))
        assert told().paused_until == 123.0
        server.now(snapshot("idle"))
        assert told().state == "idle"
    assert told() is None
    with ControlServer(paths.control, status=snapshot("attention", counts={"HELD": 1})):
        assert told().state == "attention"
    assert told() is None


def test_many_events_make_few_questions_and_no_news_is_not_told(paths, told):
    assert told() is None
    with ControlServer(paths.control) as server:
        assert told().state == "idle"
        for number in range(1, 201):
            server.now(snapshot("working", counts={"WAITING": number}))
        last = told()
        while last.at_work != 200:
            last = told()
        assert server.questions < 100


def test_a_control_file_that_leads_elsewhere_gets_no_token(paths, told):
    assert told() is None
    paths.control.write_text(json.dumps({"url": "http://192.0.2.1:80", "token": "t", "pid": 1, "version": ""}))
    with pytest.raises(DaemonGone, match="isn't running"):
        DaemonLink(paths, lambda _: None).client()


def test_answers_that_are_none_are_a_daemon_that_is_down(paths, told):
    assert told() is None
    with ControlServer(paths.control, status={"state": "dancing"}) as server:
        server.status = snapshot("idle")
        assert told().state == "idle"
        server.now({"nothing": "here"})
        assert told() is None


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "There is no desktop here"),
        ({"DISPLAY": ":9999"}, "No tray icon can be shown here"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "no Xwayland"),
        ({"DISPLAY": "nonsense"}, "No tray icon can be shown here"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a desktop")
def test_without_a_desktop_there_is_a_sentence_and_exit_status_1(tmp_path, environment, sentence):
    argv = [sys.executable, "-m", "service.cli.app", "--state-dir", str(tmp_path), "tray", "--wait", "0"]
    home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(argv, env={**home, **environment}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
