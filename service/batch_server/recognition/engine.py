"""Recognises the words of a recording, batch by batch. Only worker processes import this."""

import functools
import itertools
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import ctranslate2
import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import get_vad_model

from service.batch_server.recognition import audio, language_id, reports, weights
from service.batch_server.recognition.audio import SAMPLE_RATE
from service.batch_server.recognition.messages import ModelSource, ModelUnavailable, Progress, Recognition, Task, Word
from service.batch_server.recognition.segments import (
    BATCH,
    PADDING_SECONDS,
    Batch,
    Cut,
    Piece,
    Span,
    batches,
    unrecognised,
)

T = TypeVar("T")

# Text that can be compressed more than this repeats itself: the model is stuck in a loop (openai/whisper's value).
_LOOPING: Final = 2.4
# Three beams find the same words as five (faster-whisper's default) and make up for the time that short windows cost.
_BEAM: Final = 3
_TEMPERATURES: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_WORTH_ANOTHER_PASS: Final = SAMPLE_RATE
_PADDING: Final = round(PADDING_SECONDS * SAMPLE_RATE)
_FRAMES_PER_SECOND: Final = 100
_END: Final = object()


# Loading twice would waste memory, and the pipeline keeps state between the windows of a batch.
_ONE_AT_A_TIME: Final = threading.RLock()


def load(source: ModelSource) -> BatchedInferencePipeline:
    """Load a model, unless it was the last one loaded, which stays in memory.

    Raises:
        ModelUnavailable: If there is no such model here and it can't be downloaded.
    """
    with _ONE_AT_A_TIME:
        return _load(source)


@functools.lru_cache(maxsize=1)
def _load(source: ModelSource) -> BatchedInferencePipeline:
    get_vad_model()
    location = weights.locate(source)
    try:
        model = WhisperModel(
            location, device="cpu", compute_type="int8", cpu_threads=source.threads or os.cpu_count() or 1
        )
    except (ImportError, NameError, TypeError, AttributeError, MemoryError):
        raise  # a bug of ours, or too little memory: another model would not help
    except Exception as error:
        raise ModelUnavailable(
            f"The model {source.name!r} can't be loaded ({type(error).__name__}: {error}). Name a folder "
            "with a converted faster-whisper model, or let this machine reach huggingface.co once so that "
            "the model can be downloaded, or use the packaged 'tiny.en'"
        ) from error
    return BatchedInferencePipeline(model)


def recognise(source: ModelSource, task: Task) -> Recognition:
    """Recognise one recording; see ``entrypoints.recognise``."""
    pipeline = load(source)
    listener = Listener(pipeline, task)
    meter = Meter(audio.stated_duration(task.audio))
    words: dict[int, list[Word]] = {}
    for part in prefetch(batches(task)):
        if isinstance(part, Cut):
            return assemble(part, words, listener)
        words.setdefault(part.channel, []).extend(listener.words(part))
        meter.recognised(part)
    raise AssertionError("a cut recording ends with a Cut")


def prefetch(items: Iterable[T]) -> Iterator[T]:
    """Yield the same items, each one made in another thread while the one before it is in use.

    Raises:
        Exception: What making an item raised, in place of that item.
    """
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as thread:
        following = thread.submit(next, source, _END)
        while (item := following.result()) is not _END:
            following = thread.submit(next, source, _END)
            yield item  # type: ignore[misc] # anything but the end is an item


class Meter:
    """Reports how far a recording is recognised; reported progress never decreases.

    Args:
        duration: Total seconds of audio according to the file, if it says.
    """

    def __init__(self, duration: float | None) -> None:
        self._duration = duration
        self._reached: dict[int, float] = {}
        self._done = 0.0
        self._report()

    def recognised(self, batch: Batch) -> None:
        """Count a batch; of channels that are recognised separately, the slowest decides."""
        last = batch.pieces[-1]
        self._reached[batch.channel] = (last.start + len(last.samples)) / SAMPLE_RATE
        self._done = max(self._done, min(self._reached.values()))
        self._report()

    def _report(self) -> None:
        duration = None if self._duration is None else max(self._duration, self._done)
        reports.send(Progress(round(self._done, 2), duration))


def assemble(cut: Cut, words: dict[int, list[Word]], listener: "Listener") -> Recognition:
    """Combine the words of all batches."""
    return Recognition(
        duration=cut.samples / SAMPLE_RATE,
        speech=cut.speech / SAMPLE_RATE,
        channels=tuple(tuple(words.get(channel, ())) for channel in range(cut.channels)),
        language=listener.language or "en",
        language_candidates=listener.language_candidates,
    )


