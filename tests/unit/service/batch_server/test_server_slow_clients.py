"""Clients that open a connection, or begin a request, and then let the server wait."""

import asyncio
import contextlib

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from service.batch_server.api.upload import receive
from service.batch_server.errors import Stalled
from service.batch_server.settings import Limits
from service.httpd.protocol import BoundedProtocol, ConnectionLimits
from tests.support.waiting import reached

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


Impatient = BoundedProtocol.within(ConnectionLimits(head_seconds=0.2))


@contextlib.asynccontextmanager
async def serving(protocol):
    """A server whose answers take longer than its patience for the head of a request."""

    async def slow(request):
        await request.body()
        await asyncio.sleep(0.3)
        return PlainTextResponse("done")

    config = uvicorn.Config(
        Starlette(routes=[Route("/", slow, methods=["GET", "POST"])]), port=0, http=protocol, log_config=None, ws="none"
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    task = asyncio.create_task(server.serve())
    await reached(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


async def ends(reader):
    async with asyncio.timeout(60):
        try:
            return await reader.read()
        except ConnectionResetError:  # the server closed with bytes of ours unread
            return b""


GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHo"])
async def test_a_request_that_does_not_come_is_not_waited_for(begun):
    async with serving(Impatient) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        assert await ends(reader) == b""
        writer.close()


async def test_a_drip_of_headers_buys_no_time():
    async with serving(Impatient) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        ended = asyncio.create_task(ends(reader))
        with contextlib.suppress(ConnectionError):
            for byte in GET * 60:
                if ended.done():
                    break
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.05)
        assert await ended == b""
        writer.close()


async def test_an_answer_may_take_its_time_and_so_may_the_next_request():
    async with serving(Impatient) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(GET)
            async with asyncio.timeout(60):
                assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(4) == b"done"
            await asyncio.sleep(0.3)  # longer than the head of a request may take: but none has begun
        writer.write(GET[:10])
        assert await ends(reader) == b""
        writer.close()


async def test_an_upload_that_comes_to_a_halt_is_given_up(tmp_path):
    head = b'--b\r\nContent-Disposition: form-data; name="data_file"; filename="a.wav"\r\n\r\nRIFF'
    messages = [{"type": "http.request", "body": head, "more_body": True}]

    async def come():
        return messages.pop() if messages else await asyncio.Event().wait()

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"multipart/form-data; boundary=b")]}
    limits = Limits(stall_seconds=0.1)
    with pytest.raises(Stalled, match=r"Nothing more .* for 0\.1 seconds"):
        async with asyncio.timeout(60):
            await receive(Request(scope, come), tmp_path / "upload", limits=limits, on_config=lambda _: None)
