"""The live stream: everything is told, or it is told that something was missed."""

import asyncio
import json
from contextlib import aclosing

import pytest

from service.control.sse import EventStreams
from watcher.events import Event, EventBus

pytestmark = pytest.mark.anyio


async def heard(stream):
    chunk = await asyncio.wait_for(anext(stream), 60)
    lines = chunk.decode().splitlines()
    if lines[0].startswith(":"):
        return "heartbeat", None
    kind = lines[0].removeprefix("event: ")
    body = json.loads(lines[1].removeprefix("data: "))
    assert body["kind"] == kind
    return kind, body["data"]


async def listening(bus, **options):
    streams = EventStreams(bus, version="1.2.3", **options)
    stream = streams.listen()
    assert await heard(stream) == ("hello", {"version": "1.2.3"})
    return streams, stream


async def test_events_are_told_in_order():
    bus = EventBus()
    _, stream = await listening(bus)
    async with aclosing(stream):
        for number in range(3):
            bus.publish(Event("entry", number, {"uid": str(number)}))
        assert [(await heard(stream))[1]["uid"] for _ in range(3)] == ["0", "1", "2"]


async def test_a_listener_that_fell_behind_is_told_to_read_anew():
    bus = EventBus(capacity=2)
    _, stream = await listening(bus)
    async with aclosing(stream):
        for number in range(5):
            bus.publish(Event("entry", number, {"uid": str(number)}))
        assert await heard(stream) == ("resync", {"missed": 3})
        assert [(await heard(stream))[1]["uid"] for _ in range(2)] == ["3", "4"]


async def test_a_quiet_stream_shows_that_it_lives():
    bus = EventBus()
    _, stream = await listening(bus, heartbeat=0.01)
    async with aclosing(stream):
        assert await heard(stream) == ("heartbeat", None)
        bus.publish(Event("hold", 1.0))
        kinds = [(await heard(stream))[0] for _ in range(2)]
        assert "hold" in kinds


async def test_progress_is_thinned_out_but_its_end_is_told():
    bus = EventBus()
    _, stream = await listening(bus)
    async with aclosing(stream):
        for sent in range(101):
            bus.publish(Event("progress", 1000 + sent / 1000, {"uid": "a", "sent": sent, "total": 100}))
        bus.publish(Event("progress", 999.0, {"uid": "a", "sent": 1, "total": 2}))  # the clock was set back
        bus.publish(Event("entry", 1001, {"uid": "a"}))
        told = []
        while not told or told[-1][0] != "entry":
            told.append(await heard(stream))
    assert [data.get("sent") for _, data in told] == [0, 100, 1, None]


async def test_a_name_that_is_no_text_does_not_end_the_stream():
    bus = EventBus()
    _, stream = await listening(bus)
    async with aclosing(stream):
        bus.publish(Event("entry", 1.0, {"path": "caf\udce9\n.wav"}))
        assert await heard(stream) == ("entry", {"path": "caf\udce9\n.wav"})


@pytest.mark.parametrize("ended_by", ["streams", "bus"])
async def test_it_ends_when_told_and_leaves_nothing_behind(ended_by):
    bus = EventBus()
    streams, stream = await listening(bus)
    waiting = asyncio.create_task(heard(stream))
    await asyncio.sleep(0)
    {"streams": streams, "bus": bus}[ended_by].close()
    (ending,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(ending, StopAsyncIteration)
    assert not bus._subscriptions
    assert not streams._open
