"""A job about to be created, and one just created: arguments in, the service's answer out. No I/O here."""

from collections.abc import Mapping
from typing import Any

import msgspec

from watcher.speechmatics.errors import ConfigurationError
from watcher.speechmatics.job_config import FetchData, FormatType, JobConfig, TranscriptionConfig
from watcher.speechmatics.jobs import JobStatus
from watcher.speechmatics.results import TranscriptResult
from watcher.speechmatics.source import AudioSource, UploadReceipt

__all__ = ["Job", "ProcessingData", "attach_transcript", "sort_out", "submission_options"]


class ProcessingData(msgspec.Struct, omit_defaults=True):
    """Settings for an on-prem worker (``X-SM-Processing-Data``).

    Attributes:
        parallel_engines: How many engines may work on the job at once.
        user_id: Whose job it is.
    """

    parallel_engines: int | None = None
    user_id: str | None = None


class Job(msgspec.Struct):
    """A job that the service has just created.

    Attributes:
        id: Its id. Keep it: it is the only way to the transcript.
        data_name: The recording's name.
        receipt: What was uploaded: size and SHA-256.
        request_id: The id of the request, for the service's support.
        status: How the job stands, only if the submission waited.
        transcript: The transcript, only if the submission waited for it long enough.
        transcript_bytes: The same as the service sent it.
    """

    id: str
    data_name: str
    receipt: UploadReceipt
    request_id: str | None = None
    status: JobStatus | None = None
    transcript: TranscriptResult | str | None = None
    transcript_bytes: bytes | None = None


def sort_out(
    source: AudioSource | FetchData | None,
    config: JobConfig | None,
    transcription_config: TranscriptionConfig | None,
) -> tuple[JobConfig, AudioSource | None]:
    """The whole config, and what to upload (None for a job that fetches its audio).

    Raises:
        ConfigurationError: The arguments contradict each other, or something is missing.
    """
    if config is not None and transcription_config is not None:
        raise ConfigurationError("Give either config or transcription_config, not both.")
    config = config or JobConfig(transcription_config=transcription_config or TranscriptionConfig())
    fetched = config.fetch_data or config.extra_fields.get("fetch_data")
    if isinstance(source, FetchData):
        if fetched:
            raise ConfigurationError("The config already says where to fetch the recording.")
        return msgspec.structs.replace(config, fetch_data=source), None
    if (source is None) == (fetched is None):
        raise ConfigurationError("A job needs either a recording to upload or fetch_data, and not both.")
    return config, source


def submission_options(
    wait: int | None,
    format_: FormatType | str | None,
    processing_data: ProcessingData | Mapping[str, Any] | None,
) -> tuple[dict[str, str], dict[str, str]]:
    """The query and the headers that these options make."""
    params = {}
    if wait is not None:
        params["wait"] = str(wait)
    if format_ is not None:
        params["format"] = str(format_)
    headers = {}
    if processing_data is not None:
        headers["X-SM-Processing-Data"] = msgspec.json.encode(processing_data).decode("utf-8")
    return params, headers


def attach_transcript(job: Job, found: tuple[str, Any] | None) -> None:
    """Give the job the transcript that came with it, as (format, bytes or text), if one did."""
    if found is None:
        return
    kind, content = found
    if kind != FormatType.JSON:
        job.transcript, job.transcript_bytes = content, content.encode("utf-8")
        return
    try:
        job.transcript = msgspec.json.decode(content, type=TranscriptResult)
        job.transcript_bytes = content
    except (ValueError, RecursionError):
        pass  # best effort: the job exists, and its transcript can still be fetched
