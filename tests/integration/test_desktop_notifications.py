"""Notifications over a real D-Bus session, to a service that speaks the freedesktop protocol."""

import shutil
import subprocess
import sys

import pytest

from service.desktop_notifications import DesktopSender, Message, notify_once

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="D-Bus is Linux"),
    pytest.mark.skipif(
        shutil.which("dbus-daemon") is None, reason="dbus-daemon isn't installed; make test-deps installs it"
    ),
]


@pytest.fixture
def session_bus(tmp_path, monkeypatch):
    argv = [
        "dbus-daemon",
        "--session",
        "--nofork",
        "--nopidfile",
        "--print-address",
        f"--address=unix:path={tmp_path}/bus",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", daemon.stdout.readline().strip())
        yield daemon
        daemon.terminate()


INTERFACE = """
<node><interface name="org.freedesktop.Notifications">
  <method name="GetCapabilities"><arg direction="out" type="as"/></method>
  <method name="GetServerInformation">
    <arg direction="out" type="s"/><arg direction="out" type="s"/>
    <arg direction="out" type="s"/><arg direction="out" type="s"/>
  </method>
  <method name="Notify">
    <arg direction="in" type="s"/><arg direction="in" type="u"/><arg direction="in" type="s"/>
    <arg direction="in" type="s"/><arg direction="in" type="s"/><arg direction="in" type="as"/>
    <arg direction="in" type="a{sv}"/><arg direction="in" type="i"/><arg direction="out" type="u"/>
  </method>
</interface></node>
"""


@pytest.fixture
async def desktop(session_bus):
    """A notification service; the list holds what it was told, as (summary, body, urgency)."""
    from dbus_fast import Message as Call
    from dbus_fast import MessageType
    from dbus_fast.aio import MessageBus

    shown = []

    def answer(call):
        if call.message_type is not MessageType.METHOD_CALL:
            return None
        if call.member == "Introspect":
            return Call.new_method_return(call, "s", [INTERFACE])
        if call.member == "GetCapabilities":
            return Call.new_method_return(call, "as", [["body", "actions"]])
        if call.member == "GetServerInformation":
            return Call.new_method_return(call, "ssss", ["test", "dropscribe", "1", "1.2"])
        if call.member == "Notify":
            _, _, _, summary, body, _, hints, _ = call.body
            shown.append((summary, body, hints["urgency"].value))
            return Call.new_method_return(call, "u", [len(shown)])
        return None

    bus = await MessageBus().connect()
    bus.add_message_handler(answer)
    await bus.request_name("org.freedesktop.Notifications")
    yield shown
    bus.disconnect()


async def test_messages_arrive_as_they_are_meant(desktop):
    sender = DesktopSender()
    assert await sender.send(Message("Transcript ready", "a <b>& c.wav"))
    assert await sender.send(Message("Dropscribe needs you", "The key was rejected.", urgent=True))
    await sender.close()
    assert await notify_once("Dropscribe", "once")
    assert desktop == [
        ("Transcript ready", "a &lt;b&gt;&amp; c.wav", 1),
        ("Dropscribe needs you", "The key was rejected.", 2),
        ("Dropscribe", "once", 1),
    ]


async def test_a_bus_without_a_desktop_takes_nothing_and_breaks_nothing(session_bus, capsys):
    sender = DesktopSender()
    assert not await sender.send(Message("a", "b"))
    assert not await sender.send(Message("a", "b"))
    said = capsys.readouterr()
    assert said.out.count("notifications are off") == 1
    assert "Traceback" not in said.out + said.err


async def test_a_desktop_that_ends_is_not_fatal(desktop, session_bus):
    sender = DesktopSender()
    assert await sender.send(Message("a", "b"))
    session_bus.terminate()
    session_bus.wait(timeout=60)
    assert not await sender.send(Message("a", "b"))