class Listener:
    """Recognises batches of one recording.

    Args:
        pipeline: The model.

    Attributes:
        language: Whisper's code; identified from the first batch if the task doesn't give it.
        language_candidates: In that case the likeliest languages, with their probabilities.
    """

    def __init__(self, pipeline: BatchedInferencePipeline, task: Task) -> None:
        self._pipeline = pipeline
        self._hotwords = ", ".join(task.vocabulary) or None
        self._identification = task.identification
        self.language = task.language
        self.language_candidates: tuple[tuple[str, float], ...] = ()

    def words(self, batch: Batch) -> list[Word]:
        """Recognise a batch; words have times within the recording.

        Raises:
            LanguageUnknown: If the language has to be identified, and can't be.
        """
        with _ONE_AT_A_TIME:
            if self.language is None:
                self.language = self._identify(batch)
            return self._words(batch)

    def _identify(self, batch: Batch) -> str:
        """Identify the language from the first half minute of speech."""
        probabilities = [("en", 1.0)]
        if self._pipeline.model.model.is_multilingual:
            speech = np.concatenate([piece.samples for piece in batch.pieces])
            _, _, probabilities = self._pipeline.model.detect_language(speech)
        self.language_candidates = language_id.likeliest(probabilities)
        return language_id.choose(probabilities, self._identification)

    def _words(self, batch: Batch) -> list[Word]:
        found = self._transcribe(batch.pieces)
        again = [
            (number, tail)
            for number, (piece, words) in enumerate(zip(batch.pieces, found, strict=True))
            if (tail := _tail(piece, words)) is not None
        ]
        if again:
            for (number, _), words in zip(again, self._transcribe([tail for _, tail in again]), strict=True):
                found[number].extend(words)
        return [word for words in found for word in words]

    def _transcribe(self, pieces: Iterable[Piece]) -> list[list[Word]]:
        """Recognise windows together; a window in which the model repeats itself is done again on its own."""
        pieces = list(pieces)
        edges = [0, *itertools.accumulate(len(piece.samples) for piece in pieces)]
        clips = [{"start": a / SAMPLE_RATE, "end": b / SAMPLE_RATE} for a, b in itertools.pairwise(edges)]
        segments, _ = self._pipeline.transcribe(
            np.concatenate([piece.samples for piece in pieces]),
            language=self.language,
            word_timestamps=True,
            clip_timestamps=clips,
            batch_size=BATCH,
            beam_size=_BEAM,
            without_timestamps=True,
            hotwords=self._hotwords,
        )
        numbers = {int(clip["start"] * _FRAMES_PER_SECOND): number for number, clip in enumerate(clips)}
        found: list[list[Word]] = [[] for _ in pieces]
        looping: set[int] = set()
        for segment in segments:
            number = numbers[segment.seek]
            shift = (pieces[number].start - edges[number]) / SAMPLE_RATE
            found[number].extend(_words(segment.words or (), shift))
            if segment.compression_ratio > _LOOPING:
                looping.add(number)
        for number in looping:
            found[number] = self._transcribe_carefully(pieces[number])
        return found

    def _transcribe_carefully(self, piece: Piece) -> list[Word]:
        """Recognise one window with faster-whisper's slow method, which ends the model's loop."""
        ctranslate2.set_random_seed(0)  # the same recording must give the same words everywhere
        segments, _ = self._pipeline.model.transcribe(
            piece.samples,
            language=self.language,
            word_timestamps=True,
            temperature=list(_TEMPERATURES),
            condition_on_previous_text=False,
            vad_filter=False,
            hotwords=self._hotwords,
        )
        shift = piece.start / SAMPLE_RATE
        return [word for segment in segments for word in _words(segment.words or (), shift)]


def _tail(piece: Piece, words: list[Word]) -> Piece | None:
    """Return the end of a window that the model skipped, if there is one."""
    recognised_until = round(words[-1].end * SAMPLE_RATE) - piece.start if words else 0
    start = unrecognised(piece.speech, recognised_until, padding=_PADDING, least=_WORTH_ANOTHER_PASS)
    if start is None or start <= 0:  # all of it is missing: another pass would find nothing either
        return None
    speech = tuple(Span(max(0, span.start - start), span.end - start) for span in piece.speech if span.end > start)
    return Piece(piece.start + start, piece.samples[start:], speech)


def _words(words: Any, shift: float) -> Iterator[Word]:  # noqa: ANN401 - faster-whisper has no types
    for word in words:
        if word.word.strip():
            yield Word(
                start=round(float(word.start) + shift, 2),
                end=round(float(word.end) + shift, 2),
                text=word.word,
                confidence=round(float(word.probability), 3),
            )
