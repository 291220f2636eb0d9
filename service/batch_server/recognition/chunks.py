"""A recording in parts that are recognised side by side. Only worker processes import this.

A part is the very batch that one worker would recognise when it has the recording for itself, so the words are
the same wherever parts are recognised.
"""

import pickle
from pathlib import Path

from service.batch_server.recognition import engine
from service.batch_server.recognition.audio import SAMPLE_RATE
from service.batch_server.recognition.messages import CutRecording, ModelSource, Part, PartWords, Task
from service.batch_server.recognition.segments import Batch, Cut, batches


def cut(task: Task, folder: Path) -> CutRecording:
    """Cut a recording; see ``task.cut``."""
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
    """Recognise one part; see ``task.recognise_part``."""
    listener = engine.Listener(engine.load(source), task)
    with part.path.open("rb") as file:
        batch: Batch = pickle.load(file)  # noqa: S301 - written by ``cut``
    words = tuple(listener.words(batch))
    return PartWords(
        channel=part.channel,
        words=words,
        language=listener.language or "en",
        heard=listener.heard,
    )
