import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.desktop_notifications import DesktopSender, Grouper, Message, Notifications, current_problems
from tests.support.control_server import snapshot
from watcher.config import NotificationsConfig
from watcher.events import Event, EventBus

pytestmark = pytest.mark.anyio


def entry(name, state="DONE", **more):
    return {"uid": name, "state": state, "name": name, "path": f"/r/{name}", "reason": "", "fix": "", **more}


def take_all(grouper):
    return grouper.take(grouper.due_at())


def test_one_transcript_is_told_by_its_name_after_a_moment():
    grouper = Grouper()
    assert grouper.due_at() is None
    grouper.entry(entry("call.wav"), 100.0)
    assert grouper.take(grouper.due_at() - 0.01) == []
    assert take_all(grouper) == [Message("Transcript ready", "call.wav")]
    assert grouper.due_at() is None


def test_many_make_one():
    grouper = Grouper()
    for number in range(12):
        grouper.entry(entry(f"{number}.wav"), 100.0 + number)
    assert take_all(grouper) == [Message("12 transcripts are ready", "0.wav, 1.wav, 2.wav and 9 more")]


def test_a_stream_of_transcripts_is_told_now_and_then():
    grouper = Grouper()
    told = []
    for second in range(60):
        told += grouper.take(float(second))
        grouper.entry(entry(f"{second}.wav"), float(second))
    assert 3 <= len(told) <= 5


def test_what_needs_a_person_says_what_to_do():
    grouper = Grouper()
    grouper.entry(entry("a.wav", "FAILED", reason="It is cut short.", fix="Record it again."), 0.0)
    grouper.entry(entry("b.wav", "SUBMITTED"), 0.0)
    assert take_all(grouper) == [
        Message("Dropscribe needs you", "a.wav: It is cut short. Record it again.", urgent=True)
    ]
    grouper.entry(entry("a.wav", "FAILED"), 9.0)
    grouper.entry(entry("b.wav", "HELD"), 9.0)
    assert take_all(grouper) == [Message("2 recordings need you", "a.wav, b.wav", urgent=True)]


def test_a_problem_is_told_once_until_it_is_really_back():
    grouper = Grouper()
    key = {"name": "account:x", "reason": "The key was rejected.", "fix": "dropscribe login"}
    expected = [Message("Dropscribe needs you", "The key was rejected. dropscribe login", urgent=True)]
    assert grouper.problems([key], 0.0) == expected
    assert grouper.problems([key], 10_000.0) == []
    assert grouper.problems([], 10_001.0) == []
    assert grouper.problems([key], 10_002.0) == expected, "long after it was told, and it had ended"
    for second in range(10_003, 10_100, 2):  # a network that flaps
        assert grouper.problems([], float(second)) == []
        assert grouper.problems([key], second + 1.0) == []
    assert grouper.problems([{**key, "reason": "Budget reached."}], 10_200.0) != []


@given(st.lists(st.tuples(st.sampled_from(["DONE", "FAILED", "HELD", "WAITING"]), st.floats(0, 20)), max_size=40))
def test_whatever_the_order_each_is_told_exactly_once_and_soon(moves):
    grouper, now, told, oldest = Grouper(), 0.0, [], None
    for number, (state, pause) in enumerate(moves):
        now += pause
        messages = grouper.take(now)
        if messages:
            told += messages
            oldest = None
        grouper.entry(entry(f"{number}", state), now)
        if grouper.due_at() is not None:
            oldest = now if oldest is None else oldest
            assert grouper.due_at() - oldest <= 15.0
    told += grouper.take(now + 15.0)
    counted = sum(int(m.title.split()[0]) if m.title[0].isdigit() else 1 for m in told)
    assert counted == sum(state != "WAITING" for state, _ in moves)


