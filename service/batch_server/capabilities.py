"""Decides for each part of a job's config: honour it, refuse it, or note that it has no effect. Pure.

Refused is whatever would lead to a different result than requested. Additions that this server can't make (a
translation, a summary) are reported in the transcript's ``metadata``, as the API provides, and in the job's log.
"""

from typing import Any, Final

from service.batch_server.errors import BadConfig
from service.batch_server.job_config import (
    MAX_NOTIFICATIONS,
    JobConfig,
    LanguageIdentification,
    SpeakerDiarization,
    TranscriptionConfig,
)
from service.batch_server.outbound import ssrf
from service.batch_server.transcript import languages

_LOCAL: Final = "this server runs speech recognition only"


def check(
    config: JobConfig, *, model: str, fetching: bool = False, notifying: bool = False, diarizing: bool = False
) -> None:
    """Refuse a config that can't be honoured without giving a wrong result.

    Args:
        model: Name of the Whisper model; names ending in ``.en`` are English only.
        fetching: Whether the server may fetch audio.
        notifying: Whether the server may call webhooks.
        diarizing: Whether speaker diarization is installed.

    Raises:
        BadConfig: The detail names the field, and what to do instead.
    """
    transcription = config.transcription_config
    _check_language(transcription.language, model)
    if config.fetch_text is not None:
        raise BadConfig("fetch_text belongs to alignment jobs, which this server does not do")
    if config.fetch_data is not None and not fetching:
        raise BadConfig(
            "fetch_data: this server fetches audio only if it is started with --allow-fetch; "
            "send the audio as data_file"
        )
    if len(config.notification_config) > MAX_NOTIFICATIONS:
        raise BadConfig(
            f"notification_config: at most {MAX_NOTIFICATIONS} notifications are allowed, "
            f"got {len(config.notification_config)}"
        )
    if config.notification_config and not notifying:
        raise BadConfig(
            "notification_config: this server calls webhooks only if it is started with --allow-notify; "
            "poll the job instead: GET /jobs/{jobid}?wait=60 answers as soon as it has ended"
        )
    if config.language_identification_config is not None:
        _check_identification(config.language_identification_config, model)
    _check_addresses(config)
    if transcription.diarization == "speaker":
        _check_speakers(transcription.speaker_diarization_config, diarizing=diarizing)
    filtering = transcription.transcript_filtering_config
    for replacement in filtering.replacements if filtering is not None else ():
        if len(replacement.from_) > 1 and replacement.from_.startswith("/") and replacement.from_.endswith("/"):
            raise BadConfig(
                "transcription_config.transcript_filtering_config.replacements: only words and phrases are supported, "
                f"not regular expressions such as {replacement.from_!r}"
            )


def _check_speakers(options: SpeakerDiarization | None, *, diarizing: bool) -> None:
    if not diarizing:
        raise BadConfig(
            "transcription_config.diarization: speaker diarization isn't installed on this server; install it with: "
            "pip install 'dropscribe[diarization]', or use 'none' or 'channel'",
            error="Requested product not available",
        )
    if options is not None and options.speakers:
        raise BadConfig(
            "transcription_config.speaker_diarization_config.speakers: this server can't recognise speakers from other "
            "recordings; leave the field out, and speakers are named S1, S2, …"
        )


def _check_addresses(config: JobConfig) -> None:
    named = [(f"notification_config[{number}]", item) for number, item in enumerate(config.notification_config)]
    for field, item in [("fetch_data", config.fetch_data), *named]:
        if item is None:
            continue
        try:
            ssrf.split(item.url)
            for line in item.auth_headers:
                ssrf.split_header(line)
        except (ssrf.ForbiddenAddress, ValueError) as error:
            raise BadConfig(f"{field}: {error}") from error


def _check_language(language: str, model: str) -> None:
    if not language:
        raise BadConfig("transcription_config.language is empty", error="No language selected")
    if language != languages.AUTO:
        _check_known(language, model, field="transcription_config.language")


def _check_known(language: str, model: str, *, field: str) -> None:
    if language not in languages.NAMES:
        raise BadConfig(
            f"{field}: {language!r} is not supported by Whisper models; "
            "give an ISO code such as 'en' or 'de', or 'auto' for transcription_config.language"
        )
    if model.endswith(".en") and language != "en":
        raise BadConfig(
            f"{field}: this server's model {model!r} only supports English, not {language!r}; "
            "choose a multilingual model such as 'base' (--model, or [local] in the config)"
        )


