"""One attack at least for each rule that keeps strangers out of the control API. All of them must fail."""

import contextlib
import http.client
import json
import os
import socket
import sys
from urllib.parse import urlsplit

import pytest

from service.control.app import create_app
from service.control.security import HEADERS
from service.httpd.protocol import ConnectionLimits
from tests.support.dashboard import Running, json_v2
from watcher.models import OutputFormat

JSON = {"Content-Type": "application/json"}


class Attacker:
    """Sends any request, and nothing that it wasn't told to."""

    def __init__(self, running):
        self.running = running
        self.origin = f"http://127.0.0.1:{running.port}"

    @property
    def bearer(self):
        return {"Authorization": f"Bearer {self.running.token}"}

    def send(self, method, target, headers=(), body=b""):
        """Send a request whose headers may repeat and whose Host is given or left out as it is."""
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
        if not any(name.lower() == "host" for name, _ in pairs):
            pairs.append(("Host", f"127.0.0.1:{self.running.port}"))
        if body:
            pairs.append(("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs), "Connection: close"]
        with socket.create_connection(("127.0.0.1", self.running.port), timeout=60) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            answer.text = b"" if "event-stream" in (answer.getheader("content-type") or "") else answer.read()
            answer.close()
            return answer

    def session(self):
        """Come in as the person's browser does; returns the cookie's header."""
        code = json.loads(self.send("POST", "/api/open-code", {**self.bearer, **JSON}, b"{}").text)["url"]
        target = code.removeprefix(self.origin)
        cookie = self.send("GET", target).getheader("set-cookie")
        return {"Cookie": cookie.partition(";")[0]}


@pytest.fixture
def attacker(running):
    return Attacker(running)


def every_address(running):
    """Each method and address of the app."""
    entry = running.do(running.plant.found("secret.wav"))
    app = create_app(running.plant.control, token="t", port=1)
    for route in app.routes:
        path = route.path.replace("{uid}", entry.uid).replace("{name:path}", "pause").replace("{name}", "style.css")
        for method in route.methods:
            yield method, path


def test_it_listens_on_loopback_only(running):
    addresses = {info[4] for info in socket.getaddrinfo(socket.gethostname(), running.port, type=socket.SOCK_STREAM)}
    strangers = [address[0] for address in addresses if not address[0].startswith("127.")]
    if sys.platform == "linux":
        strangers.append("127.0.0.2")  # loopback too, but an address that we don't listen on
    assert strangers or sys.platform != "linux"
    for address in strangers:
        with pytest.raises(OSError):
            socket.create_connection((address, running.port), timeout=2)


def test_nothing_answers_without_token_or_session(running, attacker):
    tried = 0
    for method, path in every_address(running):
        if path in ("/enter", "/static/style.css"):
            continue
        answer = attacker.send(method, path, JSON if method == "POST" else {}, b"{}" if method == "POST" else b"")
        assert (answer.status, b"secret.wav" in answer.text) == (401, False), (method, path)
        tried += 1
    assert tried > 20


@pytest.mark.parametrize(
    "credentials",
    [
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic {token}"},
        {"Authorization": "{token}"},
        {"Authorization": "Bearer {token}x"},
        {"Authorization": "Bearer \xff"},
        {"Cookie": "dropscribe-{port}={token}"},
        {"Cookie": "dropscribe-{port}="},
        {"Cookie": "other={session}"},
        {"Cookie": "dropscribe-1={session}"},
        {"X-Token": "{token}"},
    ],
)
def test_no_other_credentials_are_taken(running, attacker, credentials):
    session = attacker.session()["Cookie"].partition("=")[2]
    known = {"token": running.token, "port": running.port, "session": session}
    headers = {name: value.format(**known) for name, value in credentials.items()}
    assert attacker.send("GET", "/api/status", headers).status == 401
    assert attacker.send("GET", f"/api/status?token={running.token}", {}).status == 401


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:{port}.evil.example",
        "localhost:{port}",
        "[::1]:{port}",
        "0.0.0.0:{port}",
        "2130706433:{port}",
        "evil@127.0.0.1:{port}",
        "",
    ],
)
def test_a_name_that_was_rebound_to_loopback_gets_nothing(running, attacker, host):
    for path in ("/api/status", "/", "/enter?code=x"):
        answer = attacker.send("GET", path, {**attacker.bearer, "Host": host.format(port=running.port)})
        assert answer.status in (400, 421)
        assert b"counts" not in answer.text


def test_a_request_with_two_hosts_gets_nothing(running, attacker):
    ours = ("Host", f"127.0.0.1:{running.port}")
    for hosts in ([ours, ("Host", "evil.example")], [("Host", "evil.example"), ours], [ours, ours]):
        assert attacker.send("GET", "/api/status", [*attacker.bearer.items(), *hosts]).status in (400, 421)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:{port}", "http://localhost:{port}", ""],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_origin_gets_nothing_whatever_it_knows(running, attacker, origin, method):
    path = {"GET": "/api/status", "POST": "/api/pause"}[method]
    headers = {"Origin": origin.format(port=running.port), **(JSON if method == "POST" else {})}
    body = b"{}" if method == "POST" else b""
    for credentials in (attacker.bearer, attacker.session()):
        answer = attacker.send(method, path, {**headers, **credentials}, body)
        assert answer.status == 403
        assert answer.getheader("access-control-allow-origin") is None
    assert json.loads(attacker.send("GET", "/api/status", attacker.bearer).text)["state"] == "idle"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "none, cross-site", "Same-Origin"])
