"""How far a transcription is, wherever a person may look while the daemon works."""

import numpy as np
import pytest

from tests.support.daemon import Command
from tests.support.sounds import speech, write_wav
from tests.support.waiting import until

LONG = 10  # times 26 s of speech: more than is recognised in one batch


@pytest.fixture
def command(tmp_path):
    found = Command(tmp_path)
    yield found
    found.close()


def talk(path, times):
    """Write the same 26 s of speech again and again."""
    return write_wav(path, np.tile(speech("dashwood.flac"), times))


def test_status_and_explain_say_how_much_of_a_recording_is_transcribed(command):
    recording = talk(command.root / "talk.wav", LONG)
    command.start()
    recording = recording.rename(command.folder / recording.name)

    def half_done():
        (active,) = command.ask("/api/status")["active"] or [{}]
        return active.get("seconds_done") and active

    active = until(half_done)
    assert active["progress"] == pytest.approx(active["seconds_done"] / 265, abs=0.02)
    assert active["doing"].startswith("transcribing, ")
    assert active["doing"].endswith(" of 4:25")
    assert "It is being transcribed (" in command.json("explain", recording)["next"]
    until(lambda: command.count("DONE") == 1)


def test_once_writes_lines_about_progress_only_for_what_takes_long(command):
    talk(command.folder / "talk.wav", 1)
    done = command.run("run", command.folder, "--once")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert done.stderr.endswith("1 transcribed, 0 not.\n")
