"""Turns a job's config into a task, and what was recognised into the job's transcript. Pure."""

from pathlib import Path
from typing import Any

import msgspec

from service.batch_server import capabilities
from service.batch_server.job import Job, job_info, now_micros, timestamp
from service.batch_server.job_config import JobConfig, TranscriptionConfig
from service.batch_server.recognition.messages import Identification, Recognition, Task
from service.batch_server.transcript import filters, items, json_v2, languages, speakers

ORCHESTRATOR_VERSION = "2.0.0+dropscribe"
DEFAULT_SENSITIVITY = 0.5


def task(config: JobConfig, audio: Path, *, longest: float) -> Task:
    """Build the worker's task for a job.

    Args:
        longest: Seconds; longer audio is refused.
    """
    wanted = config.transcription_config
    filtering = wanted.audio_filtering_config
    return Task(
        audio=audio,
        language=None if wanted.language == languages.AUTO else languages.whisper_code(wanted.language),
        identification=_identification(config),
        by_channel=wanted.diarization == "channel",
        vocabulary=tuple(entry.content for entry in wanted.additional_vocab if entry.content.strip()),
        volume_threshold=filtering.volume_threshold if filtering is not None else None,
        longest=longest,
        speaker_sensitivity=_sensitivity(wanted) if wanted.diarization == "speaker" else None,
    )


def _identification(config: JobConfig) -> Identification:
    given = config.language_identification_config
    if given is None:
        return Identification()
    return Identification(
        expected=tuple(languages.whisper_code(language) for language in given.expected_languages),
        when_unsure=given.low_confidence_action or "reject",
        default=languages.whisper_code(given.default_language) if given.default_language is not None else None,
    )


def _sensitivity(wanted: TranscriptionConfig) -> float:
    options = wanted.speaker_diarization_config
    given = options.speaker_sensitivity if options is not None else None
    return DEFAULT_SENSITIVITY if given is None else given


def transcript(job: Job, config: JobConfig, recognition: Recognition, *, created: int | None = None) -> bytes:
    """Build the json-v2 transcript of a job.

    Args:
        created: When the transcript was made, microseconds since 1970; ``None`` means now.
    """
    language = language_of(config, recognition)
    return json_v2.render(
        _items(config, recognition, language),
        language=language,
        job=job_info(job, duration=recognition.duration, tracking=config.tracking),
        metadata=_metadata(config, recognition, now_micros() if created is None else created),
    )


def language_of(config: JobConfig, recognition: Recognition) -> str:
    """Return Speechmatics' code of the transcript's language."""
    wanted = config.transcription_config.language
    return languages.speechmatics_code(recognition.language) if wanted == languages.AUTO else wanted


def _items(config: JobConfig, recognition: Recognition, language: str) -> list[items.Item]:
    wanted = config.transcription_config
    by_channel = wanted.diarization == "channel"
    spaced = bool(languages.word_delimiter(language))
    channels: list[list[items.Item]] = []
    for number, words in enumerate(recognition.channels):
        label: str | None = None
        if by_channel:
            labels = wanted.channel_diarization_labels
            label = labels[number] if number < len(labels) else f"channel_{number + 1}"
        channels.append(list(items.split(items.joined(words) if spaced else words, channel=label)))
    found = items.merged(channels) if by_channel else channels[0]
    if recognition.turns is not None:
        options = wanted.speaker_diarization_config
        steady = options is not None and options.prefer_current_speaker
        found = speakers.labelled(found, recognition.turns, prefer_current=steady)
    return _filtered(found, config, language)


def _filtered(found: list[items.Item], config: JobConfig, language: str) -> list[items.Item]:
    wanted = config.transcription_config
    filtering = wanted.transcript_filtering_config
    punctuation = wanted.punctuation_overrides
    found = filters.with_disfluencies(found, language, remove=filtering is not None and filtering.remove_disfluencies)
    if filtering is not None:
        found = filters.with_replacements(found, [(pair.from_, pair.to) for pair in filtering.replacements])
    if punctuation is not None:
        found = list(filters.with_permitted_marks(found, punctuation.permitted_marks))
    return found


def _metadata(config: JobConfig, recognition: Recognition, created: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "created_at": timestamp(created),
        "type": config.type,
        "transcription_config": msgspec.to_builtins(config.transcription_config),
        "orchestrator_version": ORCHESTRATOR_VERSION,
    }
    metadata.update(capabilities.missing_products(config))
    if remarks := [*capabilities.notes(config), *recognition.notes]:
        metadata["notes"] = remarks  # beyond what the API documents, which has no place for them
    if config.output_config is not None:
        metadata["output_config"] = msgspec.to_builtins(config.output_config)
    if config.transcription_config.language == languages.AUTO:
        metadata["language_identification"] = _identified(recognition)
    return metadata


def _identified(recognition: Recognition) -> dict[str, Any]:
    """Build the ``LanguageIdentificationResult``."""
    if not recognition.language_candidates:
        return {"results": [], "error": "NO_SPEECH", "message": "This recording contains no speech"}
    alternatives = [
        {"language": languages.speechmatics_code(language), "confidence": confidence}
        for language, confidence in recognition.language_candidates
    ]
    span = {"start_time": 0.0, "end_time": round(recognition.duration, 2)}
    found: dict[str, Any] = {"results": [{"alternatives": alternatives, **span}]}
    if recognition.language != recognition.language_candidates[0][0]:
        found |= {"error": "LOW_CONFIDENCE", "message": "No language is likely enough; the default language was used"}
    return found