def test_a_browser_that_works_for_another_site_gets_nothing(attacker, site):
    for path in ("/api/status", "/", "/enter?code=x"):
        assert attacker.send("GET", path, {**attacker.session(), "Sec-Fetch-Site": site}).status == 403
    assert attacker.send("POST", "/api/pause", {**attacker.session(), **JSON, "Sec-Fetch-Site": site}).status == 403


def test_a_preflight_is_not_answered(running, attacker):
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = attacker.send("OPTIONS", "/api/pause", {**asked, **attacker.session()})
    assert answer.status == 403
    assert not [name for name, _ in answer.getheaders() if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "application/jsonx",
    ],
)
def test_an_order_that_a_form_could_send_is_refused(attacker, kind):
    headers = {**attacker.session(), "Origin": attacker.origin, "Sec-Fetch-Site": "same-origin"}
    kinds = {} if kind is None else {"Content-Type": kind}
    for body in (b'{"until": null}', b""):
        assert attacker.send("POST", "/api/pause", {**headers, **kinds}, body).status == 415
    two = [*headers.items(), *JSON.items(), ("Content-Type", "text/plain")]
    assert attacker.send("POST", "/api/pause", two, b"{}").status == 415


def test_a_session_alone_gives_no_order(attacker):
    session = attacker.session()
    assert attacker.send("POST", "/api/pause", {**session, **JSON}, b"{}").status == 403
    assert attacker.send("GET", "/api/status", session).status == 200
    assert attacker.send("POST", "/api/pause", {**session, **JSON, "Origin": attacker.origin}, b"{}").status == 200


def test_whoever_is_not_let_in_gets_a_style_sheet_and_nothing_else(attacker):
    assert attacker.send("GET", "/static/style.css").status == 200
    assert attacker.send("GET", "/static/style.css", {"Sec-Fetch-Site": "cross-site"}).status == 403
    for path in ("/static/style.css/", "/static/style.css/..", "//static/style.css", "/static/overview.js"):
        assert attacker.send("GET", path).status == 401, path


def test_connections_that_ask_nothing_take_no_file_descriptors_away(tmp_path):
    limits = ConnectionLimits(most=5, head_seconds=0.5)
    with Running.start(tmp_path, limits=limits) as running, contextlib.ExitStack() as stack:
        idle = [socket.create_connection(("127.0.0.1", running.port), timeout=100) for _ in range(20)]
        for connection in idle:
            stack.callback(connection.close)
        idle[0].sendall(b"GET / HTTP/1.1\r\nHost: ")
        ended = {_how_it_ends(connection) for connection in idle}
        assert ended <= {b"", "reset"}
        attacker = Attacker(running)
        assert attacker.send("GET", "/api/status", attacker.bearer).status == 200


def _how_it_ends(connection):
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return "reset"


def test_no_order_is_given_by_get(running, attacker):
    for method, path in every_address(running):
        if method == "POST":
            assert attacker.send("GET", path, attacker.bearer).status in (404, 405)


def test_a_code_works_once_and_only_to_enter(attacker):
    url = json.loads(attacker.send("POST", "/api/open-code", {**attacker.bearer, **JSON}, b"{}").text)["url"]
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == attacker.origin
    assert attacker.send("GET", f"/api/status?{parts.query}").status == 401
    entered = attacker.send("GET", f"/enter?{parts.query}")
    assert (entered.status, entered.getheader("location")) == (303, "/")
    cookie = entered.getheader("set-cookie").lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie
    again = attacker.send("GET", f"/enter?{parts.query}")
    assert (again.status, again.getheader("set-cookie")) == (403, None)
    assert attacker.send("GET", "/enter").status == 403
    assert attacker.send("GET", "/enter?code=").status == 403


def test_looking_at_a_link_does_not_use_it_up(attacker):
    url = json.loads(attacker.send("POST", "/api/open-code", {**attacker.bearer, **JSON}, b"{}").text)["url"]
    query = urlsplit(url).query
    assert attacker.send("HEAD", f"/enter?{query}").getheader("set-cookie") is None
    assert attacker.send("GET", f"/enter?{query}").status == 303


def test_every_answer_has_the_strict_headers(running, attacker):
    session = attacker.session()
    entry = running.do(running.plant.found("secret.wav"))
    targets = ["/", f"/recordings/{entry.uid}", "/static/style.css", "/static/overview.js", "/static/icon.svg"]
    targets += ["/api/status", "/api/events", "/api/nothing", "/nothing", f"/api/entries/{entry.uid}/audio"]
    answers = [attacker.send("GET", target, session) for target in targets]
    answers += [attacker.send("GET", "/"), attacker.send("GET", "/", {"Host": "evil.example"})]
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.getheader(name) == value
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert not [name for name, value in policy.items() if "unsafe" in value or "*" in value or "http" in value]


