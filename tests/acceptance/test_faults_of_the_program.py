"""A broken installation, in the real command: the recording is held with the reason, and an update lets it go on."""

import shutil

import pytest

from tests.support.broken_packages import broken_package
from tests.support.daemon import DATA, Command
from tests.support.waiting import until


@pytest.fixture
def command(tmp_path):
    made = Command(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("package", "code", "says"),
    [
        ("av", "raise ImportError('libavcodec.so.61 is gone')", "ImportError: libavcodec.so.61 is gone"),
        pytest.param(
            *("faster_whisper", "None.load()", "AttributeError: 'NoneType' object has no attribute 'load'"),
            marks=pytest.mark.long,
        ),
        pytest.param("ctranslate2", "raise MemoryError", "Memory ran out", marks=pytest.mark.long),
    ],
)
def test_a_recording_waits_for_the_update_of_a_broken_program(command, tmp_path, monkeypatch, *, package, code, says):
    monkeypatch.setenv("PYTHONPATH", broken_package(tmp_path / "broken", package, code)["PYTHONPATH"])
    command.start()
    recording = command.folder / "talk.flac"
    shutil.copy(DATA / "leisure.flac", recording)
    until(lambda: command.count("HELD") == 1, what=command.log)
    told = command.json("explain", recording)
    assert says in told["reason"]
    assert "itself failed" in told["reason"] or "Memory" in told["reason"]
    assert "decide" not in told["next"], "it continues automatically"
    assert "retries automatically" in told["fix"]
    assert "damaged" not in told["reason"]
    server_log = command.state / "local-server" / "server.log"
    logs = command.log() + (server_log.read_text() if server_log.exists() else "")
    assert "Traceback" in logs
    command.close()
    shutil.rmtree(tmp_path / "broken")  # the update
    command.start()
    until((command.folder / "talk.txt").exists, what=command.log)


def test_transcribe_says_whose_fault_it_is(command, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", broken_package(tmp_path / "broken", "av", "{}['codec']")["PYTHONPATH"])
    shutil.copy(DATA / "leisure.flac", command.folder / "talk.flac")
    done = command.run("transcribe", command.folder / "talk.flac")
    assert done.returncode == 1
    assert "Dropscribe itself failed" in done.stderr
    assert "KeyError: 'codec'" in done.stderr
    assert "Update Dropscribe" in done.stderr
