"""`dropscribe transcribe` as a person sees it: what the terminal shows, and what is left when it is stopped."""

import re
import signal
import struct
import subprocess
import sys

import numpy as np
import pytest

from tests.support.daemon import environment
from tests.support.sounds import RATE, speech, windows, write_wav
from tests.support.waiting import until

if sys.platform == "win32":
    pytest.skip("needs POSIX terminals", allow_module_level=True)

from tests.support.terminal import INTERRUPT, on_terminal

pytestmark = pytest.mark.long

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"


@pytest.fixture
def surroundings(tmp_path):
    """A home and a temp folder of one's own, on a terminal with colors."""
    temp = tmp_path / "temp"
    temp.mkdir()
    return {**environment(tmp_path / "home"), "TMPDIR": str(temp), "TERM": "xterm-256color"}


@pytest.fixture
def left_behind(tmp_path):
    """Say what is in the temp folder."""
    return lambda: [path.name for path in (tmp_path / "temp").rglob("*") if path.is_file()]


@pytest.fixture
def prepared(tmp_path):
    """Say which copies of recordings are in the state directory while they are uploaded."""
    state = tmp_path / "home" / ".local" / "state" / "dropscribe"
    return lambda: [path.name for path in (state / "prepared").rglob("*") if path.is_file()]


def talk(path, times):
    """Write the same 26 s of speech again and again."""
    return write_wav(path, np.tile(speech("dashwood.flac"), times))


def hours_of_silence(path, hours):
    """Write a wav that takes little space on the disk; by its name it has to be prepared first."""
    size = 2 * RATE * 3600 * hours
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    with path.open("wb") as file:
        file.write(struct.pack("<4sI8s", b"RIFF", 36 + size, b"WAVEfmt ") + form + struct.pack("<4sI", b"data", size))
        file.truncate(44 + size)
    return path


def command(*arguments):
    return [sys.executable, "-m", "service.cli.app", "transcribe", *map(str, arguments)]


@pytest.mark.parametrize(
    ("more", "bar"),
    [
        pytest.param({}, "━", id="colors"),
        pytest.param({"NO_COLOR": "1"}, r"\[━+┄+\]", id="no colors", marks=pytest.mark.long),
    ],
)
def test_a_long_transcription_shows_how_much_is_done_and_the_time_it_takes(tmp_path, surroundings, more, bar):
    recording = write_wav(tmp_path / "talk.wav", windows(24))  # three batches: progress is asked for once a second
    with on_terminal(command(recording), {**surroundings, **more}) as terminal:
        assert terminal.ended() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.drawn)
    assert re.search(rf"talk\.wav: transcribing, (0:[1-5]|1:\d)\d of 2:12 {bar}.* [1-9]\d% 0:\d\d:\d\d", plain), plain
    assert terminal.drawn.count(HIDE_CURSOR) == terminal.drawn.count(SHOW_CURSOR) > 0
    assert str(recording.with_suffix(".txt")) in plain


def test_a_terminal_that_can_not_move_its_cursor_gets_no_control_sequences(tmp_path, surroundings):
    recording = talk(tmp_path / "talk.wav", 1)
    with on_terminal(command(recording), {**surroundings, "TERM": "dumb"}) as terminal:
        assert terminal.ended() == 0
    assert "\x1b" not in terminal.drawn
    assert str(recording.with_suffix(".txt")) in terminal.drawn


def test_paths_go_where_standard_output_points_while_the_terminal_shows_progress(tmp_path, surroundings):
    recording = talk(tmp_path / ("long name " * 12 + ".wav"), 1)
    with (
        (tmp_path / "paths").open("wb") as out,
        on_terminal(command(recording), surroundings, stdout=out.fileno()) as it,
    ):
        assert it.ended() == 0
    assert (tmp_path / "paths").read_text() == f"{recording.with_suffix('.txt')}\n"


def press_once(terminal):
    terminal.press(INTERRUPT)


