"""The endpoints of the Batch API v2, one method each."""

import asyncio
import datetime as dt
import errno
import sqlite3
import time
from typing import Any

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from service.batch_server import capabilities, job_config
from service.batch_server.api import params
from service.batch_server.api.auth import BearerAuth
from service.batch_server.api.rate_limit import RateLimit
from service.batch_server.api.upload import Upload, drain, name_from_url, receive
from service.batch_server.dispatch.dispatcher import Dispatcher, log_line
from service.batch_server.dispatch.job_events import JobEvents, wait
from service.batch_server.errors import (
    ApiError,
    BadConfig,
    BadQuery,
    FormatNotSupported,
    JobExpired,
    JobNotFound,
    JobRunning,
    LogNotAvailable,
    Malformed,
    MissingData,
    NoTranscript,
    NotReady,
    ServerFault,
    TooMany,
)
from service.batch_server.job import Job, job_details
from service.batch_server.recognition.entrypoints import can_diarize
from service.batch_server.settings import ServerSettings
from service.batch_server.store.async_store import AsyncStore
from service.batch_server.store.store import TooManyUnfinished
from service.batch_server.transcript import json_v2, srt, txt
from service.batch_server.usage import Sum, report

_MEDIA_TYPES = {
    "json-v2": "application/vnd.speechmatics.v2+json",
    "txt": "text/plain; charset=utf-8",
    "srt": "text/plain; charset=utf-8",  # the API documents no type of its own for subtitles
}
_FILE_EXPIRED = "File Expired"

