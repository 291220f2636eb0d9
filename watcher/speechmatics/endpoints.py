"""The endpoints of the Batch API, one method each, with typed answers."""

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import anyio
import anyio.to_thread
import msgspec

from watcher.speechmatics.answers import JSON_TYPES, Answer, decode, require_type
from watcher.speechmatics.errors import ConfigurationError
from watcher.speechmatics.job_config import FetchData, FormatType, JobConfig, TranscriptionConfig
from watcher.speechmatics.jobs import JobDetails, JobStatus, Usage
from watcher.speechmatics.multipart import build_form
from watcher.speechmatics.new_job import Job, ProcessingData, attach_transcript, sort_out, submission_options
from watcher.speechmatics.paging import as_cursor
from watcher.speechmatics.results import TranscriptResult
from watcher.speechmatics.source import AudioSource, Recording, UploadReceipt
from watcher.speechmatics.submission import BeforeCommit, Progress, Submission, embedded, judge
from watcher.speechmatics.transport import Transport

__all__ = ["Endpoints", "job_path"]

UNAUTHORIZED = 401
TEXT_TYPES = frozenset({"text/plain", "application/x-subrip", "text/srt"})


class Endpoints:
    """What a service can be asked; `AsyncClient` adds what is made of several questions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def submit_job(
        self,
        source: AudioSource | FetchData | None,
        *,
        config: JobConfig | None = None,
        transcription_config: TranscriptionConfig | None = None,
        data_name: str | None = None,
        before_commit: BeforeCommit | None = None,
        progress: Progress | None = None,
        wait: int | None = None,
        format: FormatType | str | None = None,  # noqa: A002 - the API's own name
        processing_data: ProcessingData | Mapping[str, Any] | None = None,
    ) -> Job:
        """Create a job. It is sent once and never again, whatever happens.

        The request's last KiB of audio and its closing boundary are held back until `before_commit` returns;
        a request that never ends creates no job. So the caller can write down that a job may now come to be.

        Args:
            source: The recording: a path, an open binary file that can seek, bytes, (name, bytes), or a
                `FetchData` from which the service fetches it; None if the config has ``fetch_data``.
            config: What the job is to do; by default a plain transcription.
            transcription_config: The same in short, instead of `config`.
            data_name: The recording's name, by default its file's.
            before_commit: Awaited with the `UploadReceipt` when all but the tail has been sent.
            progress: Called with (bytes sent, bytes in all) of the recording, in the event loop's thread.
            wait: Seconds for which the service may hold its answer until the job has ended (cloud only).
            format: The format of the transcript that comes with such an answer.
            processing_data: Settings for an on-prem worker.

        Returns:
            The job.

        Raises:
            SubmissionUnknown: The service may or may not have created the job.
            ApiError: The service refused: no job exists.
            TransportError: It could not be reached or the connection broke before the tail: no job exists.
            SourceError: The recording can't be read, or changed meanwhile: no job exists.
            ConfigurationError: The arguments contradict each other: nothing was sent.
            Exception: What `before_commit` raised, unchanged: no job exists.
        """
        job_config, audio = sort_out(source, config, transcription_config)
        params, headers = submission_options(wait, format, processing_data)
        reference = job_config.tracking.reference if job_config.tracking else None
        target, token = await self._transport.target(params, headers, wait=wait or 0)
        recording = None if audio is None else await _opened(audio, data_name)
        try:
            name = recording.name if recording else None
            form = build_form(job_config, data_name=name, size=recording.size if recording else 0)
            submission = Submission(
                form, recording, reference=reference, before_commit=before_commit, progress=progress
            )
            answer = await submission.send(target)
        finally:
            if recording is not None:
                recording.close()
        now = self._transport.clock.time()
        if answer.status == UNAUTHORIZED:
            self._transport.auth.forget(token.reveal())
        created = judge(answer, tail_sent=submission.tail_sent, reference=reference, now=now, secret=token)
        job = Job(
            created.id,
            name or "",
            submission.receipt or UploadReceipt(name or "", form.size, "", reference),
            request_id=answer.headers.get("x-request-id") or target.request_id,
            status=None if created.status is None else JobStatus(created.status),
        )
        attach_transcript(job, embedded(created))
        return job

    async def get_job(self, job_id: str, wait: int | None = None) -> JobDetails:
        """What the service knows about a job.

        Args:
            job_id: The job's id.
            wait: Seconds for which the service may hold its answer until the job has ended; None leaves it to
                the service, 0 asks for an answer at once.

        Raises:
            NotFound: There is no such job.
            Gone: It has expired.
            SpeechmaticsError: The service can't be asked.
        """
        params = {} if wait is None else {"wait": str(wait)}
        read = partial(decode, kind=_OneJob)
        return (await self._transport.request("GET", job_path(job_id), params, read=read, wait=wait or 0)).job

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Any JSON that the service gives below its base URL, untyped: for what this library doesn't know yet.

        Args:
            path: The path, as ``"/jobs/a1b2c3"``.
            params: The query.

        Raises:
            SpeechmaticsError: The service can't be asked.
        """
        read = partial(decode, kind=dict[str, Any])
        return await self._transport.request("GET", path, dict(params or {}), read=read)

    async def list_jobs(
        self,
        created_before: dt.datetime | str | None = None,
        limit: int | None = None,
        include_deleted: bool | None = None,  # noqa: FBT001 - the API's own parameters, in its order
    ) -> list[JobDetails]:
        """One page of the job list, newest first.

        Args:
            created_before: Only jobs created before this time (to the millisecond); a string is sent as it is.
            limit: At most so many, 1 to 100; without it the service decides.
            include_deleted: Whether to list deleted jobs too.

        Raises:
            SpeechmaticsError: The service can't be asked.
        """
        params = {}
        if created_before is not None:
            params["created_before"] = as_cursor(created_before)
        if limit is not None:
            params["limit"] = str(limit)
        if include_deleted is not None:
            params["include_deleted"] = str(include_deleted).lower()
        return (await self._transport.request("GET", "/jobs", params, read=partial(decode, kind=_ManyJobs))).jobs

    async def delete_job(
        self,
        job_id: str,
        force: bool = False,  # noqa: FBT001, FBT002 - the API's own parameter
    ) -> JobDetails:
        """Delete a job, its recording and its transcript.

        Args:
            job_id: The job's id.
            force: Whether to stop it if it is still running.

        Returns:
            The deleted job.

        Raises:
            Locked: It is running, and `force` was not given.
            NotFound: There is no such job (any more).
            Gone: It has expired.
            SpeechmaticsError: The service can't be asked.
        """
        params = {"force": "true"} if force else {}
        read = partial(decode, kind=_OneJob)
        return (await self._transport.request("DELETE", job_path(job_id), params, read=read)).job

    async def get_transcript(
        self,
        job_id: str,
        format: FormatType | str = FormatType.JSON,  # noqa: A002 - the API's own name
        wait: int | None = None,
    ) -> bytes:
        """A job's transcript, as the service's own bytes.

        Args:
            job_id: The job's id.
            format: ``"json-v2"``, ``"txt"`` or ``"srt"``.
            wait: Seconds for which the service may hold its answer until the transcript is there.

        Raises:
            NotFound: There is no such job, or no transcript yet.
            Gone: It has expired.
            ResponseError: What came is no whole transcript of this format.
            SpeechmaticsError: The service can't be asked.
        """
        params = {"format": str(format)}
        if wait is not None:
            params["wait"] = str(wait)
        read = _whole_json if format == FormatType.JSON else _text
        path = f"{job_path(job_id)}/transcript"
        return await self._transport.request("GET", path, params, read=read, wait=wait or 0)

    async def get_result(self, job_id: str, wait: int | None = None) -> TranscriptResult:
        """A job's transcript in the json-v2 format, typed.

        Args:
            job_id: The job's id.
            wait: As for `get_transcript`.

        Raises:
            SpeechmaticsError: As `get_transcript` does.
        """
        params = {"format": FormatType.JSON.value}
        if wait is not None:
            params["wait"] = str(wait)
        read = partial(decode, kind=TranscriptResult)
        path = f"{job_path(job_id)}/transcript"
        return await self._transport.request("GET", path, params, read=read, wait=wait or 0)

    async def get_log(self, job_id: str) -> bytes:
        """The job's log file.

        Args:
            job_id: The job's id.

        Raises:
            NotFound: There is no such job, or it has no log.
            SpeechmaticsError: The service can't be asked; a server without logs answers 501.
        """
        return await self._transport.request("GET", f"{job_path(job_id)}/log", read=_log_file)

    async def get_usage(self, since: dt.date | None = None, until: dt.date | None = None) -> Usage:
        """How much was transcribed, by whole days.

        Args:
            since: The first day.
            until: The last day.

        Raises:
            SpeechmaticsError: The service can't be asked.
        """
        days = {"since": since, "until": until}
        params = {name: day.isoformat()[:10] for name, day in days.items() if day is not None}
        return await self._transport.request("GET", "/usage", params, read=partial(decode, kind=Usage))


async def _opened(audio: AudioSource, data_name: str | None) -> Recording:
    # A cancellation meanwhile must not lose the open file.
    with anyio.CancelScope(shield=True):
        recording = await anyio.to_thread.run_sync(Recording.open, audio, data_name)
    return recording  # noqa: RET504 - a scope may swallow, say the types


def _whole_json(answer: Answer) -> bytes:
    decode(answer, dict[str, msgspec.Raw])
    return answer.body


def _text(answer: Answer) -> bytes:
    require_type(answer, TEXT_TYPES)
    return answer.body


def _log_file(answer: Answer) -> bytes:
    require_type(answer, TEXT_TYPES | JSON_TYPES | {"application/octet-stream", ""})
    return answer.body


class _OneJob(msgspec.Struct):
    job: JobDetails


class _ManyJobs(msgspec.Struct):
    jobs: list[JobDetails]


def job_path(job_id: str) -> str:
    """The path of a job below the base URL; an id with a slash in it must not ask for something else.

    Raises:
        ConfigurationError: It can't be an id.
    """
    if job_id in {"", ".", ".."}:
        raise ConfigurationError(f"{job_id!r} is not a job id.")
    return f"/jobs/{quote(job_id, safe='')}"
