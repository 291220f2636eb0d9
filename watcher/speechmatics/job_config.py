"""The job config of the Batch API, field for field. What each field means is said in the API reference.

Source: the ``JobConfig`` definition of the Speechmatics Batch API, version 2
(https://docs.speechmatics.com/api-ref/batch/create-a-new-job).
"""

from typing import Any

import msgspec

from watcher.speechmatics.models import ConfigModel, OpenEnum

__all__ = [
    "AdditionalVocab",
    "AudioEventsConfig",
    "AudioFilteringConfig",
    "AutoChaptersConfig",
    "FetchData",
    "FormatType",
    "JobConfig",
    "JobType",
    "LanguageIdentificationConfig",
    "Model",
    "NotificationConfig",
    "NotificationContents",
    "NotificationMethod",
    "OperatingPoint",
    "OutputConfig",
    "PunctuationOverrides",
    "Replacement",
    "SentimentAnalysisConfig",
    "SpeakerDiarizationConfig",
    "SpeakerInput",
    "SrtOverrides",
    "SummarizationConfig",
    "TopicDetectionConfig",
    "TrackingData",
    "TranscriptFilteringConfig",
    "TranscriptionConfig",
    "TranslationConfig",
]


class JobType(OpenEnum):
    """What a job does."""

    TRANSCRIPTION = "transcription"


class Model(OpenEnum):
    """The recognition models."""

    STANDARD = "standard"
    ENHANCED = "enhanced"
    MELIA_1 = "melia-1"


class OperatingPoint(OpenEnum):
    """The old name of `Model`; the service takes both."""

    STANDARD = "standard"
    ENHANCED = "enhanced"
    MELIA_1 = "melia-1"


class FormatType(OpenEnum):
    """The formats in which the service gives a transcript."""

    JSON = "json-v2"
    TXT = "txt"
    SRT = "srt"


class NotificationContents(OpenEnum):
    """What a notification can carry."""

    JOBINFO = "jobinfo"
    TRANSCRIPT = "transcript"
    TRANSCRIPT_JSON_V2 = "transcript.json-v2"
    TRANSCRIPT_TXT = "transcript.txt"
    TRANSCRIPT_SRT = "transcript.srt"
    DATA = "data"
    TEXT = "text"


class NotificationMethod(OpenEnum):
    """How a notification is sent."""

    POST = "post"
    PUT = "put"


class FetchData(ConfigModel):
    """Where the service fetches the recording, instead of an upload.

    Attributes:
        url: The recording's address.
        auth_headers: Whole header lines (``"Authorization: Bearer …"``) to send with the fetch.
    """

    url: str
    auth_headers: list[str] | None = None


class AdditionalVocab(ConfigModel):
    """A word or phrase to recognise, and how it may sound."""

    content: str
    sounds_like: list[str] | None = None


class PunctuationOverrides(ConfigModel):
    """How much punctuation to set (`sensitivity`, 0 to 1), and which marks are allowed."""

    sensitivity: float | None = None
    permitted_marks: list[str] | None = None


class AudioFilteringConfig(ConfigModel):
    """Leave out audio quieter than `volume_threshold` (0 to 100)."""

    volume_threshold: float | None = None


class Replacement(ConfigModel):
    """A text to find in the transcript, and what to put in its place."""

    from_: str = msgspec.field(name="from")
    to: str


class TranscriptFilteringConfig(ConfigModel):
    """Filters on the finished transcript."""

    remove_disfluencies: bool | None = None
    replacements: list[Replacement] | None = None


class SpeakerInput(ConfigModel):
    """A known speaker: the label to use, and the identifiers that earlier transcripts gave."""

    label: str
    speaker_identifiers: list[str]


class SpeakerDiarizationConfig(ConfigModel):
    """How speakers are told apart; `speaker_sensitivity` is 0 to 1."""

    prefer_current_speaker: bool | None = None
    speaker_sensitivity: float | None = None
    get_speakers: bool | None = None
    speakers: list[SpeakerInput] | None = None


