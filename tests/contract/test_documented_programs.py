"""The programs of docs/examples run as they stand against the embedded server, and are typed."""

import os
import subprocess
import sys
from pathlib import Path

import av
import pytest

from tests.support.embedded_server import EmbeddedServer, embedded_server
from tests.support.fault_server import fault_server_thread

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SPEECH = Path(__file__).parents[1] / "data" / "leisure.flac"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with embedded_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A folder with the recordings that the programs name: a sentence read aloud."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, codec in [("meeting.wav", "pcm_s16le"), ("recording.wav", "pcm_s16le"), ("meeting.mp3", "mp3")]:
        with av.open(str(SPEECH)) as source, av.open(str(folder / name), "w") as out:
            stream = out.add_stream(codec, rate=source.streams.audio[0].rate, layout="mono")
            for frame in source.decode(audio=0):
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return folder


def run(program, spoken, server):
    return subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / program)],
        cwd=spoken,
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
def test_the_documented_programs_run_against_the_embedded_server(program, spoken, server):
    ran = run(program, spoken, server)
    if CANNOT in ran.stderr:
        # A server that has no speaker diarization says so, and the program ends with its sentence.
        assert program == "submit_and_wait.py"
        assert "BadRequest: POST /jobs was answered with 400" in ran.stderr
        return
    check(ran, program)
    assert "leisure to consider" in ran.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_documented_programs_run_against_a_server_that_takes_any_config(program, spoken):
    with fault_server_thread(key="scripted-key") as scripted:
        ran = run(program, spoken, EmbeddedServer(scripted.url, "scripted-key", 0))
    check(ran, program)
    assert "Recording " in ran.stdout


def check(ran, program):
    assert (ran.stderr, ran.returncode) == ("", 0)
    printed = ran.stdout.splitlines()
    for line in PROGRAMS[program]:  # even silence prints its line
        assert any(each.startswith(line) for each in printed), ran.stdout


def test_a_wrong_key_ends_in_one_clear_error(spoken, server):
    wrong = type(server)(server.url, "wrong-key", server.pid)
    ran = run("transcribe.py", spoken, wrong)
    assert ran.returncode == 1
    assert "AuthenticationError: POST /jobs was answered with 401" in ran.stderr
    assert "wrong-key" not in ran.stderr


def test_the_documented_programs_are_typed(tmp_path):
    mypy = pytest.importorskip("mypy.api")
    programs = sorted(str(path) for path in EXAMPLES.glob("*.py"))
    assert len(programs) >= 3
    out, errors, status = mypy.run(["--strict", "--cache-dir", str(tmp_path), *programs])
    assert status == 0, out + errors
