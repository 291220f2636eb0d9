"""How speech is cut into the windows that the model hears: pure arithmetic on sample positions.

Whisper hears at most 30 seconds at once. Windows are filled from stretches of speech; the pauses between two
stretches of a window stay in it (up to a bound), because the model reads sentence ends from them.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of samples, the end not included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.end - self.start


class Window(NamedTuple):
    """What the model hears at once.

    Attributes:
        start: First sample.
        end: The sample after the last.
        speech: The stretches of speech within, in order.
    """

    start: int
    end: int
    speech: tuple[Span, ...]


def pack(speech: Iterable[Span], *, longest: int, longest_pause: int) -> list[Window]:
    """Fill windows with stretches of speech.

    Args:
        speech: Stretches of speech in order, none longer than ``longest``.
        longest: Length of a window in samples, at most.
        longest_pause: Pause in samples beyond which the next stretch begins a new window.

    Returns:
        Windows in order, each reaching from the start of its first stretch to the end of its last.
    """
    windows: list[Window] = []
    for span in speech:
        last = windows[-1] if windows else None
        if last is not None and span.end - last.start <= longest and span.start - last.end <= longest_pause:
            windows[-1] = Window(last.start, span.end, (*last.speech, span))
        else:
            windows.append(Window(span.start, span.end, (span,)))
    return windows


def unheard(speech: Sequence[Span], heard_until: int, *, padding: int, least: int) -> int | None:
    """Tell where to listen again because the model stopped before the speech did.

    Whisper sometimes ends a window early, as if the rest had been silence.

    Args:
        speech: The stretches of speech of a window, in order.
        heard_until: Where the last recognised word ends.
        padding: Samples by which a stretch of speech reaches beyond what is really spoken.
        least: How much speech, in samples, is worth listening again for.

    Returns:
        The sample to listen again from, or ``None`` if nothing is missing.
    """
    left = [Span(max(span.start, heard_until), span.end) for span in speech if span.end > heard_until]
    missing = sum(max(0, span.length - padding) for span in left)
    return left[0].start if missing >= least else None
