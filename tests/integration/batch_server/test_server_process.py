"""The server as a process: crashes, restarts, parents, and what it costs while idle."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.support import spec
from tests.support.waiting import PATIENCE, until
from tests.support.words import assert_reads

GOOD = json.dumps({"type": "transcription", "transcription_config": {"language": "en"}})


def workers(pid):
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children()
    return []


@pytest.mark.long
def test_accepted_jobs_are_done_after_sigkill_and_restart(start_server, recordings, tmp_path):
    first = start_server()
    accepted = [first.submit(recordings / "dashwood.flac").json()["id"] for _ in range(2)]
    worker = until(lambda: workers(first.server.pid))[0]
    os.kill(first.server.pid, signal.SIGKILL)
    worker.wait(10)  # it dies with its server
    second = start_server(key="another-key")
    for job_id in accepted:
        job = second.ended(job_id)
        assert job["status"] == "done"
        assert_reads(second.transcript(job, "txt"), "dashwood")
    assert list((tmp_path / "data" / "audio").iterdir()) == []


def raw_upload(api, body, *, promised):
    """Send the beginning of an upload and leave the connection open."""
    address = urlsplit(api.server.url)
    connection = socket.create_connection((address.hostname, address.port))
    head = (
        f"POST /v2/jobs HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {api.server.key}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {promised}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    return connection


def form(audio):
    config = f'--b\r\nContent-Disposition: form-data; name="config"\r\n\r\n{GOOD}\r\n'
    head = '--b\r\nContent-Disposition: form-data; name="data_file"; filename="a.wav"\r\n\r\n'
    return config.encode() + head.encode() + audio + b"\r\n--b--\r\n"


@pytest.mark.parametrize("missing", [1, 5, 1024, 200_000])
def test_an_upload_that_breaks_off_makes_no_job(start_server, tmp_path, missing):
    api = start_server()
    body = form(bytes(300_000))
    # Without the last line break the closing boundary is still whole: only what comes before it may be missing.
    with raw_upload(api, body[: -missing - 2], promised=len(body)):
        uploads = tmp_path / "data" / "uploads"
        until(lambda: list(uploads.iterdir()))
    until(lambda: not list(uploads.iterdir()))
    assert api.get("jobs").json() == {"jobs": []}


def test_an_upload_that_ends_without_its_closing_boundary_is_refused(start_server):
    api = start_server()
    body = form(b"x" * 1000)[:-10]
    with raw_upload(api, body, promised=len(body)) as connection:
        answer = connection.recv(65536)
    assert b" 400 " in answer.splitlines()[0]
    assert api.get("jobs").json() == {"jobs": []}


def test_an_upload_half_received_is_gone_after_sigkill(start_server, tmp_path):
    first = start_server()
    body = form(bytes(3_000_000))
    with raw_upload(first, body[:-100], promised=len(body)):
        uploads = tmp_path / "data" / "uploads"
        until(lambda: [path for path in uploads.iterdir() if path.stat().st_size > 1_000_000])
        os.kill(first.server.pid, signal.SIGKILL)
    second = start_server()
    assert list(uploads.iterdir()) == []
    assert second.get("jobs").json() == {"jobs": []}


def test_a_worker_that_dies_is_replaced_and_its_job_done_again(start_server, recordings):
    api = start_server()
    job_id = api.submit(recordings / "dashwood.flac").json()["id"]
    until(lambda: workers(api.server.pid))[0].kill()
    job = api.ended(job_id)
    assert job["status"] == "done"
    assert_reads(api.transcript(job, "txt"), "dashwood")


def test_a_job_that_kills_its_worker_twice_is_rejected_and_the_next_is_done(start_server, recordings):
    api = start_server()
    job_id = api.submit(recordings / "dashwood.flac").json()["id"]
    killed = set()

    def kill_new_worker():
        for worker in workers(api.server.pid):
            # One that is still starting has not been given the job yet; its death would not count.
            if worker.pid not in killed and len(worker.open_files()) >= 0 and worker.num_threads() > 1:
                killed.add(worker.pid)
                worker.kill()
        return api.get(f"jobs/{job_id}", params={"wait": 0}).json()["job"]["status"] != "running"

    until(kill_new_worker)
    job = api.get(f"jobs/{job_id}").json()["job"]
    spec.assert_valid(job, "JobDetails")
    assert job["status"] == "rejected"
    assert "died 2 times" in job["errors"][0]["message"]
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_an_idle_worker_is_let_go_and_comes_back(start_server, recordings):
    api = start_server("--idle-release", "0.05")
    assert api.done(recordings / "leisure.flac")["status"] == "done"
    until(lambda: not workers(api.server.pid))
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_a_model_that_is_not_there_is_told_with_a_way_out(start_server, recordings, tmp_path):
    (tmp_path / "no-model").mkdir()
    api = start_server("--model", str(tmp_path / "no-model"))
    job = api.done(recordings / "leisure.flac")
    assert job["status"] == "rejected"
    assert job["errors"][0]["type"] == "model"
    assert "tiny.en" in job["errors"][0]["message"]


def test_finished_jobs_expire(start_server, recordings):
    api = start_server("--retention", "0.2")
    job_id = api.submit(recordings / "leisure.flac").json()["id"]

    def expired():
        return api.get(f"jobs/{job_id}").status_code == 410

    until(expired)
    for method, path, error in [
        ("GET", "", "Job Expired"),
        ("DELETE", "", "Job Expired"),
        ("GET", "/transcript", "File Expired"),
        ("GET", "/log", "File Expired"),
    ]:
        response = api.request(method, f"jobs/{job_id}{path}")
        assert (response.status_code, response.json()["error"]) == (410, error)
        spec.assert_valid(response.json(), "ErrorResponse")
    assert api.get("jobs").json() == {"jobs": []}


def start_child(tmp_path, *options, **popen):
    return subprocess.Popen(
        [sys.executable, "-m", "service.batch_server", "--data-dir", str(tmp_path / "data"), *options],
        env={**os.environ, "DROPSCRIBE_SERVER_KEY": "k"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **popen,
    )


def test_it_stops_when_its_standard_input_closes(tmp_path):
    with start_child(tmp_path, "--exit-with-parent") as child:
        announced = json.loads(child.stdout.readline())
        assert announced["pid"] == child.pid
        assert announced["url"].startswith("http://127.0.0.1:")
        child.stdin.close()
        assert child.wait(10) == 0
        assert child.stdout.read() == b""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_it_stops_when_its_parent_is_killed_though_somebody_holds_its_input_open(tmp_path):
    reader, writer = os.pipe()
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-m', 'service.batch_server', '--data-dir', sys.argv[1],"
        " '--exit-with-parent'], stdin=int(sys.argv[2]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)\n"
        "print(child.stdout.readline().decode(), end='', flush=True)\n"
        "child.wait()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data"), str(reader)]
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[reader]) as parent:
            server = psutil.Process(json.loads(parent.stdout.readline())["pid"])
            parent.kill()
        until(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_good_order_while_it_works(tmp_path, recordings, number):
    from tests.integration.batch_server.conftest import Api
    from tests.support.embedded_server import EmbeddedServer

    with start_child(tmp_path) as child:
        url = json.loads(child.stdout.readline())["url"]
        with Api(EmbeddedServer(url, "k", child.pid)) as api:
            api.submit(recordings / "dashwood.flac")
            worker = until(lambda: workers(child.pid))[0]
            child.send_signal(number)
            assert child.wait(5) == 0
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_it_refuses_to_be_open_to_others_without_a_key(tmp_path):
    command = [sys.executable, "-m", "service.batch_server", "--data-dir", str(tmp_path), "--host", "0.0.0.0"]  # noqa: S104 - that it is refused is the point
    environment = {name: value for name, value in os.environ.items() if name != "DROPSCRIBE_SERVER_KEY"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert found.returncode == 2
    assert "DROPSCRIBE_SERVER_KEY" in found.stderr
    assert found.stdout == ""


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "service.batch_server", "--data-dir", str(tmp_path), "--port", port]
        found = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert found.returncode == 1
    assert port in found.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_it_is_light_while_idle_and_loads_nothing_heavy(start_server):
    api = start_server()
    assert api.get("jobs").status_code == 200
    maps = Path(f"/proc/{api.server.pid}/maps").read_text(encoding="utf-8")
    assert not [name for name in ("ctranslate2", "numpy", "onnxruntime", "libav") if f"{name}" in maps]
    assert psutil.Process(api.server.pid).memory_info().rss < 50_000_000


def test_importing_the_package_loads_no_web_server():
    program = (
        "import sys, service.batch_server\n"
        "print([name for name in ('starlette', 'uvicorn', 'numpy', 'faster_whisper', 'av') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert found.stdout.strip() == "[]"


def run_once(data_dir):
    command = [sys.executable, "-m", "service.batch_server", "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_two_servers_do_not_share_a_folder(start_server, recordings, tmp_path):
    api = start_server()
    second = run_once(tmp_path / "data")
    assert second.returncode == 1
    assert "Another server" in second.stderr
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_a_damaged_database_is_told_and_left_alone(tmp_path):
    (tmp_path / "jobs.sqlite3").write_bytes(b"not a database, but a text that is long enough to look like one" * 100)
    before = (tmp_path / "jobs.sqlite3").read_bytes()
    found = run_once(tmp_path)
    assert found.returncode == 1
    assert "jobs.sqlite3" in found.stderr
    assert (tmp_path / "jobs.sqlite3").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
def test_a_disk_that_takes_no_more_is_told_and_nothing_is_left_behind(start_server, recordings, tmp_path):
    api = start_server()
    server = psutil.Process(api.server.pid)
    server.rlimit(psutil.RLIMIT_FSIZE, (2_000_000, psutil.RLIM_INFINITY))
    response = api.submit(bytes(5_000_000))
    assert (response.status_code, response.json()["error"]) == (500, "Internal Server Error")
    assert "could not store the upload" in response.json()["detail"]
    spec.assert_valid(response.json(), "ErrorResponse")
    server.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    assert [path for path in (tmp_path / "data").glob("*/*") if path.is_file()] == []
    assert api.done(recordings / "leisure.flac")["status"] == "done"
    assert len(api.get("jobs").json()["jobs"]) == 1


@pytest.mark.long
def test_killed_again_and_again_it_does_every_accepted_job_once(start_server, recordings, tmp_path):
    chance = random.Random(7)
    accepted = []
    for _ in range(4):
        api = start_server()
        jobs = [api.submit(recordings / "leisure.flac") for _ in range(chance.randint(0, 2))]
        accepted.extend(job.json()["id"] for job in jobs)
        body = form(bytes(chance.randint(1, 2_000_000)))
        with raw_upload(api, body[: chance.randint(1, len(body) - 3)], promised=len(body)):
            if accepted and chance.random() < 0.5:
                api.get(f"jobs/{accepted[0]}", params={"wait": chance.randint(0, 2)})
            os.kill(api.server.pid, signal.SIGKILL)
    api = start_server()
    listed = api.get("jobs").json()["jobs"]
    assert sorted(job["id"] for job in listed) == sorted(accepted)
    for job_id in accepted:
        job = api.ended(job_id)
        assert job["status"] == "done"
        assert_reads(api.transcript(job, "txt"), "leisure")
    assert [path for path in (tmp_path / "data").glob("*/*") if path.is_file()] == []
    assert api.get("usage").json()["summary"][0]["count"] == len(accepted)
