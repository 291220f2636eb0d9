"""Finding speech in a recording, and cutting it into batches of windows with bounded memory.

The cuts depend on nothing but the recording, so whoever recognises the batches, in whatever order, finds the same
words.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from faster_whisper.vad import VadOptions, get_speech_timestamps

from service.batch_server.recognition import audio
from service.batch_server.recognition.messages import AudioUnusable, Task
from service.batch_server.recognition.windows import Span, Window, pack

BATCH: Final = 8
# Longer windows are read faster, but near the model's bound of 30 s it more often leaves out their end.
WINDOW_SECONDS: Final = 25
PAUSE_SECONDS: Final = 3.0
BLOCK_SECONDS: Final = 300.0
PADDING_SECONDS: Final = 0.4
_SILENCE_MILLISECONDS: Final = 160
_QUIETEST_DB: Final = -60.0
_LOUDEST: Final = 100.0

Floats = npt.NDArray[np.float32]


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
        channel: Which channel they are from; 0 if channels are mixed.
        pieces: At most ``BATCH`` windows, in order of time.
    """

    channel: int
    pieces: tuple[Piece, ...]


class Cut(NamedTuple):
    """The end of a cut recording.

    Attributes:
        channels: Number of channels that were heard apart.
        samples: Length of the recording at 16 kHz.
        speech: How much of it was taken for speech, over all channels.
    """

    channels: int
    samples: int
    speech: int


def batches(task: Task) -> Iterator[Batch | Cut]:
    """Cut a recording.

    Yields:
        Batches, of each channel in order of time; at last one ``Cut``.

    Raises:
        AudioUnusable: If the file can't be decoded.
    """
    cutters: list[_Cutter] = []
    for block in audio.blocks(task.audio, by_channel=task.by_channel, seconds=BLOCK_SECONDS):
        if not cutters:
            cutters = [_Cutter(channel, task.volume_threshold) for channel in range(block.shape[0])]
        if cutters[0].heard + block.shape[1] > task.longest * audio.SAMPLE_RATE:
            raise AudioUnusable(f"The recording is longer than this server's limit of {task.longest:g} seconds")
        for cutter, samples in zip(cutters, block, strict=True):
            yield from cutter.take(samples, last=False)
    for cutter in cutters:
        yield from cutter.take(np.empty(0, dtype=np.int16), last=True)
    yield Cut(len(cutters), cutters[0].heard, sum(cutter.speech for cutter in cutters))


class _Cutter:
    """Cuts one stream of samples; what was handed out is forgotten."""

    def __init__(self, channel: int, volume_threshold: float | None) -> None:
        self._channel = channel
        self._volume_threshold = volume_threshold
        self._waiting: Floats = np.empty(0, dtype=np.float32)
        self._pieces: list[Piece] = []
        self.heard = 0
        self.speech = 0

    def take(self, samples: audio.Samples, *, last: bool) -> Iterator[Batch]:
        waiting = np.concatenate([self._waiting, samples.astype(np.float32) / 32768.0])
        self.heard += len(samples)
        origin = self.heard - len(waiting)
        windows = self._windows(waiting)
        keep = len(waiting)
        if not last:
            # The last window may go on in samples that are yet to come; so may speech that has just begun.
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
