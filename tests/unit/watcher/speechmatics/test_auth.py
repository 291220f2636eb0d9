"""Keys: where they come from, that they don't show, and that temporary ones are renewed in time."""

import asyncio
import contextlib
import copy
import json

import pytest

from tests.support.client_clock import JumpingClock
from tests.support.fault_http import Answer, error_answer, read_request
from tests.support.fault_server import Fault, FaultServer
from watcher.speechmatics import (
    AsyncClient,
    AuthenticationError,
    BatchClient,
    BrokenJson,
    ConfigurationError,
    ConnectFailed,
    ConnectionSettings,
    JWTAuth,
    PermissionDenied,
    StaticKeyAuth,
)

KEY = "sekret-key-1234567890"


class ManagementPlatform:
    """Makes temporary keys: ``jwt-1``, ``jwt-2``, …"""

    def __init__(self):
        self.asked = []
        self.answer = None

    async def handle(self, reader, writer):
        while request := await read_request(reader):
            body = b"".join([piece async for piece in request.pieces()])
            self.asked.append((request.path, request.query, request.headers["authorization"], json.loads(body)))
            made = Answer(201, {"apikey_id": None, "key_value": f"jwt-{len(self.asked)}"})
            writer.write((self.answer or made).encoded())
            await writer.drain()
        writer.close()


@pytest.fixture
async def platform():
    platform = ManagementPlatform()
    async with await asyncio.start_server(platform.handle, "127.0.0.1", 0) as server:
        platform.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield platform


@pytest.mark.anyio
async def test_temporary_keys_are_made_once_and_renewed_before_they_run_out(platform):
    clock = JumpingClock()
    auth = JWTAuth(KEY, ttl=100, region="usa", client_ref="user-1", mp_url=platform.url, clock=clock)
    assert await asyncio.gather(*(auth.token() for _ in range(5))) == ["jwt-1"] * 5
    assert platform.asked == [
        ("/v1/api_keys", {"type": "batch"}, f"Bearer {KEY}", {"ttl": 100, "region": "usa", "client_ref": "user-1"})
    ]
    clock.now += 89.0
    assert await auth.token() == "jwt-1"
    clock.now += 1.0
    assert await auth.token() == "jwt-2"
    assert auth.forget("jwt-1")  # an old one: nothing to do
    assert await auth.token() == "jwt-2"
    assert auth.forget("jwt-2")
    assert await auth.token() == "jwt-3"


@pytest.mark.anyio
async def test_a_temporary_key_that_is_refused_early_is_replaced_once(platform):
    async with FaultServer() as server:
        auth = JWTAuth(KEY, mp_url=platform.url)
        async with AsyncClient(url=server.url, auth=auth, clock=JumpingClock()) as client:
            server.script.add(Fault("status", on="get", status=401))
            assert await client.list_jobs() == []
            assert len(platform.asked) == 2
            server.script.add(Fault("status", on="any", status=401, times=3))
            with pytest.raises(AuthenticationError):
                await client.list_jobs()
            assert len(platform.asked) == 3
            with pytest.raises(AuthenticationError):
                await client.submit_job(b"audio")  # never sent twice
            assert server.requests["post"] == 1
            await client.submit_job(b"audio")
            assert len(platform.asked) >= 4


@pytest.mark.anyio
async def test_the_platforms_refusals_are_told_without_the_key(platform):
    auth = JWTAuth(KEY, mp_url=platform.url)
    for answer, kind in [
        (error_answer(401, f"bad {KEY}", html=True), AuthenticationError),
        (Answer(403, {"code": 403, "error": f"no such key {KEY}"}), PermissionDenied),
        (Answer(201, b"{"), BrokenJson),
        (Answer(201, {"key": "x"}), BrokenJson),
        (Answer(201, {"key_value": ""}), ConfigurationError),
    ]:
        platform.answer = answer
        with pytest.raises(kind) as caught:
            await auth.token()
        assert KEY not in str(caught.value)
    with pytest.raises(ConnectFailed):
        await JWTAuth(KEY, mp_url="http://127.0.0.1:9").token()


def test_the_key_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("SPEECHMATICS_API_KEY", raising=False)
    for new in (StaticKeyAuth, JWTAuth, AsyncClient, BatchClient):
        with pytest.raises(ConfigurationError, match=r"SPEECHMATICS_API_KEY"):
            new()
    monkeypatch.setenv("SPEECHMATICS_API_KEY", f" {KEY}\n")
    assert asyncio.run(StaticKeyAuth().token()) == KEY
    for new in (StaticKeyAuth, JWTAuth, AsyncClient, BatchClient):
        assert KEY not in repr(new())


@pytest.mark.parametrize("bad", ["", "  ", "two words", "line\nbreak", "ключ", "tab\there", "nul\0"])
def test_a_key_that_cannot_be_one_is_refused_unseen(bad):
    with pytest.raises(ConfigurationError) as caught:
        AsyncClient(bad)
    assert not bad.strip() or bad not in str(caught.value)


def test_settings_do_not_show_the_key():
    settings = ConnectionSettings(url="http://127.0.0.1:9", auth_token=KEY)
    assert KEY not in repr(settings)
    assert KEY not in repr(BatchClient(settings))
    assert copy.copy(settings).auth_token == KEY


@pytest.mark.parametrize("ttl", [59, 86_401])
def test_lifetimes_outside_the_platforms_range_are_refused(ttl):
    with pytest.raises(ConfigurationError, match=r"ttl"):
        JWTAuth(KEY, ttl=ttl)


def test_a_key_and_an_auth_contradict_each_other():
    with pytest.raises(ConfigurationError), contextlib.nullcontext():
        AsyncClient(KEY, auth=StaticKeyAuth(KEY))


def test_keys_are_told_apart_by_digests_that_show_nothing_of_them():
    salt, other = b"s" * 32, b"t" * 32
    one = StaticKeyAuth("key-1").digest(salt)
    assert one == StaticKeyAuth(" key-1\n").digest(salt)
    assert one != StaticKeyAuth("key-2").digest(salt)
    assert one != StaticKeyAuth("key-1").digest(other)
    assert "key-1" not in one
    ours = JWTAuth("key-1", client_ref="us").digest(salt)
    assert ours == JWTAuth("key-1", client_ref="us", ttl=600).digest(salt)
    assert ours != JWTAuth("key-1", client_ref="them").digest(salt)
