"""How speech is cut into the windows that the model hears: pure arithmetic on sample positions.

Whisper hears at most 30 seconds at once. Windows are filled from stretches of speech; the pauses between two
stretches of a window stay in it (up to a bound), because the model reads sentence ends from them.
"""

from collections.abc import Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of samples, the end not included."""

    start: int
    end: int


def pack(speech: Sequence[Span], *, longest: int, longest_pause: int) -> list[Span]:
    """Fill windows with stretches of speech.

    Args:
        speech: Stretches of speech in order, none longer than ``longest``.
        longest: Length of a window in samples, at most.
        longest_pause: Pause in samples beyond which the next stretch begins a new window.

    Returns:
        Windows in order, each reaching from the start of its first stretch to the end of its last.
    """
    windows: list[Span] = []
    for span in speech:
        last = windows[-1] if windows else None
        if last is not None and span.end - last.start <= longest and span.start - last.end <= longest_pause:
            windows[-1] = Span(last.start, span.end)
        else:
            windows.append(span)
    return windows
