"""The programs of docs/examples run as they stand against the embedded server, and are typed."""

import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.batch_clients import tone
from tests.support.embedded_server import EmbeddedServer, embedded_server
from tests.support.fault_server import fault_server_thread

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with embedded_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    """A folder with the recordings that the programs name."""
    for name in ("meeting.wav", "recording.wav"):
        (tmp_path / name).write_bytes(tone())
    samples = (8000 * np.sin(np.arange(16_000) / 10)).astype("<i2").reshape(1, -1)
    with av.open(str(tmp_path / "meeting.mp3"), "w") as out:
        stream = out.add_stream("mp3", rate=16_000)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 16_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            out.mux(packet)
    return tmp_path


def run(program, folder, server):
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / program)],
        cwd=folder,
        env={**os.environ, "SPEECHMATICS_API_KEY": server.key, "SPEECHMATICS_BATCH_URL": server.url},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


PROGRAMS = {
    "transcribe.py": [""],
    "submit_and_wait.py": ["Job submitted: ", "Transcript:", "Confidence: "],
    "batch_client.py": ["Job "],
}
CANNOT = "can't tell speakers apart"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_documented_programs_run_against_the_embedded_server(program, folder, server):
    ran = run(program, folder, server)
    if CANNOT in ran.stderr:
        # A server that has no speaker diarization says so, and the program ends with its sentence.
        assert program == "submit_and_wait.py"
        assert "BadRequest: POST /jobs was answered with 400" in ran.stderr
        return
    check(ran, program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_documented_programs_run_against_a_server_that_takes_any_config(program, folder):
    with fault_server_thread(key="scripted-key") as scripted:
        ran = run(program, folder, EmbeddedServer(scripted.url, "scripted-key", 0))
    check(ran, program)
    assert "Recording " in ran.stdout


def check(ran, program):
    assert (ran.stderr, ran.returncode) == ("", 0)
    printed = ran.stdout.splitlines()
    for line in PROGRAMS[program]:  # even silence prints its line
        assert any(each.startswith(line) for each in printed), ran.stdout


def test_a_wrong_key_ends_in_one_clear_error(folder, server):
    wrong = type(server)(server.url, "wrong-key", server.pid)
    ran = run("transcribe.py", folder, wrong)
    assert ran.returncode == 1
    assert "AuthenticationError: POST /jobs was answered with 401" in ran.stderr
    assert "wrong-key" not in ran.stderr


def test_the_documented_programs_are_typed(tmp_path):
    mypy = pytest.importorskip("mypy.api")
    programs = sorted(str(path) for path in EXAMPLES.glob("*.py"))
    assert len(programs) >= 3
    out, errors, status = mypy.run(["--strict", "--cache-dir", str(tmp_path), *programs])
    assert status == 0, out + errors