_log = structlog.stdlib.get_logger("batch_server.endpoints")


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:  # noqa: ANN401
    """Build a JSON response."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


class Endpoints:
    """The endpoints, over one store.

    Args:
        settings: Limits and the model's name.
        async_store: Where jobs are kept.
        dispatcher: Runs them.
        events: Wakes requests that wait for a job.
        auth: Checks keys.
    """

    def __init__(
        self,
        settings: ServerSettings,
        async_store: AsyncStore,
        dispatcher: Dispatcher,
        events: JobEvents,
        auth: BearerAuth,
    ) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._async_store = async_store
        self._store = async_store.store
        self._dispatcher = dispatcher
        self._events = events
        self._auth = auth
        self._posts = RateLimit(settings.limits.posts_per_second)
        self._gets = RateLimit(settings.limits.gets_per_second)

    async def create(self, request: Request) -> Response:
        """``POST /jobs``."""
        try:
            owner = self._owner(request, self._posts)
            processing = params.processing_data(request.headers.get("X-SM-Processing-Data"))
            seconds, form = self._wait_and_format(request)
        except ApiError:
            await drain(request, self._limits)
            raise
        self._dispatcher.warm_up()
        path = self._store.upload_path()
        try:
            upload = await receive(request, path, limits=self._limits, on_config=self._check_config)
            job, is_new = await self._accept(owner, upload, processing)
        except (OSError, sqlite3.OperationalError) as error:
            _log.exception("upload could not be stored")
            raise ServerFault(f"The server could not store the upload: {_reason(error)}") from error
        finally:
            path.unlink(missing_ok=True)
        if is_new:
            _log.info("job accepted", job=job.id, audio_bytes=upload.size)
            self._dispatcher.submit(job)
        answer: dict[str, Any] = {"id": job.id}
        if seconds is not None:
            job = await self._wait_for_end(job, seconds)
            answer["status"] = {"running": "created", "expired": "deleted"}.get(job.status, job.status)
            if job.status == "done":
                answer |= await self._embedded(job, form)
        return json_response(answer, 201)

    def _owner(self, request: Request, rate: RateLimit) -> str:
        """Return the owner of a request, and count it against the owner's rate limit."""
        owner = self._auth.owner(request)
        excess = rate.excess(owner, time.monotonic())
        if excess is not None:
            raise TooMany("Too many requests per second; wait before the next", retry_after=excess)
        return owner

    def _wait_and_format(self, request: Request) -> tuple[float | None, str]:
        form = request.query_params.get("format", "json-v2")
        try:
            seconds = params.wait_seconds(request.query_params, longest=self._limits.wait_seconds)
        except BadQuery as error:
            raise Malformed(error.detail) from error
        if form not in _MEDIA_TYPES:
            raise Malformed(f"format in query should be one of {', '.join(_MEDIA_TYPES)}")
        return seconds, form

    def _check_config(self, raw: bytes) -> None:
        config = job_config.parse(raw)
        capabilities.check(
            config,
            model=self._settings.model,
            fetching=self._settings.allow_fetch,
            notifying=self._settings.allow_notify,
            diarizing=can_diarize(),
        )

    async def _accept(self, owner: str, upload: Upload, processing: str) -> tuple[Job, bool]:
        config = job_config.parse(upload.config)
        data_name, what = upload.data_name, f"{upload.size} bytes"
        if upload.audio is None:
            if config.fetch_data is None:
                raise MissingData("The form has no part named 'data_file', and the config no fetch_data")
            data_name, what = name_from_url(config.fetch_data.url), "audio to be fetched"
        elif config.fetch_data is not None:
            raise BadConfig("fetch_data: the form has a part named 'data_file' too; send one or the other")
        try:
            return await self._async_store.run(
                self._store.add,
                owner=owner,
                reference=config.reference,
                data_name=data_name,
                config=upload.config,
                upload=upload.audio,
                most_unfinished=self._limits.concurrent_jobs,
                log=log_line(f"Accepted {data_name} with {what}{processing}"),
            )
        except TooManyUnfinished as error:
            raise TooMany(f"{self._limits.concurrent_jobs} jobs are unfinished; wait until one ends") from error

    async def list(self, request: Request) -> Response:
        """``GET /jobs``."""
        owner = self._owner(request, self._gets)
        jobs = await self._async_store.run(
            self._store.page,
            owner,
            before=params.created_before(request.query_params),
            limit=params.limit(request.query_params),
            with_deleted=params.flag(request.query_params, "include_deleted"),
        )
        # Without a limit there may be many jobs; other requests must not wait for them.
        return await asyncio.to_thread(lambda: json_response({"jobs": [job_details(job) for job in jobs]}))

    async def get(self, request: Request) -> Response:
        """``GET /jobs/{jobid}``."""
        job = await self._awaited(request)
        return json_response({"job": job_details(job)})

    async def progress(self, request: Request) -> Response:
        """``GET /jobs/{jobid}/progress``: beyond the published API, for progress bars."""
        job = await self._job(request)
        known = self._dispatcher.progress(job) if job.status == "running" else {}
        return json_response({"progress": {"id": job.id, "status": job.status, **known}})

    async def transcript(self, request: Request) -> Response:
        """``GET /jobs/{jobid}/transcript``."""
        form = request.query_params.get("format", "json-v2")
        if form not in _MEDIA_TYPES:
            self._owner(request, self._gets)
            raise FormatNotSupported(f"There is no transcript format {form!r}; there are {', '.join(_MEDIA_TYPES)}")
        job = await self._awaited(request, expired=_FILE_EXPIRED)
        if job.status == "running":
            raise NotReady(f"Job {job.id} is still running")
        if job.status == "rejected":
            raise NoTranscript(" ".join(error.message for error in job.errors) or None)
        content = await self._async_store.run(self._store.transcript, job.id)
        if content is None:
            raise JobExpired(f"The transcript of job {job.id} was removed", error=_FILE_EXPIRED)
        return Response(_rendered(content, form), media_type=_MEDIA_TYPES[form])

    async def log(self, request: Request) -> Response:
        """``GET /jobs/{jobid}/log``."""
        job = await self._job(request, expired=_FILE_EXPIRED)
        text = await self._async_store.run(self._store.log, job.id)
        if not text:
            raise LogNotAvailable(f"Job {job.id} has no log")
        return Response(text, media_type="text/plain; charset=utf-8")

    async def delete(self, request: Request) -> Response:
        """``DELETE /jobs/{jobid}``."""
        job = await self._job(request)
        force = params.flag(request.query_params, "force")
        if job.status == "running" and not force:
            raise JobRunning(f"Job {job.id} is still running; add force=true to stop and delete it")
        await self._async_store.run(self._store.retire, job.id, "deleted")
        self._dispatcher.interrupt(job.id)
        self._events.ended(job.id)
        _log.info("job deleted", job=job.id)
        return json_response({"job": job_details(msgspec.structs.replace(job, status="deleted"))})

    async def usage(self, request: Request) -> Response:
        """``GET /usage``."""
        owner = self._owner(request, self._gets)
        since = params.day(request.query_params, "since")
        until = params.day(request.query_params, "until") or dt.datetime.now(dt.UTC).date()
        if since is None:
            first = await self._async_store.run(self._store.first_usage_day, owner)
            since = min(dt.date.fromisoformat(first), until) if first is not None else until
        rows = await self._async_store.run(self._store.usage, owner, since.isoformat(), until.isoformat())
        return json_response(report([Sum(*row) for row in rows], since, until))

    async def _job(self, request: Request, *, expired: str = JobExpired.error) -> Job:
        """Return the job that a path names, if it is the owner's; ``expired`` is the error if it has expired."""
        owner = self._owner(request, self._gets)
        job_id = request.path_params["jobid"]
        job = await self._async_store.run(self._store.get, job_id)
        if job is None or job.owner != owner:
            raise JobNotFound(f"There is no job {job_id}")
        _check_present(job, expired)
        return job

    async def _awaited(self, request: Request, *, expired: str = JobExpired.error) -> Job:
        """Return the job that a path names, once it has ended or the request's ``wait`` is over."""
        job = await self._job(request, expired=expired)
        seconds = params.wait_seconds(request.query_params, longest=self._limits.wait_seconds)
        job = await self._wait_for_end(job, self._limits.default_wait_seconds if seconds is None else seconds)
        _check_present(job, expired)
        return job

    async def _wait_for_end(self, job: Job, seconds: float) -> Job:
        with self._events.watch(job.id) as ended:
            job = await self._reread(job)
            if job.status == "running" and seconds > 0:
                await wait(ended, seconds)
                job = await self._reread(job)
        return job

    async def _reread(self, job: Job) -> Job:
        return await self._async_store.run(self._store.get, job.id) or job

    async def _embedded(self, job: Job, form: str) -> dict[str, Any]:
        """Return a job's transcript under the name of its format; nothing if the job was just deleted."""
        content = await self._async_store.run(self._store.transcript, job.id)
        if content is None:
            return {}
        return {form: msgspec.Raw(content) if form == "json-v2" else _rendered(content, form).decode()}


def _reason(error: Exception) -> str:
    """Explain why the disk could not be written."""
    full = getattr(error, "errno", None) == errno.ENOSPC or getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
    return "its disk is full" if full else (getattr(error, "strerror", None) or str(error))


def _check_present(job: Job, expired: str) -> None:
    if job.status == "deleted":
        raise JobNotFound(f"Job {job.id} was deleted")
    if job.status == "expired":
        raise JobExpired(f"Job {job.id} was removed after its retention period", error=expired)


def _rendered(content: bytes, form: str) -> bytes:
    if form == "json-v2":
        return content
    transcript = json_v2.read(content)
    return (txt.render(transcript) if form == "txt" else srt.render(transcript)).encode()
