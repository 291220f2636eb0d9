"""The main job with everything real: the command, the daemon, the local server, Whisper, files."""

import json
import os
import re
import shutil
import signal
import sqlite3

import psutil
import pytest

from tests.support.daemon import DATA, Command, other_bytes
from tests.support.waiting import until
from tests.support.words import assert_reads


@pytest.fixture
def command(tmp_path):
    found = Command(tmp_path)
    yield found
    found.close()


def words(text):
    return re.findall(r"[a-z]+", text.lower())


def test_a_dropped_recording_becomes_a_transcript_beside_it(command):
    daemon = command.start()
    recording = command.folder / "letter to john.flac"
    shutil.copy(DATA / "leisure.flac", recording)
    text, details = recording.with_suffix(".txt"), recording.with_suffix(".json")
    until(lambda: text.exists() and details.exists(), what="the transcript")

    assert_reads(text.read_text(), "leisure")
    results = json.loads(details.read_text())["results"]
    spoken = [item for item in results if item["type"] == "word"]
    assert words(" ".join(item["alternatives"][0]["content"] for item in spoken)) == words(text.read_text())
    assert all(0 <= item["start_time"] <= item["end_time"] <= 7.2 for item in spoken)
    assert recording.read_bytes() == (DATA / "leisure.flac").read_bytes()
    until(lambda: command.count("DONE") == 1)
    assert command.json("status")["counts"]["DONE"] == 1
    assert sorted(path.name for path in command.folder.iterdir()) == [
        "letter to john.flac",
        "letter to john.json",
        "letter to john.txt",
    ]
    told = command.json("explain", recording)
    assert [change["to"] for change in told["history"]] == [
        "WAITING",
        "SUBMITTING",
        "SUBMITTED",
        "TRANSCRIBED",
        "DONE",
    ]
    assert command.json("explain", text)["kind"] == "output"
    daemon.terminate()
    assert daemon.wait(60) == 0
    assert command.json("explain", text)["kind"] == "output", "the ledger alone tells, too"


@pytest.mark.long
def test_killed_while_transcribing_every_recording_ends_with_one_transcript(command):
    daemon = command.start()
    names = [f"{number}.flac" for number in range(3)]
    for number, name in enumerate(names):
        (command.folder / name).write_bytes(other_bytes(DATA / "dashwood.flac", number + 1))
    until(lambda: command.count("SUBMITTED"), what="a job")
    family = psutil.Process(daemon.pid).children(recursive=True)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive, "the local server outlived the daemon"

    command.start()
    until(lambda: all((command.folder / name).with_suffix(".json").exists() for name in names))
    until(lambda: command.count("DONE") == len(names))
    assert len(list(command.folder.iterdir())) == 3 * len(names)
    log = (command.state / "local-server" / "server.log").read_text()
    accepted = [line for line in log.splitlines() if json.loads(line)["event"] == "job accepted"]
    assert len(accepted) == len(names), "a recording was submitted twice"
    with sqlite3.connect(command.state / "ledger.sqlite3") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert ledger.execute("SELECT count(*) FROM attempts WHERE state = 'ACCEPTED'").fetchone() == (len(names),)
    ledger.close()


@pytest.mark.long
def test_the_local_server_is_started_again_when_it_dies(command):
    daemon = command.start()
    (command.folder / "first.flac").write_bytes(other_bytes(DATA / "dashwood.flac", 7))
    until(lambda: command.count("SUBMITTED"), what="a job")
    children = psutil.Process(daemon.pid).children()
    server = next(child for child in children if "service.batch_server" in child.cmdline())
    server.kill()
    until((command.folder / "first.txt").exists, what="the transcript")
    assert_reads((command.folder / "first.txt").read_text(), "dashwood")


def test_run_once_does_what_is_there_and_says_what_it_could_not(command):
    shutil.copy(DATA / "leisure.flac", command.folder / "good.flac")
    shutil.copy(DATA / "leisure.flac", command.folder / "the same.flac")
    (command.folder / "empty.mp3").touch()
    (command.folder / "text.wav").write_text("This is no sound.")
    (command.folder / "cut.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\1\0mdat" + bytes(100))
    (command.folder / "folder.wav").mkdir()
    os.mkfifo(command.folder / "pipe.wav")
    done = command.run("run", "--once", command.folder)
    assert done.returncode == 1
    assert "2 transcribed, 2 failed; 1 skipped: dropscribe jobs --state skipped." in done.stderr
    for name in ("empty.mp3", "cut.mp4"):
        assert str(command.folder / name) in done.stderr
    assert (command.folder / "good.txt").read_text() == (command.folder / "the same.txt").read_text()
    states = {entry["name"]: entry["state"] for entry in command.json("jobs")}
    assert states == {
        "good.flac": "DONE",
        "the same.flac": "DONE",
        "empty.mp3": "FAILED",
        "cut.mp4": "FAILED",
        "text.wav": "SKIPPED",
    }
    with sqlite3.connect(command.state / "ledger.sqlite3") as ledger:
        assert ledger.execute("SELECT count(*) FROM attempts").fetchone() == (1,), "a copy was submitted again"
    ledger.close()
    missing = command.root / "share"
    command.config.write_text(f'[[folders]]\npath = "{command.folder}"\n[[folders]]\npath = "{missing}"\n')
    again = command.run("--config", command.config, "run", "--once")
    assert (again.returncode, "0 transcribed, 0 failed." in again.stderr) == (1, True)
    assert f"skipped: {missing} doesn't exist." in again.stderr


def test_run_once_names_the_recordings_that_wait(command):
    (command.folder / "de").mkdir()
    (command.folder / "de" / ".dropscribe.toml").write_text("language = 5\n")
    shutil.copy(DATA / "leisure.flac", command.folder / "de" / "waits.flac")
    done = command.run("run", "--once", command.folder)
    assert done.returncode == 1
    line = next(line for line in done.stderr.splitlines() if line.startswith("waiting: "))
    assert str(command.folder / "de" / "waits.flac") in line
    assert "'language': expected text, got a whole number." in line
    assert "0 transcribed, 1 failed." in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_files_and_folders_without_permission_are_named(command):
    hidden = command.folder / "hidden.flac"
    shutil.copy(DATA / "leisure.flac", hidden)
    hidden.chmod(0)
    done = command.run("run", "--once", command.folder)
    assert done.returncode == 1
    assert str(hidden) in done.stderr


def test_a_second_daemon_on_the_same_state_is_refused(command):
    command.start()
    second = command.run("run", command.folder)
    assert second.returncode == 78
    assert "Another Dropscribe is running" in second.stderr
    assert str(command.state) in second.stderr


def test_one_file_without_a_folder(command):
    talk = command.root / "talk.flac"
    shutil.copy(DATA / "leisure.flac", talk)
    talk.with_suffix(".txt").write_text("mine")
    done = command.run("transcribe", talk, command.root / "none.wav", "-f", "txt,srt")
    assert done.returncode == 2, "a file that isn't there is wrong usage"
    done = command.run("transcribe", talk, "-f", "txt,srt")
    assert done.returncode == 0, done.stderr
    assert talk.with_suffix(".txt").read_text() == "mine"
    assert_reads((command.root / "talk.flac.txt").read_text(), "leisure")
    assert "-->" in (command.root / "talk.flac.srt").read_text()
