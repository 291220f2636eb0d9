"""Fetching audio and sending notifications, with a real HTTP server on the other side."""

import contextlib
import http.server
import json
import socket
import sys
import threading
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path

import pytest

from tests.support import spec
from tests.support.waiting import until
from tests.support.words import assert_reads


class Other:
    """Another HTTP server: serves what it is told to, remembers what it is sent."""

    def __init__(self):
        self.answers = {}  # by path: (status, headers, body)
        self.requests = []
        self.arrived = threading.Condition()

    def wait_for(self, count):
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, timeout=60)


@pytest.fixture
def other():
    found = Other()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with found.arrived:
                found.requests.append((self.command, self.path, dict(self.headers), body))
                found.arrived.notify_all()
            answers = found.answers.get(self.path.partition("?")[0], [(404, {}, b"")])
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        do_POST = do_PUT = do_GET  # noqa: N815 - the names that http.server looks for

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found.host = f"127.0.0.1:{server.server_port}"
    found.url = f"http://{found.host}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def submit(api, **config):
    body = {"type": "transcription", "transcription_config": {"language": "en"}, **config}
    return api.post("jobs", files={"config": (None, json.dumps(body))})


def ended(api, response):
    assert response.status_code == 201, response.text
    return api.ended(response.json()["id"])


def test_both_are_off_unless_asked_for(api, other):
    for config in ({"fetch_data": {"url": other.url}}, {"notification_config": [{"url": other.url}]}):
        response = submit(api, **config)
        assert response.status_code == 400
        assert "--allow" in response.json()["detail"]
    assert other.requests == []


def test_audio_is_fetched_with_its_headers(start_server, other, recordings):
    api = start_server("--allow-fetch", "--allow-host", other.host)
    other.answers["/old"] = [(302, {"Location": "/talks/leisure.flac"}, b"")]
    other.answers["/talks/leisure.flac"] = [(200, {}, (recordings / "leisure.flac").read_bytes())]
    job = ended(api, submit(api, fetch_data={"url": f"{other.url}/old", "auth_headers": ["Authorization: Bearer x"]}))
    spec.assert_valid(job, "JobDetails")
    assert (job["status"], job["data_name"], job["duration"]) == ("done", "old", 7)
    assert_reads(api.transcript(job, "txt"), "leisure")
    assert [headers["Authorization"] for _, _, headers, _ in other.requests] == ["Bearer x", "Bearer x"]


def test_a_fetch_that_fails_rejects_the_job(start_server, other, tmp_path):
    api = start_server("--allow-fetch", "--allow-host", other.host, "--max-upload", "100000")
    other.answers["/teapot"] = [(418, {}, b"")]
    other.answers["/large"] = [(200, {}, bytes(200_000))]
    other.answers["/empty"] = [(200, {}, b"")]
    other.answers["/loop"] = [(302, {"Location": "/loop"}, b"")]
    for path, reason in [
        ("teapot", "http status 418"),
        ("large", "100000 bytes"),
        ("empty", "empty"),
        ("loop", "redirects"),
    ]:
        job = ended(api, submit(api, fetch_data={"url": f"{other.url}/{path}"}))
        assert job["status"] == "rejected"
        assert reason in job["errors"][0]["message"]
    assert [path for path in (tmp_path / "data").glob("*/*") if path.is_file()] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "2130706433", "0"])
def test_addresses_that_are_not_public_are_not_called(start_server, other, host):
    api = start_server("--allow-fetch")
    port = other.host.rpartition(":")[2]
    job = ended(api, submit(api, fetch_data={"url": f"http://{host}:{port}/x"}))
    assert job["status"] == "rejected"
    assert job["errors"][0]["type"] == "fetch"
    assert other.requests == []


def test_a_redirect_to_an_address_that_is_not_public_is_not_followed(start_server, other):
    port = other.host.rpartition(":")[2]
    api = start_server("--allow-fetch", "--allow-host", "localhost")
    other.answers["/x"] = [(302, {"Location": f"http://127.0.0.1:{port}/secret"}, b"")]
    job = ended(api, submit(api, fetch_data={"url": f"http://localhost:{port}/x"}))
    assert job["status"] == "rejected"
    assert "not public" in job["errors"][0]["message"]
    assert [path for _, path, _, _ in other.requests] == ["/x"]


