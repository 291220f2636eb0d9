"""Recognition itself: decode, find speech, cut, recognise in batches. Only worker processes import this."""

import functools
import itertools
import os
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps, get_vad_model

from service.batch_server.recognition import audio, weights
from service.batch_server.recognition.task import ModelSource, ModelUnavailable, Recognition, Task, Word
from service.batch_server.recognition.windows import Span, pack

BATCH: Final = 8
WINDOW_SECONDS: Final = 30
PAUSE_SECONDS: Final = 3.0
BLOCK_SECONDS: Final = 300.0

Floats = npt.NDArray[np.float32]


@functools.lru_cache(maxsize=1)
def load(source: ModelSource) -> BatchedInferencePipeline:
    """Load a model; the last one loaded stays.

    Raises:
        ModelUnavailable: If there is no such model here and it can't be downloaded.
    """
    get_vad_model()
    location = weights.locate(source)
    try:
        model = WhisperModel(
            location, device="cpu", compute_type="int8", cpu_threads=source.threads or os.cpu_count() or 1
        )
    except Exception as error:
        raise ModelUnavailable(
            f"The model {source.name!r} can't be loaded ({type(error).__name__}: {error}). Name a folder "
            "with a converted faster-whisper model, or let this machine reach huggingface.co once so that "
            "the model can be downloaded, or use the packaged 'tiny.en'"
        ) from error
    return BatchedInferencePipeline(model)


def recognise(source: ModelSource, task: Task) -> Recognition:
    """Recognise one recording; see ``task.recognise``."""
    pipeline = load(source)
    channels: list[_Channel] = []
    for block in audio.blocks(task.audio, by_channel=task.by_channel, seconds=BLOCK_SECONDS):
        if not channels:
            channels = [_Channel(pipeline, task) for _ in range(block.shape[0])]
        for channel, samples in zip(channels, block, strict=True):
            channel.feed(samples)
    for channel in channels:
        channel.finish()
    return Recognition(
        duration=channels[0].heard / audio.SAMPLE_RATE,
        speech=sum(channel.speech for channel in channels) / audio.SAMPLE_RATE,
        channels=tuple(tuple(channel.words) for channel in channels),
        language=channels[0].language or task.language or "en",
        language_probability=channels[0].language_probability,
    )


class _Channel:
    """Recognises one stream of samples with bounded memory: what was recognised is forgotten."""

    def __init__(self, pipeline: BatchedInferencePipeline, task: Task) -> None:
        self._pipeline = pipeline
        self._task = task
        self._waiting: Floats = np.empty(0, dtype=np.float32)
        self._batch: list[tuple[int, Floats]] = []
        self.heard = 0
        self.speech = 0
        self.words: list[Word] = []
        self.language = task.language
        self.language_probability = 1.0

    def feed(self, samples: audio.Samples) -> None:
        """Take the next samples, and recognise what is complete by now."""
        self._take(samples, last=False)

    def finish(self) -> None:
        """Recognise what is left."""
        self._take(np.empty(0, dtype=np.int16), last=True)

    def _take(self, samples: audio.Samples, *, last: bool) -> None:
        fresh = samples.astype(np.float32) / 32768.0
        waiting = np.concatenate([self._waiting, fresh])
        self.heard += len(samples)
        origin = self.heard - len(waiting)
        windows = pack(
            _speech(waiting),
            longest=WINDOW_SECONDS * audio.SAMPLE_RATE,
            longest_pause=int(PAUSE_SECONDS * audio.SAMPLE_RATE),
        )
        keep = len(waiting)
        if not last:
            # The last window may go on in samples that are yet to come; so may speech that has just begun.
            keep = windows.pop().start if windows else max(0, len(waiting) - audio.SAMPLE_RATE)
        for window in windows:
            self._batch.append((origin + window.start, waiting[window.start : window.end].copy()))
            self.speech += window.end - window.start
            if len(self._batch) == BATCH:
                self._recognise_batch()
        if last and self._batch:
            self._recognise_batch()
        self._waiting = waiting[keep:].copy()

    def _recognise_batch(self) -> None:
        batch, self._batch = self._batch, []
        starts = np.cumsum([0, *(len(samples) for _, samples in batch)])
        clips = [
            {"start": start / audio.SAMPLE_RATE, "end": end / audio.SAMPLE_RATE}
            for start, end in itertools.pairwise(starts)
        ]
        segments, info = self._pipeline.transcribe(
            np.concatenate([samples for _, samples in batch]),
            language=self.language,
            word_timestamps=True,
            clip_timestamps=clips,
            batch_size=BATCH,
            without_timestamps=True,
            hotwords=", ".join(self._task.vocabulary) or None,
        )
        if self.language is None:
            self.language, self.language_probability = info.language, info.language_probability
        seeks = {int(clip["start"] * 100): index for index, clip in enumerate(clips)}
        for segment in segments:
            index = seeks[segment.seek]
            shift = (batch[index][0] - int(starts[index])) / audio.SAMPLE_RATE
            self.words.extend(_words(segment.words or (), shift))


def _words(words: Any, shift: float) -> Iterator[Word]:  # noqa: ANN401 - faster-whisper has no types
    for word in words:
        if word.word.strip():
            yield Word(
                start=round(float(word.start) + shift, 2),
                end=round(float(word.end) + shift, 2),
                text=word.word,
                confidence=round(float(word.probability), 3),
            )


def _speech(samples: Floats) -> list[Span]:
    options = VadOptions(max_speech_duration_s=WINDOW_SECONDS, min_silence_duration_ms=160)
    return [Span(found["start"], found["end"]) for found in get_speech_timestamps(samples, options)]
