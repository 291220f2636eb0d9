"""What goes into recognition and what comes out, as it travels between processes; light enough for the server."""

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
    """What a job says about a language that has to be identified.

    Attributes:
        expected: Whisper's codes of the languages that are accepted; empty accepts all.
        when_unsure: What to do if no language is likely enough: the API's ``low_confidence_action``.
        default: Whisper's code of the language to use with ``use_default_language``.
    """

    expected: tuple[str, ...] = ()
    when_unsure: Literal["reject", "allow", "use_default_language"] = "reject"
    default: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One recording to recognise.

    Attributes:
        audio: The file.
        language: Whisper's language code; ``None`` lets the model identify it.
        identification: What the job says about identifying it.
        by_channel: Whether each channel is recognised separately.
        vocabulary: Words and phrases that are likely to occur.
        volume_threshold: Volume (0 to 100) below which audio counts as silence.
        longest: Seconds of audio beyond which the recording is refused.
        speaker_sensitivity: How readily voices count as different, 0 to 1; ``None`` if speakers are not wanted.
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
        """Return this task with its language given."""
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


class SpeakerTurn(msgspec.Struct, frozen=True, array_like=True):
    """A stretch of time in which one person speaks.

    Attributes:
        start: Seconds from the beginning of the recording.
        end: Seconds from the beginning of the recording.
        speaker: A name that means nothing outside this recording.
    """

    start: float
    end: float
    speaker: str


class Recognition(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised in a recording.

    Attributes:
        duration: Seconds of audio.
        speech: Seconds of it that were detected as speech.
        channels: Words per channel, in order of time; one entry unless channels were recognised separately.
        language: Whisper's code of the language of the words.
        language_candidates: The likeliest languages with their probabilities, if the language had to be identified.
        notes: Remarks for the job's log.
        turns: Who speaks when, in order of time; ``None`` if speakers were not wanted.
    """

    duration: float
    speech: float
    channels: tuple[tuple[Word, ...], ...]
    language: str
    language_candidates: tuple[tuple[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    turns: tuple[SpeakerTurn, ...] | None = None

    def spoken_by(self, turns: tuple[SpeakerTurn, ...]) -> "Recognition":
        """Return this result with its speakers."""
        return msgspec.structs.replace(self, turns=turns)


class Progress(msgspec.Struct, frozen=True):
    """How far the recognition of a recording has come.

    Attributes:
        seconds_done: Seconds of audio recognised so far.
        duration: Total seconds of audio according to the file; ``None`` if the file does not say.
    """

    seconds_done: float
    duration: float | None


class Part(msgspec.Struct, frozen=True):
    """A batch of windows that was cut out of a recording and written to a file.

    Attributes:
        channel: Number of the channel that it was cut from.
    """

    path: Path
    channel: int


class CutRecording(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that was cut into parts.

    Attributes:
        parts: The parts; those of a channel are in order of time.
        channels: Number of channels that are recognised separately.
        duration: Seconds of audio.
        speech: Seconds of it that were detected as speech.
    """

    parts: tuple[Part, ...]
    channels: int
    duration: float
    speech: float


class PartWords(msgspec.Struct, frozen=True, kw_only=True):
    """What was recognised in one part.

    Attributes:
        channel: Number of the channel that the part was cut from.
        words: The words, with times within the whole recording.
        language: Whisper's code of the language of the words.
        language_candidates: The likeliest languages with their probabilities, if the language had to be identified.
    """

    channel: int
    words: tuple[Word, ...]
    language: str
    language_candidates: tuple[tuple[str, float], ...] = ()


class RecognitionFailed(Exception):
    """A recording could not be recognised, and trying again would not help."""


class AudioUnusable(RecognitionFailed):
    """The file holds no audio that can be decoded."""


class ModelUnavailable(RecognitionFailed):
    """The model can't be loaded."""


class LanguageUnknown(RecognitionFailed):
    """The language was not given, and the one that was identified is uncertain or not allowed by the job."""


class SpeakersUnavailable(RecognitionFailed):
    """Speakers can't be found: the library for it is missing or broken."""


def assemble(recording: CutRecording, parts: Sequence[PartWords]) -> Recognition:
    """Combine the results of a recording's parts, given in the order of the recording."""
    return Recognition(
        duration=recording.duration,
        speech=recording.speech,
        channels=tuple(
            tuple(word for part in parts if part.channel == channel for word in part.words)
            for channel in range(recording.channels)
        ),
        language=parts[0].language if parts else "en",
        language_candidates=parts[0].language_candidates if parts else (),
    )
