"""How far a transcription is, wherever a person may look while the daemon works."""

import shutil

import pytest

from tests.support.daemon import DATA, Command
from tests.support.sounds import windows, write_wav
from tests.support.waiting import until

pytestmark = pytest.mark.long


@pytest.fixture
def command(tmp_path):
    found = Command(tmp_path)
    yield found
    found.close()


@pytest.mark.long
def test_status_and_explain_say_how_much_of_a_recording_is_transcribed(command):
    recording = write_wav(command.root / "talk.wav", windows(24))  # three batches: progress is asked for each second
    command.start()
    recording = recording.rename(command.folder / recording.name)

    def half_done():
        (active,) = command.ask("/api/status")["active"] or [{}]
        return active.get("seconds_done") and active

    active = until(half_done)
    assert active["progress"] == pytest.approx(active["seconds_done"] / 132, abs=0.02)
    assert active["doing"].startswith("transcribing, ")
    assert active["doing"].endswith(" of 2:12")
    assert "It is being transcribed (" in command.json("explain", recording)["next"]
    until(lambda: command.count("DONE") == 1)


def test_once_writes_lines_about_progress_only_for_what_takes_long(command):
    shutil.copy(DATA / "dashwood.flac", command.folder)
    done = command.run("run", command.folder, "--once")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert done.stderr.endswith("1 transcribed, 0 failed.\n")
