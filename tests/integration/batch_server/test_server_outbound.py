"""Calls to other servers, with the names' addresses in the test's hands, and real servers (TLS too) behind them."""

import contextlib
import gzip
import http.server
import threading

import httpcore
import pytest

from service.batch_server.job_config import Fetch
from service.batch_server.outbound import fetch
from service.batch_server.outbound.client import CallFailed, Outbound
from tests.support.certificates import tls_pair

pytestmark = pytest.mark.anyio


class Names:
    """A resolver: gives a name's answers one after the other, the last for ever, and remembers who was asked for."""

    def __init__(self, **answers):
        self._answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append(host)
        answers = self._answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Site:
    """An HTTP server on the loopback that remembers requests and the name that TLS asked for."""

    def __init__(self, answer, *, address="127.0.0.1", port=0, tls=None):
        self.requests = []
        self.server_names = []
        self.sent = 0
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                site.requests.append((self.path, self.headers))
                with contextlib.suppress(OSError):
                    answer(self)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # a client that goes away is the point of some tests
        if tls is not None:
            tls.sni_callback = lambda _, name, __: self.server_names.append(name)
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def port(self):
        return self._server.server_port

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def say(body=b"audio", *, status=200, **headers):
    def answer(handler):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


async def get(outbound, url):
    async with outbound.call("GET", url) as response:
        return b"".join([chunk async for chunk in response.aiter_raw()])


@pytest.fixture
def connections(monkeypatch):
    """Where connections would go; none is made."""
    tried = []

    async def connect_tcp(_, host, port, **__):
        tried.append((host, port))
        raise httpcore.ConnectError("no network in this test")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect_tcp)
    return tried


async def test_the_address_that_was_checked_is_the_one_that_is_connected_to(connections):
    names = Names(turning_example=[["93.184.215.14"], ["127.0.0.1"]])
    with pytest.raises(CallFailed, match="no network"):
        await get(Outbound((), resolve=names), "http://turning.example:8080/a")
    assert connections == [("93.184.215.14", 8080)]
    assert names.asked == ["turning.example"]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "fe80::1",
     "fe80::1%lo", "fd00::1", "fc00::1", "2002:7f00:1::", "169.254.169.254", "fd00:ec2::254", "0.0.0.0", "::"],  # noqa: S104 - not bound to
)  # fmt: skip
async def test_a_name_with_one_address_that_is_not_public_is_not_connected_to(connections, address):
    names = Names(inside_example=[["93.184.215.14", address]])
    with pytest.raises(CallFailed, match="not public"):
        await get(Outbound((), resolve=names), "http://inside.example/a")
    assert connections == []


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b/",
        f"http://{'a' * 64}.example/",
        "http://xn--\u00fc.example/",
        "http://ex ample.org/",
        "http://[::1/",
    ],
)
async def test_what_is_no_host_s_name_is_told_and_not_connected_to(connections, url):
    with pytest.raises(CallFailed):
        await get(Outbound(()), url)
    assert connections == []


async def test_a_name_that_moves_between_two_redirects_is_checked_again():
    def elsewhere(handler):
        say(status=302, Location=f"http://moving.example:{site.port}/b")(handler)

    with Site(elsewhere) as site:
        names = Names(start_example=[["127.0.0.1"]], moving_example=[["127.0.0.1"]])
        outbound = Outbound(["start.example"], resolve=names)
        with pytest.raises(CallFailed, match=r"moving\.example is not called: its address 127\.0\.0\.1"):
            await get(outbound, f"http://start.example:{site.port}/a")
        assert [path for path, _ in site.requests] == ["/a"]
    assert names.asked == ["start.example", "moving.example"]


async def test_the_first_answer_counts_though_the_second_leads_elsewhere():
    with Site(say(b"right"), address="127.0.0.2") as right, Site(say(b"wrong"), port=right.port) as wrong:
        names = Names(turning_example=[["127.0.0.2"], ["127.0.0.1"]])
        url = f"http://turning.example:{right.port}/a"
        assert await get(Outbound(["turning.example"], resolve=names), url) == b"right"
        assert right.requests[0][1]["Host"] == f"turning.example:{right.port}"
        assert wrong.requests == []


async def test_tls_asks_for_the_name_and_holds_the_certificate_against_it(tmp_path):
    server, client = tls_pair(tmp_path, "audio.example")
    names = Names(audio_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    with Site(say(b"sound"), tls=server) as site:
        outbound = Outbound(["audio.example", "other.example", "127.0.0.1"], resolve=names, tls=client)
        assert await get(outbound, f"https://audio.example:{site.port}/a") == b"sound"
        assert site.server_names == ["audio.example"]
        with pytest.raises(CallFailed, match="certificate"):
            await get(outbound, f"https://other.example:{site.port}/a")
        with pytest.raises(CallFailed, match="certificate"):  # of an issuer whom nobody knows
            await get(Outbound(["audio.example"], resolve=names), f"https://audio.example:{site.port}/a")
        assert len(site.requests) == 1


def drip(handler):
    """Send one byte, and then nothing until the other side has had enough."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"x")
    handler.connection.settimeout(60)
    handler.connection.recv(1)


async def fetched(site, path, **options):
    names = Names(audio_example=[["127.0.0.1"]])
    outbound = Outbound(["audio.example"], resolve=names)
    await fetch.fetch(outbound, Fetch(url=f"http://audio.example:{site.port}/a"), path, **options)


async def test_an_endless_answer_is_cut_at_the_limit(tmp_path):
    sent = []

    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(100_000))
            sent.append(100_000)

    with Site(endless) as site, pytest.raises(CallFailed, match="larger than the limit of 3000000 bytes"):
        await fetched(site, tmp_path / "a", most_bytes=3_000_000)
    assert (tmp_path / "a").stat().st_size <= 3_000_000
    assert sum(sent) < 30_000_000  # what the system's buffers hold, and no more


async def test_an_answer_that_drips_is_given_up(tmp_path):
    with Site(drip) as site, pytest.raises(CallFailed, match=r"longer than 0\.3 seconds"):
        await fetched(site, tmp_path / "a", most_bytes=10, longest=0.3)


async def test_packed_audio_is_refused_before_it_is_unpacked(tmp_path):
    with Site(say(gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")) as site:
        with pytest.raises(CallFailed, match="Content-Encoding gzip"):
            await fetched(site, tmp_path / "a", most_bytes=1_000_000)
        assert site.requests[0][1]["Accept-Encoding"] == "identity"
    assert not (tmp_path / "a").exists()
