"""Starting, stopping, and what lies between: ports, ranges of audio, many listeners."""

import asyncio
import http.client
import json
import os
import socket
import stat
from contextlib import AsyncExitStack, closing

import pytest

from service.control.client import ControlClient
from service.control.server import serve_dashboard
from tests.support.dashboard import Plant
from tests.support.waiting import reached

pytestmark = pytest.mark.anyio


@pytest.fixture
async def plant(tmp_path):
    async with AsyncExitStack() as stack:
        plant = Plant(tmp_path)
        await plant.start(stack)
        yield plant


async def test_a_taken_port_is_replaced_and_said_so(plant):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with serve_dashboard(plant.control, plant.paths, port) as address:
            assert address.port != port
            assert f"Port {port} can't be used" in address.notice
            assert str(address.port) in address.notice
            client = ControlClient.from_state(plant.paths)
            assert (await asyncio.to_thread(client.status))["state"] == "idle"


async def test_a_free_port_is_used_again_at_once(plant):
    async with serve_dashboard(plant.control, plant.paths, 0) as first:
        assert first.notice == ""
        await asyncio.to_thread(ControlClient.from_state(plant.paths).status)
    async with serve_dashboard(plant.control, plant.paths, first.port) as second:
        assert second == first
        await asyncio.to_thread(ControlClient.from_state(plant.paths).status)


async def test_each_start_has_its_own_token(plant):
    tokens = set()
    for _ in range(2):
        async with serve_dashboard(plant.control, plant.paths, 0):
            tokens.add(json.loads(plant.paths.control.read_text())["token"])
    assert len(tokens) == 2


async def test_a_control_file_that_lay_there_is_replaced_privately(plant):
    plant.paths.control.write_text("{}")
    plant.paths.control.chmod(0o644)
    async with serve_dashboard(plant.control, plant.paths, 0):
        assert json.loads(plant.paths.control.read_text())["pid"] == os.getpid()
        if os.name == "posix":
            assert stat.S_IMODE(plant.paths.control.stat().st_mode) == 0o600


async def test_the_control_file_of_another_daemon_is_left_alone(plant):
    async with serve_dashboard(plant.control, plant.paths, 0):
        plant.paths.control.write_text('{"url": "of another"}')
    assert plant.paths.control.read_text() == '{"url": "of another"}'


async def test_a_state_folder_that_cant_be_written_stops_the_start_cleanly(plant, tmp_path):
    from watcher.paths import StatePaths

    with pytest.raises(OSError):
        async with serve_dashboard(plant.control, StatePaths(tmp_path / "missing"), 0):
            pytest.fail("it can't be found by anyone")


async def test_it_stops_soon_with_listeners_and_leaves_none_behind(plant):
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serve_dashboard(plant.control, plant.paths, 0))
        client = ControlClient.from_state(plant.paths)
        streams = [client.events() for _ in range(5)]
        for stream in streams:
            assert (await asyncio.to_thread(next, stream)).kind == "hello"
        async with asyncio.timeout(60):  # the listeners would stay for ever
            await stack.aclose()
    for stream in streams:
        with pytest.raises(Exception, match="does not answer"):
            await asyncio.to_thread(next, stream)
    assert not plant.bus._subscriptions


async def test_a_listener_that_left_is_forgotten(plant):
    async with serve_dashboard(plant.control, plant.paths, 0):
        stream = ControlClient.from_state(plant.paths).events()
        await asyncio.to_thread(next, stream)
        assert len(plant.bus._subscriptions) == 1
        await asyncio.to_thread(stream.close)
        await reached(lambda: not plant.bus._subscriptions)


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        (None, 200, slice(None)),
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=100-199", 206, slice(100, 200)),
        ("bytes=16000-", 206, slice(16000, None)),
        ("bytes=-10", 206, slice(-10, None)),
        ("bytes=0-999999", 206, slice(None)),
        ("bytes=999999-", 416, None),
    ],
)
async def test_audio_comes_whole_or_in_ranges(plant, asked, status, part):
    entry = await plant.found("talk.wav")
    content = entry.path.read_bytes()
    async with serve_dashboard(plant.control, plant.paths, 0) as address:
        token = json.loads(plant.paths.control.read_text())["token"]

        def ask():
            with closing(http.client.HTTPConnection("127.0.0.1", address.port, timeout=60)) as connection:
                headers = {"Authorization": f"Bearer {token}", **({"Range": asked} if asked else {})}
                connection.request("GET", f"/api/entries/{entry.uid}/audio", headers=headers)
                with connection.getresponse() as answer:
                    return answer.status, answer.read(), answer.headers

        got, data, headers = await asyncio.to_thread(ask)
    assert got == status
    if part is None:
        assert headers["content-range"] == f"bytes */{len(content)}"
    else:
        assert data == content[part]
        assert headers["content-type"] == "audio/wav"


async def test_an_error_of_our_own_is_an_answer_that_tells_nothing(plant, capsys):
    async def broken():
        raise RuntimeError("a secret detail")

    plant.control.snapshot = broken
    async with serve_dashboard(plant.control, plant.paths, 0):
        client = ControlClient.from_state(plant.paths)
        with pytest.raises(Exception, match="an internal error") as told:
            await asyncio.to_thread(client.status)
    assert told.value.status == 500
    assert "secret" not in str(told.value)
    assert "a secret detail" in "".join(capsys.readouterr())
