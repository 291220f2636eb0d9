import os
import socket
import sys

import pytest

from service.os_service.sd_notify import Notifier, status_line
from tests.support.control_server import snapshot

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sd_notify is Linux")


@pytest.fixture
def manager(tmp_path):
    """What systemd listens on."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(5)
        yield path, lambda: sock.recv(4096).decode()


def test_what_is_sent_is_what_the_manual_asks_for(manager):
    path, heard = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": path})
    assert notifier.ready("watching 2 folders")
    assert heard() == "READY=1\nSTATUS=watching 2 folders"
    assert notifier.watchdog()
    assert heard() == "WATCHDOG=1"
    assert notifier.stopping()
    assert heard() == "STOPPING=1"
    assert notifier.extend_start(2.5)
    assert heard() == "EXTEND_TIMEOUT_USEC=2500000"


def test_a_line_break_in_a_name_is_no_second_assignment(manager):
    path, heard = manager
    assert Notifier(path).status("a.wav\nMAINPID=1\r\nx")
    assert heard() == "STATUS=a.wav MAINPID=1 x"


def test_the_abstract_namespace_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0dropscribe-test-{os.getpid()}")
        sock.settimeout(5)
        assert Notifier(f"@dropscribe-test-{os.getpid()}").ready()
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all", "vsock:2:1234"])
def test_where_nobody_listens_nothing_happens(address):
    notifier = Notifier(address)
    assert not notifier.ready()
    assert not notifier.watchdog()


def test_a_full_queue_does_not_block(manager):
    path, _ = manager
    notifier = Notifier(path)
    assert not all(notifier.status("x" * 1000) for _ in range(100_000))


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "90000000"}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "7"}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_only_ours_if_it_names_us(environment, seconds):
    found = Notifier.from_environment({"NOTIFY_SOCKET": "/s", **environment}, pid=7)
    assert found.watchdog_interval == seconds
    assert Notifier.from_environment(environment, pid=7).watchdog_interval is None


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (snapshot(), "Watching 1 folder"),
        (snapshot(folders=[]), "No folder to watch yet"),
        (
            snapshot("working", counts={"WAITING": 12, "SUBMITTING": 1, "SUBMITTED": 3, "DONE": 40, "FAILED": 1}),
            "Watching 1 folder; 4 in progress; 12 waiting; 40 done; needs you: 1 recording failed",
        ),
        (
            snapshot("paused", holds=[{"name": "pause", "reason": "You paused it.", "fix": ""}]),
            "Watching 1 folder; paused",
        ),
    ],
)
def test_the_status_line_says_it_all(told, line):
    assert status_line(told) == line