def test_what_is_in_the_way_leaves_out_the_pause_that_was_asked_for():
    holds = [{"name": "pause", "reason": "You paused it.", "fix": ""}, {"name": "account:x", "reason": "r", "fix": "f"}]
    folders = [
        {"path": "/ok", "state": "watching", "reason": "", "fix": ""},
        {"path": "/mnt/nas", "state": "unavailable", "reason": "It is gone.", "fix": "Mount it."},
    ]
    found = current_problems(snapshot(holds=holds, folders=folders, config_problem="line 3"))
    assert [(p["name"], p["reason"]) for p in found] == [
        ("config", "line 3"), ("account:x", "r"), ("/mnt/nas", "/mnt/nas: It is gone."),
    ]  # fmt: skip


async def test_what_needed_attention_before_the_start_is_reported_once():
    desktop, bus, status = Desktop(), EventBus(), snapshot("attention", counts={"FAILED": 2})
    calls = []

    async def problems():
        calls.append(1)
        return current_problems(status, first=len(calls) == 1)

    task = asyncio.create_task(Notifications(NotificationsConfig(), sender=desktop, clock=Clock()).run(bus, problems))
    async with asyncio.timeout(60):
        await desktop.arrived.wait()
        bus.publish(Event("hold", 1.0))
        while len(calls) < 2:  # noqa: ASYNC110 - the loop is all that runs
            await asyncio.sleep(0)
    bus.close()
    await task
    assert [message.text for message in desktop.messages] == [
        "2 recordings failed. Retry or dismiss: dropscribe jobs --state attention"
    ]


class Desktop:
    """Takes what is sent; `arrived` is set each time."""

    def __init__(self):
        self.messages = []
        self.arrived = asyncio.Event()

    async def send(self, message):
        self.messages.append(message)
        self.arrived.set()
        return True


class Clock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.at = 1000.0

    def now(self):
        return self.at

    def monotonic(self):
        return self.at


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_bus_is_followed_to_its_end():
    bus, desktop, clock = EventBus(), Desktop(), Clock()
    problems = []

    async def ask():
        return problems

    task = asyncio.create_task(Notifications(NotificationsConfig(), sender=desktop, clock=clock).run(bus, ask))
    await settle()
    bus.publish(Event("entry", 0.0, entry("a.wav")))
    bus.publish(Event("entry", 0.0, entry("b.wav")))
    await settle()
    assert desktop.messages == []
    clock.at += 60
    problems.append({"name": "account:x", "reason": "The key was rejected.", "fix": ""})
    bus.publish(Event("hold", 0.0))
    await asyncio.wait_for(desktop.arrived.wait(), 60)
    await settle()
    assert [m.title for m in desktop.messages] == ["2 transcripts are ready", "Dropscribe needs you"]
    bus.close()
    await asyncio.wait_for(task, 60)


async def test_what_is_switched_off_is_not_told_from_then_on():
    bus, desktop, clock = EventBus(), Desktop(), Clock()
    settings = NotificationsConfig(transcripts=False, attention=True)
    task = asyncio.create_task(Notifications(lambda: settings, sender=desktop, clock=clock).run(bus))
    await settle()
    for wanted, expected in ((NotificationsConfig(transcripts=False), ["Dropscribe needs you"]),
                             (NotificationsConfig(attention=False), ["Transcript ready"])):  # fmt: skip
        settings = wanted
        desktop.messages.clear()
        bus.publish(Event("entry", 0.0, entry("a.wav")))
        bus.publish(Event("entry", 0.0, entry("b.wav", "FAILED")))
        await settle()
        clock.at += 60
        bus.publish(Event("folder", 0.0))
        await settle()
        assert [m.title for m in desktop.messages] == expected
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_without_a_session_bus_it_is_off_and_says_so_once(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    clock = Clock()
    sender = DesktopSender(clock=clock)
    assert not await sender.send(Message("a", "b"))
    assert not await sender.send(Message("a", "b"))
    clock.at += 301
    assert not await sender.send(Message("a", "b"))
    said = capsys.readouterr()
    assert (said.out + said.err).count("notifications are off") == 1