@pytest.mark.parametrize(
    "target",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/overview.html",
        "/api/entries/%2fetc%2fpasswd/audio",
        "/api/entries/..%2f..%2fetc%2fpasswd/audio",
        "/api/entries//etc/passwd/audio",
        "/api/entries/../../etc/passwd",
    ],
)
def test_no_path_from_outside_opens_a_file(attacker, target):
    answer = attacker.send("GET", target, attacker.bearer)
    assert answer.status == 404
    assert b"root:" not in answer.text


@pytest.mark.skipif(os.name != "posix", reason="symbolic links need rights on Windows")
def test_what_took_a_recordings_place_is_not_sent(running, attacker, tmp_path):
    secret = tmp_path / "secret"
    entry = running.do(running.plant.found("talk.wav"))
    secret.write_bytes(b"s" * entry.fingerprint.size)
    os.utime(secret, ns=(entry.fingerprint.mtime_ns, entry.fingerprint.mtime_ns))
    audio = f"/api/entries/{entry.uid}/audio"
    assert attacker.send("GET", audio, attacker.bearer).status == 200
    entry.path.unlink()
    assert attacker.send("GET", audio, attacker.bearer).status == 410
    entry.path.symlink_to(secret)
    assert attacker.send("GET", audio, attacker.bearer).status == 410
    entry.path.unlink()
    entry.path.write_bytes(b"other")
    assert attacker.send("GET", audio, attacker.bearer).status == 410
    entry.path.unlink()
    entry.path.mkdir()
    assert attacker.send("GET", audio, attacker.bearer).status == 410


@pytest.mark.skipif(os.name != "posix", reason="symbolic links need rights on Windows")
def test_what_took_the_place_of_its_folder_is_not_sent(running, attacker, tmp_path):
    (running.plant.folder / "below").mkdir()
    entry = running.do(running.plant.found("below/talk.wav"))
    audio = f"/api/entries/{entry.uid}/audio"
    assert attacker.send("GET", audio, attacker.bearer).status == 200
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "talk.wav").write_bytes(b"s" * entry.fingerprint.size)
    os.utime(secrets / "talk.wav", ns=(entry.fingerprint.mtime_ns, entry.fingerprint.mtime_ns))
    entry.path.parent.rename(tmp_path / "was")
    entry.path.parent.symlink_to(secrets)
    assert attacker.send("GET", audio, attacker.bearer).status == 410


def test_a_recording_is_never_sent_as_a_page(running, attacker):
    entry = running.do(running.plant.found("page.html"))
    answer = attacker.send("GET", f"/api/entries/{entry.uid}/audio", attacker.bearer)
    assert answer.getheader("content-type") == "application/octet-stream"
    assert answer.getheader("x-content-type-options") == "nosniff"


def test_a_transcript_is_never_sent_as_a_page(running, attacker):
    script = b"<script>alert(1)</script>"
    originals = {OutputFormat.TXT: script, OutputFormat.JSON_V2: json_v2(("S1", 0.0, script.decode()))}
    entry = running.do(running.plant.transcribed("talk.wav", originals))
    for form in ("txt", "json-v2", "vtt", "md"):
        answer = attacker.send("GET", f"/api/entries/{entry.uid}/transcript?format={form}", attacker.bearer)
        assert answer.status == 200
        assert answer.getheader("content-type").partition(";")[0] not in ("text/html", "image/svg+xml")
        assert answer.getheader("x-content-type-options") == "nosniff"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b"null", 400),
        (b'"until"', 400),
        (b"\xff\xfe", 400),
        (b"[" * 60_000, 400),
        (b'{"until": 1e999}', 400),
        (b'{"until": NaN}', 400),
        (b" " * 70_000, 413),
    ],
)
def test_a_broken_body_is_an_answer(attacker, body, status):
    answer = attacker.send("POST", "/api/pause", {**attacker.bearer, **JSON}, body)
    assert answer.status == status
    assert json.loads(answer.text)["error"]


@pytest.mark.parametrize(
    "target",
    [
        "/api/entries?state=NOTHING",
        "/api/entries?limit=0",
        "/api/entries?limit=-1",
        "/api/entries?limit=1000000",
        "/api/entries?limit=%D9%A3",
        "/api/entries?before=x",
        "/api/entries?before=nan~x",
        "/api/entries?before=1~",
        "/api/entries?folder=relative",
        "/api/entries?folder=%00",
        "/api/explain",
        "/api/explain?path=../x",
        "/api/explain?path=/a%00b",
    ],
)
def test_a_broken_question_is_an_answer(attacker, target):
    answer = attacker.send("GET", target, attacker.bearer)
    assert answer.status == 400
    assert json.loads(answer.text)["error"]


def test_the_token_is_in_no_answer(running, attacker):
    for method, path in every_address(running):
        body = b"{}" if method == "POST" else b""
        answer = attacker.send(method, path, {**attacker.bearer, **JSON}, body)
        assert running.token.encode() not in answer.text
        assert running.token not in str(answer.getheaders())
