"""Files with the names of modules in the current folder and in the home never run as code, and the work is done."""

import asyncio
import contextlib
import json
import os
import plistlib
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.os_service.launchd import render_daemon
from service.os_service.spec import ServiceSpec, find_program
from tests.support.daemon import DATA, environment
from tests.support.waiting import PATIENCE, until
from watcher.media import Prober

MODULES = ("av", "faster_whisper", "json", "numpy", "random", "service", "struct", "watcher", "worker")
SPEECH = DATA / "leisure.flac"


class Trap:
    """A folder, current and home at once, in which modules lie that leave a mark when they are imported."""

    def __init__(self, root):
        self.folder = root / "home"
        self.marks = root / "marks"
        self.marks.mkdir()
        code = f"import os\nos.close(os.open(os.path.join({str(self.marks)!r}, __name__), os.O_CREAT))\n"
        for name in MODULES:
            (self.folder / name).mkdir(parents=True)
            (self.folder / name / "__init__.py").write_text(code)
            (self.folder / f"{name}.py").write_text(code)
        self.inbox = self.folder / "Recordings"
        self.inbox.mkdir()
        self.environment = environment(self.folder)

    def start(self, *command, **more):
        return subprocess.Popen(list(map(str, command)), cwd=self.folder, env=self.environment, **more)

    def run(self, *arguments):
        """Run `dropscribe` as it is installed, to its end."""
        command = [*find_program(), "--state-dir", "state", *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def assert_untouched(self):
        assert sorted(mark.name for mark in self.marks.iterdir()) == []


@pytest.fixture
def trap(tmp_path):
    made = Trap(tmp_path)
    yield made
    made.assert_untouched()


@contextlib.contextmanager
def ending(process):
    """Stop a process at the end, in order."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_the_trap_works(tmp_path):
    trap = Trap(tmp_path)
    subprocess.run([sys.executable, "-m", "random"], cwd=trap.folder, env=trap.environment, check=False)
    assert [mark.name for mark in trap.marks.iterdir()], "a test that can't fail proves nothing"


def test_the_daemon_its_server_and_its_workers(trap):
    with (trap.folder / "log").open("wb") as log:
        daemon = trap.start(*find_program(), "--state-dir", "state", "run", "Recordings", stdout=log, stderr=log)
    with ending(daemon):
        until((trap.folder / "state" / "control.json").exists)
        shutil.copy(SPEECH, trap.inbox / "a.flac")
        until((trap.inbox / "a.txt").exists, what=(trap.folder / "log").read_text)


def test_transcribe(trap):
    shutil.copy(SPEECH, trap.folder / "a.flac")
    done = trap.run("transcribe", "a.flac")
    assert done.returncode == 0, done.stderr
    assert (trap.folder / "a.txt").read_text().strip()


def test_the_server_alone(trap):
    program = find_program()
    serve = ["serve", "--port", "0", "--key", "k", "--data-dir", "jobs", "--threads", "1"]
    with ending(trap.start(*program, "--state-dir", "state", *serve, stdout=subprocess.PIPE, text=True)) as server:
        line = next(line for line in server.stdout if "http://" in line)
        url = line.split()[-1]
        config = json.dumps({"type": "transcription", "transcription_config": {"language": "en"}})
        with httpx.Client(headers={"Authorization": "Bearer k"}, timeout=PATIENCE, trust_env=False) as client:
            files = {"config": (None, config), "data_file": ("a.flac", SPEECH.read_bytes())}
            made = client.post(f"{url}/jobs", files=files).raise_for_status().json()
            job = client.get(f"{url}/jobs/{made['id']}", params={"wait": 60}).raise_for_status().json()["job"]
        server.stdout.close()
    assert job["status"] == "done", job


def test_the_child_that_opens_media(trap, monkeypatch):
    monkeypatch.chdir(trap.folder)
    monkeypatch.setenv("HOME", str(trap.folder))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", *filter(None, [os.environ.get("PYTHONPATH")])]))

    async def probe(path):
        async with Prober() as prober:
            return await prober.probe(path)

    shutil.copy(SPEECH, "a.flac")
    assert asyncio.run(probe(Path("a.flac"))).codec == "flac"


def test_the_tray(trap):
    done = trap.run("tray", "--wait", "0")
    assert done.returncode == 1
    assert "dropscribe: " in done.stderr


def test_the_supervisor_as_it_is_written_into_a_unit(trap, tmp_path):
    spec = ServiceSpec(
        program=find_program(), python=sys.executable, config_file=tmp_path / "c.toml", state_dir=tmp_path / "state"
    )
    written = plistlib.loads(render_daemon(spec).encode())["ProgramArguments"]
    supervisor = written[: written.index("--") + 1]
    process = trap.start(*supervisor, *spec.program, "--state-dir", "state", "run", "--once", "Recordings")
    shutil.copy(SPEECH, trap.inbox / "a.flac")
    assert process.wait(PATIENCE) == 0
    assert "transcribed" in spec.log.read_text()