def _check_identification(wanted: LanguageIdentification, model: str) -> None:
    field = "language_identification_config"
    if wanted.low_confidence_action == "use_default_language" and wanted.default_language is None:
        raise BadConfig(f"{field}.default_language is missing; low_confidence_action requires it")
    for number, language in enumerate(wanted.expected_languages):
        if language not in languages.NAMES:
            raise BadConfig(f"{field}.expected_languages[{number}]: {language!r} is not supported by Whisper")
    if wanted.default_language is not None:
        _check_known(wanted.default_language, model, field=f"{field}.default_language")


def missing_products(config: JobConfig) -> dict[str, list[dict[str, str]]]:
    """List the requested results that this server can't deliver, as ``RecognitionMetadata`` reports them."""
    errors: dict[str, list[dict[str, str]]] = {}

    def add(part: Any, field: str, kind: str, what: str) -> None:  # noqa: ANN401 - any part of the config
        if part is not None:
            errors[field] = [{"type": kind, "message": f"No {what}: {_LOCAL}"}]

    add(config.translation_config, "translation_errors", "translation_failed", "translation")
    add(config.summarization_config, "summarization_errors", "summarization_failed", "summary")
    add(
        config.sentiment_analysis_config,
        "sentiment_analysis_errors",
        "sentiment_analysis_failed",
        "sentiment analysis",
    )
    add(config.topic_detection_config, "topic_detection_errors", "topic_detection_failed", "topics")
    add(config.auto_chapters_config, "auto_chapters_errors", "auto_chapters_failed", "chapters")
    return errors


def notes(config: JobConfig) -> list[str]:
    """List the settings that have no effect here, one sentence each, for the job's log and the metadata."""
    found = [f"{error['message']}." for errors in missing_products(config).values() for error in errors]
    found += [f"transcription_config.{field}: {why}." for field, why in _without_effect(config.transcription_config)]
    if config.audio_events_config is not None:
        found.append(f"audio_events_config: no audio events; {_LOCAL}.")
    if config.language_identification_config is not None and config.transcription_config.language != languages.AUTO:
        found.append("language_identification_config: no effect; the language is fixed.")
    return found


def _without_effect(wanted: TranscriptionConfig) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def add(part: object, field: str, why: str) -> None:
        if part:
            found.append((field, why))

    one_model = "no effect; the model is chosen when the server is started"
    add(wanted.model, "model", one_model)
    add(wanted.operating_point, "operating_point", one_model)
    add(wanted.domain, "domain", one_model)
    add(wanted.output_locale, "output_locale", "no effect; the spelling is the model's")
    add(wanted.enable_entities, "enable_entities", "no entity items; the model formats numbers and dates itself")
    add(wanted.max_delay_mode, "max_delay_mode", "no effect on recordings")
    add(
        any(entry.sounds_like for entry in wanted.additional_vocab),
        "additional_vocab.sounds_like",
        "no effect; only the words are suggested to the model",
    )
    add(
        any(not entry.content.strip() for entry in wanted.additional_vocab),
        "additional_vocab",
        "entries with empty content have no effect",
    )
    filtering = wanted.transcript_filtering_config
    add(
        filtering is not None and any(not pair.from_.strip() for pair in filtering.replacements),
        "transcript_filtering_config.replacements",
        "entries with an empty 'from' have no effect",
    )
    punctuation = wanted.punctuation_overrides
    add(
        punctuation is not None and punctuation.sensitivity is not None,
        "punctuation_overrides.sensitivity",
        "no effect; use permitted_marks",
    )
    add(
        wanted.channel_diarization_labels and wanted.diarization != "channel",
        "channel_diarization_labels",
        "no effect without diarization 'channel'",
    )
    add(
        wanted.speaker_diarization_config is not None and wanted.diarization != "speaker",
        "speaker_diarization_config",
        "no effect without diarization 'speaker'",
    )
    speakers = wanted.speaker_diarization_config
    add(
        wanted.diarization == "speaker" and speakers is not None and speakers.get_speakers,
        "speaker_diarization_config.get_speakers",
        "no identifiers; voices are only compared within a recording",
    )
    return found
