"""Finds speech in a recording and cuts it into batches of windows, with bounded memory.

Whisper processes at most 30 seconds of audio at once. A window is filled with stretches of speech; the pauses between
them stay in it (up to a limit), because the model uses them to find the ends of sentences. The cuts depend only on the
recording, so the words are the same wherever and in whatever order the batches are recognised.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from faster_whisper.vad import VadOptions, get_speech_timestamps

from service.batch_server.recognition import audio
from service.batch_server.recognition.messages import AudioUnusable, Task

BATCH: Final = 8
# Longer windows are faster, but close to 30 s the model more often leaves out the end of a window.
WINDOW_SECONDS: Final = 25
PAUSE_SECONDS: Final = 3.0
BLOCK_SECONDS: Final = 300.0
PADDING_SECONDS: Final = 0.4
_SILENCE_MILLISECONDS: Final = 160
_QUIETEST_DB: Final = -60.0
_LOUDEST: Final = 100.0

Floats = npt.NDArray[np.float32]


class Span(NamedTuple):
    """A stretch of samples, the end not included."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.end - self.start


class Window(NamedTuple):
    """What the model processes at once.

    Attributes:
        start: First sample.
        end: The sample after the last.
        speech: The stretches of speech in it, in order.
    """

    start: int
    end: int
    speech: tuple[Span, ...]


class Piece(NamedTuple):
    """A window with its samples.

    Attributes:
        start: Position in the recording of the first sample.
        samples: The audio, 16 kHz, -1 to 1.
        speech: Stretches of speech, counted from ``start``.
    """

    start: int
    samples: Floats
    speech: tuple[Span, ...]


class Batch(NamedTuple):
    """Windows that are recognised together.

    Attributes:
        channel: Number of the channel that they are from; 0 if channels are mixed.
        pieces: At most ``BATCH`` windows, in order of time.
    """

    channel: int
    pieces: tuple[Piece, ...]


class Cut(NamedTuple):
    """Totals, after the last batch of a recording.

    Attributes:
        channels: Number of channels that were cut separately.
        samples: Length of the recording at 16 kHz.
        speech: Samples that were detected as speech, over all channels.
    """

    channels: int
    samples: int
    speech: int


def batches(task: Task) -> Iterator[Batch | Cut]:
    """Cut a recording.

    Yields:
        Batches, those of a channel in order of time; then one ``Cut``.

    Raises:
        AudioUnusable: If the file can't be decoded.
    """
    cutters: list[_Cutter] = []
    for block in audio.blocks(task.audio, by_channel=task.by_channel, seconds=BLOCK_SECONDS):
        if not cutters:
            cutters = [_Cutter(channel, task.volume_threshold) for channel in range(block.shape[0])]
        if cutters[0].length + block.shape[1] > task.longest * audio.SAMPLE_RATE:
            raise AudioUnusable(f"The recording is longer than this server's limit of {task.longest:g} seconds")
        for cutter, samples in zip(cutters, block, strict=True):
            yield from cutter.take(samples, last=False)
    for cutter in cutters:
        yield from cutter.take(np.empty(0, dtype=np.int16), last=True)
    yield Cut(len(cutters), cutters[0].length, sum(cutter.speech for cutter in cutters))


class _Cutter:
    """Cuts one stream of samples, and keeps only those that are not in a finished window."""

    def __init__(self, channel: int, volume_threshold: float | None) -> None:
        self._channel = channel
        self._volume_threshold = volume_threshold
        self._waiting: Floats = np.empty(0, dtype=np.float32)
        self._pieces: list[Piece] = []
        self.length = 0
        self.speech = 0

    def take(self, samples: audio.Samples, *, last: bool) -> Iterator[Batch]:
        waiting = np.concatenate([self._waiting, samples.astype(np.float32) / 32768.0])
        self.length += len(samples)
        origin = self.length - len(waiting)
        windows = self._windows(waiting)
        keep = len(waiting)
        if not last:
            # The last window may continue in the next samples; so may speech that has just begun.
            keep = windows.pop().start if windows else max(0, len(waiting) - audio.SAMPLE_RATE)
        for window in windows:
            self._pieces.append(_piece(window, waiting, origin))
            self.speech += window.end - window.start
            if len(self._pieces) == BATCH:
                yield self._batch()
        if last and self._pieces:
            yield self._batch()
        self._waiting = waiting[keep:].copy()

    def _batch(self) -> Batch:
        pieces, self._pieces = self._pieces, []
        return Batch(self._channel, tuple(pieces))

    def _windows(self, samples: Floats) -> list[Window]:
        options = VadOptions(
            max_speech_duration_s=WINDOW_SECONDS,
            min_silence_duration_ms=_SILENCE_MILLISECONDS,
            speech_pad_ms=round(PADDING_SECONDS * 1000),
        )
        found = get_speech_timestamps(samples, options)
        spans = [Span(stretch["start"], stretch["end"]) for stretch in found]
        if self._volume_threshold is not None:
            spans = [span for span in spans if volume(samples[span.start : span.end]) >= self._volume_threshold]
        return pack(
            spans,
            longest=WINDOW_SECONDS * audio.SAMPLE_RATE,
            longest_pause=round(PAUSE_SECONDS * audio.SAMPLE_RATE),
        )


def _piece(window: Window, samples: Floats, origin: int) -> Piece:
    speech = tuple(Span(span.start - window.start, span.end - window.start) for span in window.speech)
    return Piece(origin + window.start, samples[window.start : window.end].copy(), speech)


def volume(samples: Floats) -> float:
    """Measure loudness on the scale of ``audio_filtering_config``: 0 to 100.

    The scale is linear in decibels: 0 stands for -60 dBFS and less, 100 for full scale.
    """
    power = float(np.mean(np.square(samples))) if len(samples) else 0.0
    decibels = 10.0 * np.log10(power) if power > 0 else _QUIETEST_DB
    return float(np.clip((decibels - _QUIETEST_DB) / -_QUIETEST_DB * _LOUDEST, 0.0, _LOUDEST))


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


def unrecognised(speech: Sequence[Span], recognised_until: int, *, padding: int, least: int) -> int | None:
    """Find where to recognise again because the model stopped before the speech did.

    Whisper sometimes ends a window early, as if the rest had been silence.

    Args:
        speech: The stretches of speech of a window, in order.
        recognised_until: Sample at which the last recognised word ends.
        padding: Samples by which a stretch of speech extends beyond what is really spoken.
        least: Samples of speech that are worth another pass.

    Returns:
        The sample to start again from, or ``None`` if nothing is missing.
    """
    left = [Span(max(span.start, recognised_until), span.end) for span in speech if span.end > recognised_until]
    missing = sum(max(0, span.length - padding) for span in left)
    return left[0].start if missing >= least else None
