"""What is shown while recordings are transcribed, with and without a terminal that can move its cursor."""

import io
import re

import pytest
from rich.console import Console

from service.cli.progress import Bars, Lines


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_lines_are_written_now_and_then_and_only_for_what_takes_long():
    lines, clock = [], Clock()
    display = Lines(lines.append, clock)
    display.show("short", "short.wav", "uploading", 0.5)
    display.show("long", "long.wav", "transcribing, 0:00 of 10:00", 0.0)
    clock.now += 9
    display.remove("short")
    assert lines == []
    for second in range(100):
        clock.now += 1
        display.show("long", "long.wav", f"transcribing, 0:{second % 60:02} of 10:00", second / 100)
    assert lines == [
        "long.wav: transcribing, 0:00 of 10:00 (0%), 0:10 elapsed",
        "long.wav: transcribing, 0:30 of 10:00 (30%), 0:40 elapsed",
        "long.wav: transcribing, 0:00 of 10:00 (60%), 1:10 elapsed",
        "long.wav: transcribing, 0:30 of 10:00 (90%), 1:40 elapsed",
    ]


def test_a_line_without_a_known_share_names_none_and_no_name_is_obeyed():
    lines, clock = [], Clock()
    display = Lines(lines.append, clock)
    display.show("a", "a\x1b[2J\n.wav", "transcribing", None)
    clock.now += 10
    display.show("a", "a\x1b[2J\n.wav", "transcribing", None)
    assert lines == ["a\\x1b[2J\\n.wav: transcribing, 0:10 elapsed"]


def drawn(share, *, width=100, **console):
    """What a terminal shows of one recording."""
    out = io.StringIO()
    bars = Bars(Console(file=out, width=width, force_terminal=True, **console))
    bars.start()
    bars.show("a", "a very long name of a recording from last week.wav", "uploading", 1.0)
    bars.show("a", "-", "transcribing, 2:53 of 10:00", share)
    bars._progress.refresh()
    bars.stop()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue()).replace("\r", "\n")


@pytest.mark.parametrize("console", [{"color_system": "truecolor"}, {"no_color": True}, {"color_system": None}])
def test_the_bar_of_a_transcription_follows_the_upload_s_which_was_full(console):
    text = drawn(0.29, **console)
    assert "a very long n… last week.wav: transcribing, 2:53 of 10:00" in text
    assert "29% 0:00:00" in text


def test_a_bar_without_colors_shows_what_is_left():
    assert "[━━━━━━━┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄]" in drawn(0.29, no_color=True)
    assert re.search(r"\[┄*━┄*\] +0:00:00", drawn(None, no_color=True)), "what is unknown is a mark that moves"


def test_everything_fits_on_a_line_of_eighty_columns():
    lines = drawn(0.29, width=80, color_system="truecolor").split("\n")
    (line,) = {each for each in lines if "transcribing" in each}
    assert line.rstrip().endswith("29% 0:00:00")
