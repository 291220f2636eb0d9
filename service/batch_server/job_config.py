"""The ``JobConfig`` of the API, as strict as it is documented.

The structs follow the definitions of the published Batch API specification. Unknown fields are refused, and the error
names them: if a mistyped option were ignored, the transcript would silently differ from what was requested. A field
that is ``null`` counts as missing, because many programs write out the fields that they leave open.
"""

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from service.batch_server.errors import BadConfig

Fraction = Annotated[float, Meta(ge=0, le=1)]
Model = Literal["standard", "enhanced", "melia-1"]
MAX_NOTIFICATIONS: Final = 3
MAX_VOCABULARY: Final = 1000


class _Documented(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all parts of a config: only documented fields are accepted."""


class Vocabulary(_Documented):
    """A word or phrase to recognise, and what it may sound like."""

    content: str
    sounds_like: tuple[str, ...] = ()


class PunctuationOverrides(_Documented):
    """Which punctuation the client wants."""

    sensitivity: Fraction | None = None
    permitted_marks: tuple[Annotated[str, Meta(pattern=r"^(.|all)\Z")], ...] | None = None


class AudioFiltering(_Documented):
    """Below which volume (0 to 100) audio is not transcribed."""

    volume_threshold: Annotated[float, Meta(ge=0, le=100)] | None = None


class Replacement(_Documented, rename={"from_": "from"}):
    """A text to find, and what to write in its place."""

    from_: str
    to: str


class TranscriptFiltering(_Documented):
    """Changes to the finished text."""

    remove_disfluencies: bool = False
    replacements: tuple[Replacement, ...] = ()


class KnownSpeaker(_Documented):
    """A speaker by identifiers that an earlier transcript returned."""

    label: Annotated[str, Meta(min_length=1)]
    speaker_identifiers: Annotated[tuple[str, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Check that identifiers are unique, as the specification requires.

        Raises:
            ValueError: If they aren't.
        """
        if len(set(self.speaker_identifiers)) < len(self.speaker_identifiers):
            raise ValueError("An identifier occurs twice")


class SpeakerDiarization(_Documented):
    """Options of speaker diarization."""

    prefer_current_speaker: bool = False
    speaker_sensitivity: Fraction | None = None
    get_speakers: bool = False
    speakers: tuple[KnownSpeaker, ...] = ()


class TranscriptionConfig(_Documented):
    """``TranscriptionConfig``: how the audio is to be transcribed."""

    language: str
    domain: str | None = None
    output_locale: str | None = None
    model: Model | None = None
    operating_point: Model | None = None
    additional_vocab: Annotated[tuple[Vocabulary, ...], Meta(max_length=MAX_VOCABULARY)] = ()
    punctuation_overrides: PunctuationOverrides | None = None
    diarization: Literal["none", "speaker", "channel"] = "none"
    channel_diarization_labels: tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9._]+\Z")], ...] = ()
    enable_entities: bool = False
    max_delay_mode: Literal["fixed", "flexible"] | None = None
    audio_filtering_config: AudioFiltering | None = None
    transcript_filtering_config: TranscriptFiltering | None = None
    speaker_diarization_config: SpeakerDiarization | None = None


class Fetch(_Documented):
    """Where the server fetches the audio from."""

    url: str
    auth_headers: tuple[str, ...] = ()


class Notification(_Documented):
    """Whom to tell when the job has ended, and what to send."""

    url: str
    contents: (
        tuple[
            Literal[
                "jobinfo",
                "transcript",
                "transcript.json-v2",
                "transcript.txt",
                "transcript.srt",
                "data",
                "text",
            ],
            ...,
        ]
        | None
    ) = None
    method: Literal["post", "put"] = "post"
    auth_headers: tuple[str, ...] = ()


class Tracking(_Documented):
    """The client's own data about the job."""

    title: str | None = None
    reference: str | None = None
    tags: tuple[str, ...] = ()
    details: dict[str, Any] | None = None


class SrtOverrides(_Documented):
    """Limits of a subtitle; 0 stands for the default."""

    max_line_length: Annotated[int, Meta(ge=0)] | None = None
    max_lines: Annotated[int, Meta(ge=0)] | None = None


class OutputConfig(_Documented):
    """How transcripts are formatted."""

    srt_overrides: SrtOverrides | None = None


class Translation(_Documented):
    """Languages to translate into."""

    target_languages: Annotated[tuple[str, ...], Meta(max_length=5)]


class LanguageIdentification(_Documented):
    """Options for identifying the language."""

    expected_languages: tuple[str, ...] = ()
    low_confidence_action: Literal["allow", "reject", "use_default_language"] | None = None
    default_language: str | None = None


class Summarization(_Documented):
    """What kind of summary to write."""

    content_type: Literal["auto", "informative", "conversational"] | None = None
    summary_length: Literal["brief", "detailed"] | None = None
    summary_type: Literal["paragraphs", "bullets"] | None = None


class TopicDetection(_Documented):
    """Topics to look for."""

    topics: tuple[str, ...] = ()


class Nothing(_Documented):
    """A part of the config without documented fields; only its presence matters."""


class AudioEvents(_Documented):
    """Kinds of sounds to look for."""

    types: tuple[str, ...] = ()


class JobConfig(_Documented):
    """``JobConfig``: everything that a client specifies about a job."""

    type: Literal["transcription"]
    transcription_config: TranscriptionConfig
    fetch_data: Fetch | None = None
    fetch_text: Fetch | None = None
    notification_config: tuple[Notification, ...] = ()
    tracking: Tracking | None = None
    output_config: OutputConfig | None = None
    translation_config: Translation | None = None
    language_identification_config: LanguageIdentification | None = None
    summarization_config: Summarization | None = None
    sentiment_analysis_config: Nothing | None = None
    topic_detection_config: TopicDetection | None = None
    auto_chapters_config: Nothing | None = None
    audio_events_config: AudioEvents | None = None

    @property
    def reference(self) -> str | None:
        """The client's own identifier for the job, if there is one."""
        return self.tracking.reference if self.tracking is not None else None


def parse(raw: bytes) -> JobConfig:
    """Parse a job's config, JSON.

    Raises:
        BadConfig: If it isn't JSON, or isn't a documented config; the detail names the field.
    """
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), JobConfig)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadConfig(f"Job config is invalid: {error}") from error


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Remove fields that are null, except in ``tracking.details``, which is the client's own."""
    if isinstance(value, dict):
        return {
            name: inner if name == "details" else _without_nulls(inner)
            for name, inner in value.items()
            if inner is not None
        }
    return [_without_nulls(inner) for inner in value] if isinstance(value, list) else value
