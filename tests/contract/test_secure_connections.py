"""The promises of a submission hold over TLS and through a proxy too."""

import asyncio
import contextlib
import hashlib

import anyio
import pytest

from tests.support.certificates import tls_pair
from tests.support.fault_server import Fault, FaultServer
from watcher.speechmatics import (
    AsyncClient,
    ConnectFailed,
    ConnectionLost,
    PayloadTooLarge,
    RateLimited,
    RetryPolicy,
    SubmissionUnknown,
)

pytestmark = pytest.mark.anyio

AUDIO = bytes(range(256)) * 4096 * 4


class Proxy:
    """A proxy that tunnels (CONNECT), and counts what it tunnelled."""

    def __init__(self):
        self.tunnels = []
        self.refuse = False
        self._tasks = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        await asyncio.sleep(0)  # the transports close one turn of the loop later

    def _connected(self, reader, writer):
        self._tasks.add(asyncio.get_running_loop().create_task(self._serve(reader, writer)))

    async def _serve(self, reader, writer):
        opened = [writer]
        try:
            await self._tunnel(reader, writer, opened)
        finally:
            for each in opened:
                each.transport.abort()

    async def _tunnel(self, reader, writer, opened):
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        assert method == b"CONNECT"
        self.tunnels.append(target.decode())
        if self.refuse:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        host, _, port = target.decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        opened.append(far_writer)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(reader, writer):
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()


@pytest.fixture
def contexts(tmp_path):
    return tls_pair(tmp_path)


@pytest.fixture
async def server(contexts):
    async with FaultServer(ssl_context=contexts[0]) as server:
        yield server


@pytest.fixture(params=["direct", "proxied"])
async def client(request, server, contexts):
    options = {"url": server.url, "ssl_context": contexts[1], "retry": RetryPolicy(attempts=1)}
    if request.param == "direct":
        async with AsyncClient("key", **options) as client:
            yield client
    else:
        async with Proxy() as proxy, AsyncClient("key", proxy=proxy.url, **options) as client:
            yield client
            assert proxy.tunnels


async def test_jobs_are_submitted_and_read(server, client):
    job = await client.submit_job(("a.wav", AUDIO))
    assert server.jobs[0].sha256 == hashlib.sha256(AUDIO).hexdigest() == job.receipt.sha256
    assert (await client.wait_for_completion(job.id)).words


@pytest.mark.parametrize("abrupt", [False, True])
@pytest.mark.parametrize(("status", "kind"), [(413, PayloadTooLarge), (429, RateLimited)])
async def test_early_answers_are_heard(server, client, status, kind, abrupt):
    server.script.add(Fault("early", on="post", status=status, abrupt=abrupt))
    # Hanging up in the middle of TLS may cost the answer itself; never the knowledge that no job exists.
    expected = (kind, ConnectionLost) if abrupt else kind
    with pytest.raises(expected):
        await client.submit_job(("a.wav", AUDIO), before_commit=_never)
    assert server.jobs == []


async def _never(receipt):
    pytest.fail("the gate was asked after the service had refused")


async def test_gates_hold(server, client):
    async def refuse(receipt):
        raise KeyError(receipt.sha256)

    with pytest.raises(KeyError):
        await client.submit_job(("a.wav", AUDIO), before_commit=refuse)
    await client.list_jobs()
    assert server.jobs == []


async def test_lost_answers_are_unknown(server, client):
    server.script.add(Fault("lose_answer", on="post"))
    with pytest.raises(SubmissionUnknown):
        await client.submit_job(("a.wav", AUDIO))
    assert len(server.jobs) == 1


async def test_a_cancelled_upload_is_no_job(server, client):
    entered = anyio.Event()

    async def gate(receipt):
        entered.set()
        await anyio.sleep_forever()

    async def submit():
        await client.submit_job(("a.wav", AUDIO), before_commit=gate)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(submit)
        with anyio.fail_after(60):
            await entered.wait()
        tasks.cancel_scope.cancel()
    await client.list_jobs()
    assert server.jobs == []


async def test_an_untrusted_server_gets_nothing(server):
    async with AsyncClient("key", url=server.url, retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(ConnectFailed, match=r"certificate"):
            await client.submit_job(("a.wav", AUDIO))
        with pytest.raises(ConnectFailed, match=r"certificate"):
            await client.list_jobs()
    assert not server.requests


async def test_a_proxy_that_refuses_is_no_connection(server, contexts):
    async with Proxy() as proxy:
        proxy.refuse = True
        options = {"proxy": proxy.url, "ssl_context": contexts[1], "retry": RetryPolicy(attempts=1)}
        async with AsyncClient("key", url=server.url, **options) as client:
            with pytest.raises(ConnectFailed, match=r"403"):
                await client.submit_job(("a.wav", AUDIO))
            with pytest.raises(ConnectFailed, match=r"403"):
                await client.list_jobs()
