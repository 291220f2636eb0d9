"""`AsyncClient`: the Batch API, one method per thing it can do."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, Literal, Self, overload

import anyio
import anyio.to_thread
import msgspec

from watcher.speechmatics.answers import JSON_TYPES, decode, require_type
from watcher.speechmatics.auth import Auth, StaticKeyAuth
from watcher.speechmatics.errors import (
    ConfigurationError,
    Gone,
    JobExpired,
    JobTimeout,
    NotFound,
)
from watcher.speechmatics.job_config import FetchData, FormatType, JobConfig, TranscriptionConfig
from watcher.speechmatics.jobs import JobDetails, JobStatus, Usage
from watcher.speechmatics.multipart import build_form
from watcher.speechmatics.paging import LARGEST_PAGE, JobPager, as_cursor
from watcher.speechmatics.regions import default_url
from watcher.speechmatics.results import TranscriptResult
from watcher.speechmatics.source import AudioSource, Recording, UploadReceipt
from watcher.speechmatics.submission import BeforeCommit, Progress, Submission, embedded, judge
from watcher.speechmatics.timing import Clock, RetryPolicy, SystemClock, Timeouts
from watcher.speechmatics.transport import Limiter, Network, Transport, normalised_url
from watcher.speechmatics.waiting import Patience, raise_if_failed

__all__ = ["AsyncClient", "Job", "ProcessingData"]

DEFAULT_TIMEOUT = 3600.0
TEXT_TYPES = frozenset({"text/plain", "application/x-subrip", "text/srt"})
NOT_READY_TRIES = 5

TextFormat = Literal["txt", "srt", FormatType.TXT, FormatType.SRT]
JsonFormat = Literal["json-v2", FormatType.JSON]


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


class AsyncClient:
    """A client of a Speechmatics Batch service: the cloud, an on-prem box, or one that speaks the same.

    It opens connections when they are first needed; use it as an async context manager, or call `close`.

    Args:
        api_key: The API key, by default from ``SPEECHMATICS_API_KEY``.
        url: The service's base URL, by default from ``SPEECHMATICS_BATCH_URL``, else the EU1 region's; see
            `Region`.
        auth: Another way to say who is asking, such as `JWTAuth`, instead of `api_key`.
        limiter: Asked for leave before every request.
        timeouts: How long a connection may stall.
        retry: When a GET or DELETE is tried again after a passing failure.
        clock: What tells the time and waits.
        ssl_context: TLS settings other than the default ones.
        proxy: A proxy's URL; by default the environment's, and none to this machine; ``""`` for none at all.

    Raises:
        ConfigurationError: There is no usable key or URL.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        url: str | None = None,
        auth: Auth | None = None,
        limiter: Limiter | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
    ) -> None:
        if auth is not None and api_key is not None:
            raise ConfigurationError("Give either api_key or auth, not both.")
        self._transport = Transport(
            normalised_url(url or default_url()),
            auth or StaticKeyAuth(api_key),
            timeouts=timeouts or Timeouts(),
            retry=retry or RetryPolicy(),
            clock=clock or SystemClock(),
            limiter=limiter,
            network=Network(ssl_context, proxy),
        )

    @property
    def url(self) -> str:
        """The service's base URL."""
        return self._transport.url

    def __repr__(self) -> str:
        """Name the service, not the key."""
        return f"AsyncClient(url={self.url!r})"

    async def __aenter__(self) -> Self:
        """Use the client; `close` it at the end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.close()

    async def close(self) -> None:
        """Close all connections. The client may be used again."""
        await self._transport.aclose()

    # Submitting

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
        job_config, audio = _sort_out(source, config, transcription_config)
        params, headers = _submission_options(wait, format, processing_data)
        reference = job_config.tracking.reference if job_config.tracking else None
        recording = (
            None if audio is None else await anyio.to_thread.run_sync(Recording.open, audio, data_name)
        )
        try:
            name = recording.name if recording else None
            form = build_form(job_config, data_name=name, size=recording.size if recording else 0)
            submission = Submission(
                form, recording, reference=reference, before_commit=before_commit, progress=progress
            )
            target, token = await self._transport.target(params, headers, wait=wait or 0)
            answer = await submission.send(target)
        finally:
            if recording is not None:
                recording.close()
        now = self._transport.clock.time()
        created = judge(answer, tail_sent=submission.tail_sent, reference=reference, now=now, secret=token)
        job = Job(
            created.id,
            name or "",
            submission.receipt or UploadReceipt(name or "", form.size, "", reference),
            request_id=answer.headers.get("x-request-id") or target.request_id,
            status=None if created.status is None else JobStatus(created.status),
        )
        _attach_transcript(job, embedded(created))
        return job

    async def transcribe(
        self,
        source: AudioSource | FetchData,
        *,
        config: JobConfig | None = None,
        transcription_config: TranscriptionConfig | None = None,
        data_name: str | None = None,
        progress: Progress | None = None,
        polling_interval: float = 5.0,
        timeout: float | None = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - the official SDK's name
    ) -> TranscriptResult:
        """Submit a recording, wait for its job, and give the transcript.

        Args:
            source: The recording, as for `submit_job`.
            config: What the job is to do.
            transcription_config: The same in short.
            data_name: The recording's name.
            progress: As for `submit_job`.
            polling_interval: As for `wait_for_completion`.
            timeout: Seconds to wait for the job once it is submitted; None waits for ever.

        Raises:
            SpeechmaticsError: As `submit_job` and `wait_for_completion` do.
        """
        job = await self.submit_job(
            source,
            config=config,
            transcription_config=transcription_config,
            data_name=data_name,
            progress=progress,
        )
        return await self.wait_for_completion(job.id, polling_interval=polling_interval, timeout=timeout)

    # Jobs

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
        answer = await self._transport.request("GET", _job_path(job_id), params, wait=wait or 0)
        return decode(answer, _OneJob).job

    async def list_jobs(
        self,
        created_before: dt.datetime | None = None,
        limit: int | None = None,
        include_deleted: bool | None = None,  # noqa: FBT001 - the API's own parameters, in its order
    ) -> list[JobDetails]:
        """One page of the job list, newest first.

        Args:
            created_before: Only jobs created before this time (to the millisecond).
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
        return decode(await self._transport.request("GET", "/jobs", params), _ManyJobs).jobs

    async def iter_job_pages(
        self,
        *,
        created_before: dt.datetime | None = None,
        created_after: dt.datetime | None = None,
        page_size: int = LARGEST_PAGE,
        include_deleted: bool | None = None,
    ) -> AsyncIterator[list[JobDetails]]:
        """The whole job list, newest first, page by page; no job is left out or given twice.

        Args:
            created_before: Where to begin, by default with the newest job.
            created_after: Where it is enough: no further page is asked for once one reaches back to this
                time.
            page_size: How many jobs to ask for at once, 1 to 100.
            include_deleted: Whether to list deleted jobs too.

        Yields:
            The jobs of each page that were on none before it.

        Raises:
            PagingStalled: The list does not move on, so that jobs could be missed.
            SpeechmaticsError: The service can't be asked.
        """
        pager = JobPager(created_before, page_size)
        while not pager.done:
            page = await self.list_jobs(pager.cursor, pager.limit, include_deleted)
            new = pager.accept(page)
            if new:
                yield new
            if created_after is not None and any(job.created < created_after for job in new):
                return

    async def iter_jobs(
        self,
        *,
        created_before: dt.datetime | None = None,
        created_after: dt.datetime | None = None,
        page_size: int = LARGEST_PAGE,
        include_deleted: bool | None = None,
    ) -> AsyncIterator[JobDetails]:
        """The whole job list, newest first, job by job: see `iter_job_pages`."""
        async for page in self.iter_job_pages(
            created_before=created_before,
            created_after=created_after,
            page_size=page_size,
            include_deleted=include_deleted,
        ):
            for job in page:
                yield job

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
        return decode(await self._transport.request("DELETE", _job_path(job_id), params), _OneJob).job

    # Transcripts

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
        answer = await self._transport.request(
            "GET", f"{_job_path(job_id)}/transcript", params, wait=wait or 0
        )
        if format == FormatType.JSON:
            decode(answer, dict[str, msgspec.Raw])
        else:
            require_type(answer, TEXT_TYPES)
        return answer.body

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
        answer = await self._transport.request(
            "GET", f"{_job_path(job_id)}/transcript", params, wait=wait or 0
        )
        return decode(answer, TranscriptResult)

    async def get_log(self, job_id: str) -> bytes:
        """The job's log file.

        Args:
            job_id: The job's id.

        Raises:
            NotFound: There is no such job, or it has no log.
            SpeechmaticsError: The service can't be asked; a server without logs answers 501.
        """
        answer = await self._transport.request("GET", f"{_job_path(job_id)}/log")
        require_type(answer, TEXT_TYPES | JSON_TYPES | {"application/octet-stream", ""})
        return answer.body

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
        return decode(await self._transport.request("GET", "/usage", params), Usage)

    # Waiting

    @overload
    async def wait_for_completion(
        self,
        job_id: str,
        *,
        format_type: JsonFormat = ...,
        polling_interval: float = ...,
        min_polling_interval: float = ...,
        timeout: float | None = ...,  # noqa: ASYNC109 - the official SDK's name
    ) -> TranscriptResult: ...

    @overload
    async def wait_for_completion(
        self,
        job_id: str,
        *,
        format_type: TextFormat,
        polling_interval: float = ...,
        min_polling_interval: float = ...,
        timeout: float | None = ...,  # noqa: ASYNC109 - the official SDK's name
    ) -> str: ...

    async def wait_for_completion(
        self,
        job_id: str,
        *,
        format_type: JsonFormat | TextFormat = FormatType.JSON,
        polling_interval: float = 5.0,
        min_polling_interval: float = 0.5,
        timeout: float | None = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - the official SDK's name
    ) -> TranscriptResult | str:
        """Wait until a job has ended, and give its transcript.

        Servers that hold a request until the job ends (``wait``) are asked so; others are polled, from
        `min_polling_interval` up to `polling_interval`.

        Args:
            job_id: The job's id.
            format_type: The transcript's format: json-v2 comes typed, txt and srt as text.
            polling_interval: The longest pause between two polls, in seconds.
            min_polling_interval: The first pause, in seconds.
            timeout: Seconds to wait in all; None waits for ever.

        Raises:
            JobFailed: The job was rejected (with the service's reasons), was deleted, or has expired.
            JobTimeout: It is still running after `timeout` seconds.
            SpeechmaticsError: The service can't be asked.
        """
        patience = Patience(interval=polling_interval, first=min_polling_interval)
        await self._wait_until_done(job_id, patience, timeout)
        for left in reversed(range(NOT_READY_TRIES)):
            try:
                if format_type == FormatType.JSON:
                    return await self.get_result(job_id)
                return (await self.get_transcript(job_id, format_type)).decode("utf-8", errors="replace")
            except NotFound:
                # The job is done, but its transcript has not reached every corner of the service.
                if not left:
                    raise
            except Gone as error:
                raise JobExpired(job_id) from error
            await self._transport.clock.sleep(patience.pause(0, 0.0))
        raise AssertionError("unreachable")

    async def _wait_until_done(self, job_id: str, patience: Patience, limit: float | None) -> None:
        clock = self._transport.clock
        began = clock.monotonic()
        while True:
            asked_at = clock.monotonic()
            left = None if limit is None else limit - (asked_at - began)
            wait = patience.wait(left)
            try:
                job = await self.get_job(job_id, wait=wait)
            except Gone as error:
                raise JobExpired(job_id) from error
            raise_if_failed(job)
            if job.status == JobStatus.DONE:
                return
            now = clock.monotonic()
            pause = patience.pause(wait, now - asked_at)
            if limit is not None:
                if now - began >= limit:
                    raise JobTimeout(job_id, limit)
                pause = min(pause, limit - (now - began))
            await clock.sleep(pause)


class _OneJob(msgspec.Struct):
    job: JobDetails


class _ManyJobs(msgspec.Struct):
    jobs: list[JobDetails]


def _job_path(job_id: str) -> str:
    # Ids come from the service; one with a slash or a question mark would ask for something else.
    if not job_id or not all(each.isalnum() or each in "-_" for each in job_id):
        raise ConfigurationError(f"{job_id!r} is not a job id.")
    return f"/jobs/{job_id}"


def _sort_out(
    source: AudioSource | FetchData | None,
    config: JobConfig | None,
    transcription_config: TranscriptionConfig | None,
) -> tuple[JobConfig, AudioSource | None]:
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


def _submission_options(
    wait: int | None,
    format_: FormatType | str | None,
    processing_data: ProcessingData | Mapping[str, Any] | None,
) -> tuple[dict[str, str], dict[str, str]]:
    params = {}
    if wait is not None:
        params["wait"] = str(wait)
    if format_ is not None:
        params["format"] = str(format_)
    headers = {}
    if processing_data is not None:
        headers["X-SM-Processing-Data"] = msgspec.json.encode(processing_data).decode("utf-8")
    return params, headers


def _attach_transcript(job: Job, found: tuple[str, Any] | None) -> None:
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