class TranscriptionConfig(ConfigModel):
    """How a recording is transcribed.

    Attributes:
        language: An ISO language code, or ``"auto"``.
        model: The recognition model, one of `Model`.
        operating_point: The old name of `model`; only what is set is sent.
        diarization: ``"none"``, ``"speaker"`` or ``"channel"``.
    """

    language: str | None = "en"
    domain: str | None = None
    output_locale: str | None = None
    model: str | None = None
    operating_point: str | None = None
    additional_vocab: list[AdditionalVocab | dict[str, Any]] | None = None
    punctuation_overrides: PunctuationOverrides | dict[str, Any] | None = None
    diarization: str | None = None
    channel_diarization_labels: list[str] | None = None
    enable_entities: bool | None = None
    max_delay_mode: str | None = None
    audio_filtering_config: AudioFilteringConfig | dict[str, Any] | None = None
    transcript_filtering_config: TranscriptFilteringConfig | dict[str, Any] | None = None
    speaker_diarization_config: SpeakerDiarizationConfig | dict[str, Any] | None = None


class NotificationConfig(ConfigModel):
    """A call that the service makes when the job has ended.

    Attributes:
        url: Where the call goes.
        contents: What it carries, of `NotificationContents`.
        method: ``"post"`` or ``"put"``.
        auth_headers: Whole header lines to send with it.
    """

    url: str
    contents: list[str] | None = None
    method: str | None = None
    auth_headers: list[str] | None = None


class TrackingData(ConfigModel):
    """The caller's own data about a job; the service stores and returns it."""

    title: str | None = None
    reference: str | None = None
    tags: list[str] | None = None
    details: dict[str, Any] | None = None


class SrtOverrides(ConfigModel):
    """The shape of srt output: characters per line, lines per caption."""

    max_line_length: int | None = None
    max_lines: int | None = None


class OutputConfig(ConfigModel):
    """The shape of outputs."""

    srt_overrides: SrtOverrides | dict[str, Any] | None = None


class TranslationConfig(ConfigModel):
    """Into which languages (at most five) to translate."""

    target_languages: list[str]


class LanguageIdentificationConfig(ConfigModel):
    """How the language is found when it is ``"auto"``."""

    expected_languages: list[str] | None = None
    low_confidence_action: str | None = None
    default_language: str | None = None


class SummarizationConfig(ConfigModel):
    """How the transcript is summarised."""

    content_type: str | None = None
    summary_length: str | None = None
    summary_type: str | None = None


class SentimentAnalysisConfig(ConfigModel):
    """Asks for sentiment analysis; it has no settings."""


class TopicDetectionConfig(ConfigModel):
    """Asks for topics, of the given ones if any."""

    topics: list[str] | None = None


class AutoChaptersConfig(ConfigModel):
    """Asks for chapters; it has no settings."""


class AudioEventsConfig(ConfigModel):
    """Asks for audio events (music, laughter, …), of the given types if any."""

    types: list[str] | None = None


class JobConfig(ConfigModel):
    """All that a job is to do. `fetch_data` takes the place of an upload."""

    type: str | None = JobType.TRANSCRIPTION
    fetch_data: FetchData | None = None
    fetch_text: FetchData | None = None
    transcription_config: TranscriptionConfig | None = None
    notification_config: list[NotificationConfig] | None = None
    tracking: TrackingData | None = None
    output_config: OutputConfig | None = None
    translation_config: TranslationConfig | None = None
    language_identification_config: LanguageIdentificationConfig | None = None
    summarization_config: SummarizationConfig | None = None
    sentiment_analysis_config: SentimentAnalysisConfig | None = None
    topic_detection_config: TopicDetectionConfig | None = None
    auto_chapters_config: AutoChaptersConfig | None = None
    audio_events_config: AudioEventsConfig | None = None