def test_notifications_say_what_was_asked_for(start_server, other, recordings):
    api = start_server("--allow-notify", "--allow-host", other.host)
    other.answers["/hook"] = [(500, {}, b""), (200, {}, b"")]  # it is told again after a failure
    other.answers["/many"] = [(200, {}, b"")]
    config = {
        "notification_config": [
            {
                "url": f"{other.url}/hook?a=b",
                "contents": ["transcript.txt"],
                "method": "put",
                "auth_headers": ["X-K: v"],
            },
            {"url": f"{other.url}/many", "contents": ["jobinfo", "transcript", "data"]},
        ]
    }
    job = api.done(recordings / "leisure.flac", config=config)
    other.wait_for(3)
    told = {path.partition("?")[0]: request for request in other.requests for path in [request[1]]}
    method, path, headers, body = told["/hook"]
    assert (method, path) == ("PUT", f"/hook?a=b&id={job['id']}&status=success")
    assert (headers["User-Agent"], headers["X-K"]) == ("Speechmatics-API/2.0", "v")
    assert headers["Content-Type"].startswith("text/plain")
    assert_reads(body.decode(), "leisure")
    _, _, headers, body = told["/many"]
    form = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body, policy=HTTP)
    parts = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in form.iter_parts()
    }
    assert set(parts) == {"jobinfo", "transcript", "data"}
    assert parts["data"] == (recordings / "leisure.flac").read_bytes()
    spec.assert_valid(json.loads(parts["transcript"]), "RetrieveTranscriptResponse")
    spec.assert_valid(json.loads(parts["jobinfo"]), "RetrieveJobResponse")


def test_pending_webhooks_are_called_after_a_crash_by_a_server_that_may(start_server, other, recordings, tmp_path):
    import os
    import signal

    first = start_server("--allow-notify", "--allow-host", other.host)
    other.answers["/hook"] = [(503, {}, b"")]
    config = {"notification_config": [{"url": f"{other.url}/hook", "contents": []}]}
    job = first.done(recordings / "leisure.flac", config=config)
    other.wait_for(1)
    os.kill(first.server.pid, signal.SIGKILL)
    other.answers["/hook"] = [(200, {}, b"")]
    forbidden = start_server("--allow-fetch", "--allow-host", other.host)
    assert forbidden.done(recordings / "leisure.flac")["status"] == "done"
    forbidden.stop()
    assert len(other.requests) == 1
    start_server("--allow-notify", "--allow-host", other.host)
    other.wait_for(2)
    assert job["id"] in other.requests[-1][1]
    until(lambda: not list((tmp_path / "data" / "audio").iterdir()))


def test_an_address_that_drips_holds_up_nobody_and_ends_with_its_job(start_server, recordings, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        api = start_server("--allow-fetch", "--allow-host", host)
        dripping = submit(api, fetch_data={"url": f"http://{host}/endless"}).json()["id"]
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nRIFF")
            until(lambda: list((tmp_path / "data" / "uploads").iterdir()))
            assert api.done(recordings / "leisure.flac")["status"] == "done"
            assert api.delete(f"jobs/{dripping}").status_code == 423
            assert api.delete(f"jobs/{dripping}", params={"force": "true"}).status_code == 200
            connection.settimeout(60)
            assert connection.recv(1) == b""  # hung up
    until(lambda: [path for path in (tmp_path / "data").glob("*/*") if path.is_file()] == [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's peak of memory")
def test_a_large_recording_is_sent_without_being_held_in_memory(start_server, other):
    def peak():
        status = Path(f"/proc/{api.server.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    api = start_server("--allow-notify", "--allow-host", other.host)
    other.answers["/alone"] = [(200, {}, b"")]
    other.answers["/attached"] = [(500, {}, b""), (200, {}, b"")]  # and it is sent whole a second time
    wanted = {"alone": ["data"], "attached": ["data", "jobinfo"]}
    told = [{"url": f"{other.url}/{name}", "contents": contents} for name, contents in wanted.items()]
    assert api.done(b"no audio", config={"notification_config": told})["status"] == "rejected"
    other.wait_for(3)
    before = peak()
    large = bytes(100) * 600_000
    assert api.done(large, config={"notification_config": told})["status"] == "rejected"
    other.wait_for(5)
    bodies = {path.partition("?")[0]: body for _, path, _, body in other.requests[3:]}
    assert bodies["/alone"] == large
    assert large in bodies["/attached"]
    assert peak() - before < 20_000_000