def press_twice(terminal):
    terminal.press(INTERRUPT)
    terminal.press(INTERRUPT)


def terminate(terminal):
    terminal.process.send_signal(signal.SIGTERM)


def hang_up(terminal):
    terminal.process.send_signal(signal.SIGHUP)


STOPS = [(press_once, 130), (press_twice, 130), (terminate, 143), (hang_up, 129)]


def stops(quick):
    """All ways to stop it; all but the quick one are long."""
    return [
        pytest.param(stop, status, id=stop.__name__, marks=() if stop is quick else pytest.mark.long)
        for stop, status in STOPS
    ]


@pytest.mark.parametrize(("stop", "status"), stops(quick=press_once))
def test_stopped_while_transcribing_nothing_is_left(tmp_path, surroundings, left_behind, stop, status):
    talks = [talk(tmp_path / name, 40) for name in ("first.wav", "second.wav")]
    with on_terminal(command(*talks, "-o", tmp_path / "out"), surroundings) as terminal:
        terminal.shows("first.wav: transcribing")
        family = terminal.family()
        stop(terminal)
        assert terminal.ended(family) == status
    assert left_behind() == []
    assert terminal.drawn.rfind(SHOW_CURSOR) > terminal.drawn.rfind(HIDE_CURSOR)
    assert "Traceback" not in terminal.drawn
    assert not list((tmp_path / "out").rglob("*.txt"))
    if stop is not hang_up:  # the terminal is still there to say it
        assert "first.wav: not finished. It continues with the next" in re.sub(r"\s+", " ", terminal.drawn)


@pytest.mark.parametrize(("stop", "status"), stops(quick=terminate))
def test_stopped_while_preparing_nothing_is_left(tmp_path, surroundings, prepared, stop, status):
    recording = hours_of_silence(tmp_path / "long.3gp", 4)
    with on_terminal(command(recording), surroundings) as terminal:
        until(lambda: any(".flac" in name for name in prepared()) or "uploading" in terminal.drawn, "the sound")
        family = terminal.family()
        stop(terminal)
        assert terminal.ended(family) == status
    assert prepared() == []
    assert "crash" not in terminal.drawn, "the recording is not to blame"
    assert "Traceback" not in terminal.drawn


def test_a_window_that_is_closed_leaves_nothing(tmp_path, surroundings, left_behind):
    recording = talk(tmp_path / "talk.wav", 40)
    with on_terminal(command(recording), surroundings) as terminal:
        terminal.shows("transcribing")
        family = terminal.family()
        terminal.hang_up()
        assert terminal.ended(family) == 129
    assert left_behind() == []


def test_a_reader_that_has_had_enough_leaves_nothing(tmp_path, surroundings, left_behind):
    talks = [talk(tmp_path / name, times) for name, times in (("first.wav", 1), ("second.wav", 40))]
    with subprocess.Popen(
        command(*talks), env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait() == 141
    assert left_behind() == []
    assert "Error" not in told
    assert "Exception" not in told


def test_what_was_ignored_at_the_start_stays_ignored(tmp_path, surroundings, left_behind):
    recording = talk(tmp_path / "talk.wav", 2)
    with on_terminal(["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command(recording)], surroundings) as terminal:
        terminal.shows("transcribing")
        hang_up(terminal)
        assert terminal.ended() == 0
    assert recording.with_suffix(".txt").exists()
    assert left_behind() == []


@pytest.mark.long
def test_what_a_killed_one_left_is_finished_by_the_next(tmp_path, surroundings, left_behind, prepared):
    recording = talk(tmp_path / "talk.wav", 10)
    with on_terminal(command(recording), surroundings) as terminal:
        terminal.shows("transcribing")
        family = terminal.family()
        terminal.process.kill()
        assert terminal.ended(family) == -signal.SIGKILL
    assert subprocess.run(command(recording), env=surroundings, check=False).returncode == 0
    assert recording.with_suffix(".txt").exists()
    assert left_behind() == prepared() == []
