"""`AsyncClient`: the Batch API, and what is made of several of its requests."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Literal, Self, overload

from watcher.speechmatics.auth import Auth, StaticKeyAuth
from watcher.speechmatics.endpoints import Endpoints
from watcher.speechmatics.errors import ConfigurationError, Gone, JobExpired, JobTimeout, NotFound
from watcher.speechmatics.job_config import FetchData, FormatType, JobConfig, TranscriptionConfig
from watcher.speechmatics.jobs import JobDetails
from watcher.speechmatics.paging import LARGEST_PAGE, JobPager
from watcher.speechmatics.regions import default_url
from watcher.speechmatics.results import TranscriptResult
from watcher.speechmatics.source import AudioSource
from watcher.speechmatics.submission import Progress
from watcher.speechmatics.timing import Clock, RetryPolicy, SystemClock, Timeouts
from watcher.speechmatics.transport import Limiter, Network, Transport, normalised_url
from watcher.speechmatics.waiting import Patience, raise_if_failed

__all__ = ["AsyncClient"]

DEFAULT_TIMEOUT = 3600.0
NOT_READY_TRIES = 5

TextFormat = Literal["txt", "srt", FormatType.TXT, FormatType.SRT]
JsonFormat = Literal["json-v2", FormatType.JSON]


class AsyncClient(Endpoints):
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
        transport = Transport(
            normalised_url(url or default_url()),
            auth or StaticKeyAuth(api_key),
            timeouts=timeouts or Timeouts(),
            retry=retry or RetryPolicy(),
            clock=clock or SystemClock(),
            limiter=limiter,
            network=Network(ssl_context, proxy),
        )
        super().__init__(transport)

    @property
    def url(self) -> str:
        """The service's base URL."""
        return self._transport.url

    def key_digest(self, salt: bytes) -> str:
        """What tells this client's key apart from others, and doesn't give it away: see `Auth.digest`."""
        return self._transport.auth.digest(salt)

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

    # Transcribing

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

    # Listing

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
        job = await self.wait_for_job(
            job_id,
            polling_interval=polling_interval,
            min_polling_interval=min_polling_interval,
            timeout=timeout,
        )
        raise_if_failed(job)
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
            await self._transport.clock.sleep(min_polling_interval)
        raise AssertionError("unreachable")

    async def wait_for_job(
        self,
        job_id: str,
        *,
        polling_interval: float = 5.0,
        min_polling_interval: float = 0.5,
        timeout: float | None = DEFAULT_TIMEOUT,  # noqa: ASYNC109 - the official SDK's name
    ) -> JobDetails:
        """Wait until a job has ended, well or not.

        Args:
            job_id: The job's id.
            polling_interval: As for `wait_for_completion`.
            min_polling_interval: As for `wait_for_completion`.
            timeout: Seconds to wait in all; None waits for ever.

        Returns:
            The ended job: done, rejected or deleted.

        Raises:
            JobExpired: The service no longer has it.
            JobTimeout: It is still running after `timeout` seconds.
            SpeechmaticsError: The service can't be asked.
        """
        patience = Patience(interval=polling_interval, first=min_polling_interval)
        clock = self._transport.clock
        began = clock.monotonic()
        while True:
            asked_at = clock.monotonic()
            left = None if timeout is None else timeout - (asked_at - began)
            wait = patience.wait(left)
            try:
                job = await self.get_job(job_id, wait=wait)
            except Gone as error:
                raise JobExpired(job_id) from error
            if job.status.is_final:
                return job
            now = clock.monotonic()
            pause = patience.pause(wait, now - asked_at)
            if timeout is not None:
                if now - began >= timeout:
                    raise JobTimeout(job_id, timeout)
                pause = min(pause, timeout - (now - began))
            await clock.sleep(pause)
