"""Calls the webhooks of ended jobs (``notification_config``), and retries those that fail.

Which webhooks are pending is stored on disk until they were called, so a restart loses none.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import msgspec
import structlog

from service.batch_server import job_config
from service.batch_server.job import Job, JobError, job_details, now_micros, timestamp
from service.batch_server.job_config import Notification
from service.batch_server.outbound.client import CallFailed, Outbound
from service.batch_server.outbound.ssrf import split_header
from service.batch_server.store.async_store import AsyncStore
from service.batch_server.store.store import PendingWebhook
from service.batch_server.transcript import json_v2, srt, txt

_TRANSCRIPT_TYPE: Final = "application/vnd.speechmatics.v2+json"
_TYPES: Final = {
    "jobinfo": ("application/json", "jobinfo.json"),
    "transcript": (_TRANSCRIPT_TYPE, "transcript.json"),
    "transcript.json-v2": (_TRANSCRIPT_TYPE, "transcript.json"),
    "transcript.txt": ("text/plain; charset=utf-8", "transcript.txt"),
    "transcript.srt": ("application/x-subrip; charset=utf-8", "transcript.srt"),
    "data": ("application/octet-stream", "data"),
    "text": ("text/plain; charset=utf-8", "text.txt"),
}
_LEGACY_NAME: Final = "data_file"

_RETRY_SECONDS: Final = (1.0, 10.0, 60.0, 300.0)
_AT_ONCE: Final = 8
_CHUNK: Final = 1 << 18
_RENDERERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "transcript": bytes,
    "transcript.json-v2": bytes,
    "transcript.txt": lambda content: txt.render(json_v2.read(content)).encode(),
    "transcript.srt": lambda content: srt.render(json_v2.read(content)).encode(),
}

_log = structlog.stdlib.get_logger("batch_server.webhooks")


class Webhooks:
    """Calls the webhooks of ended jobs, a few at a time.

    Args:
        async_store: Where jobs and pending webhooks are kept.
        outbound: Makes the calls.
    """

    def __init__(self, async_store: AsyncStore, outbound: Outbound) -> None:
        self._async_store = async_store
        self._store = async_store.store
        self._outbound = outbound
        self._running = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Call the webhooks that were pending when the server last stopped."""
        for webhook in await self._async_store.run(self._store.pending_webhooks):
            self._begin(webhook)

    async def job_ended(self, job_id: str) -> None:
        """Begin to call a job's webhooks."""
        for webhook in await self._async_store.run(self._store.pending_webhooks, job_id):
            self._begin(webhook)

    async def stop(self) -> None:
        """Stop at once; webhooks that were not called stay pending."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, webhook: PendingWebhook) -> None:
        task = asyncio.create_task(self._deliver(webhook), name=f"webhook {webhook.job_id}/{webhook.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, webhook: PendingWebhook) -> None:
        """Call a webhook until it succeeds, its job is deleted, or no retry is left."""
        reason = ""
        for pause in (*_RETRY_SECONDS, None):
            job = await self._async_store.run(self._store.get, webhook.job_id)
            if job is None or job.status not in ("done", "rejected"):  # deleted, perhaps between two tries
                await self._async_store.run(self._store.webhook_concluded, webhook)
                return
            wanted = job_config.parse(job.config).notification_config[webhook.number]
            try:
                async with self._running:
                    await self._call(job, wanted)
            except CallFailed as error:
                reason = str(error)
                _log.warning("notification failed", job=job.id, reason=reason, again_in=pause)
            else:
                _log.info("notification sent", job=job.id)
                await self._async_store.run(self._store.webhook_concluded, webhook)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        failed = JobError(
            timestamp=timestamp(now_micros()), message=f"Notification could not be sent: {reason}", type="notification"
        )
        await self._async_store.run(self._store.webhook_concluded, webhook, failed)

    async def _call(self, job: Job, wanted: Notification) -> None:
        transcript = await self._async_store.run(self._store.transcript, job.id)
        not_fetched = any(error.type == "fetch" for error in job.errors)
        status = "success" if job.status == "done" else "fetch_error" if not_fetched else "error"
        audio = self._store.audio_path(job.id)

        items: dict[str, Callable[[], Content | None]] = {
            "jobinfo": lambda: msgspec.json.encode({"job": job_details(job)}),
            "data": lambda: audio if audio.exists() else None,
            "text": lambda: None,
        }
        for name, render in _RENDERERS.items():
            items[name] = lambda render=render: render(transcript) if transcript is not None else None  # type: ignore[misc]
        request = await asyncio.to_thread(message, wanted, job_id=job.id, status=status, items=items)
        headers = [split_header(line) for line in wanted.auth_headers]
        if request.content_type is not None:
            headers.append(("Content-Type", request.content_type))
        try:
            with _body(request) as (more_headers, body):
                async with self._outbound.call(
                    request.method, request.url, headers=[*headers, *more_headers], follow=False, **body
                ) as response:
                    if not response.is_success:
                        raise CallFailed(f"{wanted.url} answered with http status {response.status_code}")
        except (httpx.HTTPError, OSError) as error:
            raise CallFailed(f"{wanted.url}: {error}") from error


Content = bytes | Path
"""What is sent: the bytes themselves, or the path of a file of any size."""


class Message(NamedTuple):
    """The HTTP request that delivers a webhook.

    Attributes:
        method: POST or PUT.
        url: With the job's id and status added to its query.
        content_type: Type of ``content``; ``None`` if there is none.
        content: The body, if it is a single item.
        files: The attachments, if there are several: name, file name, content, type.
    """

    method: str
    url: str
    content_type: str | None
    content: Content = b""
    files: tuple[tuple[str, str, Content, str], ...] = ()


def message(
    wanted: Notification, *, job_id: str, status: str, items: Mapping[str, Callable[[], Content | None]]
) -> Message:
    """Build the request of a webhook, as ``NotificationConfig`` documents it. Pure but for ``items``.

    Args:
        wanted: The job's config for this webhook.
        job_id: The job.
        status: ``success``, ``error`` or ``fetch_error``.
        items: By name, a function that returns the item's content, or ``None`` if the job has no such item.

    Returns:
        The request. Items that a failed job lacks are left out, but the form of the body stays.
    """
    method, url = wanted.method.upper(), _url(wanted.url, job_id, status)
    contents = wanted.contents
    if contents is not None and not contents:
        return Message(method, url, None)
    if contents is not None and len(contents) == 1:
        found = items[contents[0]]()
        return Message(method, url, None) if found is None else Message(method, url, _TYPES[contents[0]][0], found)
    names = [(item, item) for item in contents] if contents is not None else [("transcript", _LEGACY_NAME)]
    files = tuple(
        (name, _TYPES[item][1], found, _TYPES[item][0]) for item, name in names if (found := items[item]()) is not None
    )
    return Message(method, url, None, files=files)


def _url(url: str, job_id: str, status: str) -> str:
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("id", job_id), ("status", status)]
    return urlunsplit(parts._replace(query=urlencode(query)))


@contextlib.contextmanager
def _body(request: Message) -> Iterator[tuple[list[tuple[str, str]], dict[str, Any]]]:
    """Return a request's body as httpx takes it, and the headers that it needs; files are read while they are sent.

    Raises:
        OSError: If a file can't be read.
    """
    with contextlib.ExitStack() as opened:

        def content(of: Content) -> bytes | IO[bytes]:
            return opened.enter_context(of.open("rb")) if isinstance(of, Path) else of

        if request.files:
            yield [], {"files": [(name, (file, content(of), kind)) for name, file, of, kind in request.files]}
            return
        single = content(request.content)
        if isinstance(single, bytes):
            yield [], {"content": single}
        else:
            yield [("Content-Length", str(os.fstat(single.fileno()).st_size))], {"content": _chunks(single)}


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk
