"""What a job's transcript says, in types: json-v2, its text, its speakers' runs, its words.

Source: the ``RetrieveTranscriptResponse`` definition of the Speechmatics Batch API, version 2. Every field
that the service may leave out is optional here; items of unknown types are kept.
"""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec

from watcher.speechmatics.jobs import JobInfo

__all__ = [
    "AudioEvent",
    "Chapter",
    "LanguagePackInfo",
    "RecognitionAlternative",
    "RecognitionMetadata",
    "RecognitionResult",
    "Segment",
    "SpeakerIdentifier",
    "Summary",
    "TranscriptResult",
    "TranslationSentence",
    "Word",
]

UNKNOWN_SPEAKER = "UU"
"""The service's label for speech that it gave to no speaker."""


class RecognitionAlternative(msgspec.Struct, gc=False):
    """One reading of an item. `confidence` is 0 to 1."""

    content: str = ""
    confidence: float = 0.0
    language: str = ""
    display: dict[str, Any] | None = None
    speaker: str | None = None
    tags: list[str] | None = None


class RecognitionResult(msgspec.Struct, gc=False):
    """A word, a punctuation mark, an entity, or an item of a type yet unknown. Times are in seconds."""

    type: str
    start_time: float
    end_time: float
    channel: str | None = None
    volume: float | None = None
    is_eos: bool | None = None
    attaches_to: str | None = None
    alternatives: list[RecognitionAlternative] = []
    written_form: list["RecognitionResult"] | None = None
    spoken_form: list["RecognitionResult"] | None = None


class LanguagePackInfo(msgspec.Struct):
    """What the language needs when its words are joined."""

    language_description: str | None = None
    word_delimiter: str = " "
    writing_direction: str | None = None
    itn: bool | None = None
    adapted: bool | None = None
    per_language_word_delimiters: dict[str, str] | None = None


class RecognitionMetadata(msgspec.Struct):
    """How the transcript was made, and which of its extra stages failed."""

    created_at: str = ""
    type: str = "transcription"
    transcription_config: dict[str, Any] | None = None
    output_config: dict[str, Any] | None = None
    language_pack_info: LanguagePackInfo | None = None
    language_identification: dict[str, Any] | None = None
    orchestrator_version: str | None = None
    translation_errors: list[dict[str, Any]] | None = None
    summarization_errors: list[dict[str, Any]] | None = None
    sentiment_analysis_errors: list[dict[str, Any]] | None = None
    topic_detection_errors: list[dict[str, Any]] | None = None
    auto_chapters_errors: list[dict[str, Any]] | None = None


class SpeakerIdentifier(msgspec.Struct):
    """A speaker found in the recording, and the identifiers by which a later job can know them again."""

    label: str
    speaker_identifiers: list[str] = []


class TranslationSentence(msgspec.Struct):
    """A translated sentence. Times are in seconds."""

    content: str = ""
    start_time: float | None = None
    end_time: float | None = None
    speaker: str | None = None
    channel: str | None = None


class Summary(msgspec.Struct):
    """The summary of the transcript."""

    content: str = ""


class Chapter(msgspec.Struct):
    """A chapter of the recording. Times are in seconds."""

    title: str = ""
    summary: str = ""
    start_time: float | None = None
    end_time: float | None = None


class AudioEvent(msgspec.Struct):
    """Something heard that isn't speech. Times are in seconds, `confidence` is 0 to 1."""

    type: str
    start_time: float | None = None
    end_time: float | None = None
    confidence: float | None = None
    channel: str | None = None


class Word(msgspec.Struct, frozen=True, gc=False):
    """A spoken word. Times are in seconds, `confidence` is 0 to 1."""

    text: str
    start_time: float
    end_time: float
    confidence: float
    speaker: str | None = None
    channel: str | None = None


class Segment(msgspec.Struct, frozen=True):
    """A run of one speaker, or of one channel; the whole transcript if neither was asked for.

    Attributes:
        text: What was said, joined as the language wants it.
        start_time: Where the run begins, in seconds.
        end_time: Where it ends, in seconds.
        speaker: The speaker's label; ``"UU"`` when the service knew none, None without speaker diarization.
        channel: The channel's label; None without channel diarization.
    """

    text: str
    start_time: float
    end_time: float
    speaker: str | None = None
    channel: str | None = None


class TranscriptResult(msgspec.Struct):
    """A transcript in the json-v2 format.

    Attributes:
        format: The version of the format, as ``"2.9"``.
        job: The job that made it.
        metadata: How it was made.
        results: Its items in order of time.
    """

    format: str
    job: JobInfo
    metadata: RecognitionMetadata
    results: list[RecognitionResult]
    speakers: list[SpeakerIdentifier] | None = None
    translations: dict[str, list[TranslationSentence]] | None = None
    summary: Summary | None = None
    sentiment_analysis: dict[str, Any] | None = None
    topics: dict[str, Any] | None = None
    chapters: list[Chapter] | None = None
    audio_events: list[AudioEvent] | None = None
    audio_event_summary: dict[str, Any] | None = None

    @property
    def transcript_text(self) -> str:
        """The text to read: one line per segment, after its channel and its speaker where they are known.

        For example ``CHANNEL Agent, SPEAKER S1: Good morning.``
        """
        lines = []
        for segment in self.segments:
            named = [f"CHANNEL {segment.channel}"] if segment.channel is not None else []
            if segment.speaker not in {None, UNKNOWN_SPEAKER}:
                named.append(f"SPEAKER {segment.speaker}")
            lines.append(f"{', '.join(named)}: {segment.text}" if named else segment.text)
        return "\n".join(lines)

    @property
    def confidence(self) -> float | None:
        """The mean confidence (0 to 1) of all items; None if there are none."""
        values = [item.alternatives[0].confidence for item in self.results if item.alternatives]
        return sum(values) / len(values) if values else None

    @property
    def segments(self) -> list[Segment]:
        """The transcript as runs of one speaker or channel, in order of time."""
        segments = []
        for (speaker, channel), run in groupby(self._attributed(), key=lambda each: each[0]):
            items = [item for _, item in run]
            text = self._join(items)
            if text:
                end = max(item.end_time for item in items)
                segments.append(Segment(text, items[0].start_time, end, speaker, channel))
        return segments

    @property
    def words(self) -> list[Word]:
        """The spoken words; an entity counts as one, in its written form."""
        return [
            Word(best.content, item.start_time, item.end_time, best.confidence, best.speaker, item.channel)
            for item in self.results
            if item.type in {"word", "entity"} and item.alternatives
            for best in item.alternatives[:1]
        ]

    def _attributed(self) -> Iterator[tuple[tuple[str | None, str | None], RecognitionResult]]:
        """Each item with its (speaker, channel); a mark without a speaker stays with its channel's words before."""
        speakers: dict[str | None, str | None] = {}
        for item in self.results:
            if not item.alternatives:
                continue
            said_by = item.alternatives[0].speaker
            if said_by is not None or item.type != "punctuation":
                speakers[item.channel] = said_by
            yield (speakers.get(item.channel), item.channel), item

    def _join(self, items: list[RecognitionResult]) -> str:
        """Join items by the language's word delimiter, marks attached on the sides that they ask for."""
        pack = self.metadata.language_pack_info or LanguagePackInfo()
        by_language = pack.per_language_word_delimiters or {}
        parts: list[str] = []
        glued = True  # nothing goes before the first item
        for item in items:
            best = item.alternatives[0]
            if not best.content:
                continue
            sides = item.attaches_to or ("previous" if item.type == "punctuation" else "none")
            if not glued and sides not in {"previous", "both"}:
                parts.append(by_language.get(best.language, pack.word_delimiter))
            parts.append(best.content)
            glued = sides in {"next", "both"}
        return "".join(parts).strip()
