"""Cuts a recording into parts that are recognised in parallel. Only worker processes import this.

A part is exactly the batch that a single worker would recognise, so the words are the same on one machine and on many.
"""

import pickle
from pathlib import Path

from service.batch_server.recognition import engine
from service.batch_server.recognition.audio import SAMPLE_RATE
from service.batch_server.recognition.messages import CutRecording, ModelSource, Part, PartWords, Task
from service.batch_server.recognition.segments import Batch, Cut, batches


def cut(task: Task, folder: Path) -> CutRecording:
    """Cut a recording; see ``entrypoints.cut``."""
    parts: list[Part] = []
    for found in batches(task):
        if isinstance(found, Cut):
            return CutRecording(
                parts=tuple(parts),
                channels=found.channels,
                duration=found.samples / SAMPLE_RATE,
                speech=found.speech / SAMPLE_RATE,
            )
        part = Part(folder / f"{len(parts):06}", found.channel)
        with part.path.open("wb") as file:
            pickle.dump(found, file)
        parts.append(part)
    raise AssertionError("a cut recording ends with a Cut")


def recognise(source: ModelSource, task: Task, part: Part) -> PartWords:
    """Recognise one part; see ``entrypoints.recognise_part``."""
    listener = engine.Listener(engine.load(source), task)
    with part.path.open("rb") as file:
        batch: Batch = pickle.load(file)  # noqa: S301 - written by ``cut``
    words = tuple(listener.words(batch))
    return PartWords(
        channel=part.channel,
        words=words,
        language=listener.language or "en",
        language_candidates=listener.language_candidates,
    )
