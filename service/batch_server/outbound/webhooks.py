"""What the server does beyond its walls: fetching audio, and telling others when a job has ended.

What is owed to others is on disk until they have been told.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import httpx
import msgspec
import structlog

from service.batch_server import job_config
from service.batch_server.job import Job, JobError, job_details, now_micros, timestamp
from service.batch_server.outbound import fetch, notices
from service.batch_server.outbound.client import CallFailed, Outbound
from service.batch_server.outbound.ssrf import split_header
from service.batch_server.store.async_store import Database
from service.batch_server.store.store import Owed
from service.batch_server.transcript import json_v2, srt, txt

_AT_ONCE: Final = 8
_PIECE: Final = 1 << 18
_FORMS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "transcript": bytes,
    "transcript.json-v2": bytes,
    "transcript.txt": lambda content: txt.render(json_v2.read(content)).encode(),
    "transcript.srt": lambda content: srt.render(json_v2.read(content)).encode(),
}

_log = structlog.stdlib.get_logger("batch_server.messenger")


class Messenger:
    """Fetches audio, sends notifications, and tries again when that fails.

    Args:
        database: Where it is kept.
        outbound: Makes the calls.
        most_bytes: Size over which fetched audio is refused.
    """

    def __init__(self, database: Database, outbound: Outbound, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._database = database
        self._store = database.store
        self._outbound = outbound
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._fetches = asyncio.Semaphore(_AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Send what was owed when the server last stopped."""
        for owed in await self._database.run(self._store.owed):
            self._begin(owed)

    async def job_ended(self, job_id: str) -> None:
        """Send what is owed for a job."""
        for owed in await self._database.run(self._store.owed, job_id):
            self._begin(owed)

    async def fetch(self, job: Job, source: job_config.Fetch) -> str | None:
        """Fetch a job's audio; return what went wrong, if something did.

        Raises:
            OSError: If the disk failed; trying again may help.
        """
        path = self._store.upload_path()
        try:
            async with self._fetches:
                await fetch.fetch(self._outbound, source, path, most_bytes=self._most_bytes)
            path.rename(self._store.audio_path(job.id))  # at once: a job deleted meanwhile must not get audio
        except CallFailed as error:
            return str(error)
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return None

    async def stop(self) -> None:
        """Stop at once; what was not told stays owed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, owed: Owed) -> None:
        task = asyncio.create_task(self._tell(owed), name=f"notification {owed.job_id}/{owed.number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, owed: Owed) -> None:
        problem = ""
        for pause in (*notices.RETRY_SECONDS, None):
            job = await self._database.run(self._store.get, owed.job_id)
            if job is None or job.status not in ("done", "rejected"):  # deleted, perhaps between two tries
                await self._database.run(self._store.settle, owed)
                return
            wanted = job_config.parse(job.config).notification_config[owed.number]
            try:
                async with self._slots:
                    await self._send(job, wanted)
            except CallFailed as error:
                problem = str(error)
                _log.warning("notification failed", job=job.id, reason=problem, again_in=pause)
            else:
                _log.info("notification sent", job=job.id)
                await self._database.run(self._store.settle, owed)
                return
            if pause is not None:
                await asyncio.sleep(pause)
        failed = JobError(
            timestamp=timestamp(now_micros()), message=f"Notification could not be sent: {problem}", type="notification"
        )
        await self._database.run(self._store.settle, owed, failed)

    async def _send(self, job: Job, wanted: job_config.Notification) -> None:
        transcript = await self._database.run(self._store.transcript, job.id)
        fetched = any(error.type == "fetch" for error in job.errors)
        status = "success" if job.status == "done" else "fetch_error" if fetched else "error"
        audio = self._store.audio_path(job.id)

        items: dict[str, Callable[[], notices.Content | None]] = {
            "jobinfo": lambda: msgspec.json.encode({"job": job_details(job)}),
            "data": lambda: audio if audio.exists() else None,
            "text": lambda: None,
        }
        for name, form in _FORMS.items():
            items[name] = lambda form=form: form(transcript) if transcript is not None else None  # type: ignore[misc]
        told = await asyncio.to_thread(notices.message, wanted, job_id=job.id, status=status, items=items)
        headers = [split_header(line) for line in wanted.auth_headers]
        if told.content_type is not None:
            headers.append(("Content-Type", told.content_type))
        try:
            with _body(told) as (more_headers, body):
                async with self._outbound.call(
                    told.method, told.url, headers=[*headers, *more_headers], follow=False, **body
                ) as response:
                    if not response.is_success:
                        raise CallFailed(f"{wanted.url} answered with http status {response.status_code}")
        except (httpx.HTTPError, OSError) as error:
            raise CallFailed(f"{wanted.url}: {error}") from error


@contextlib.contextmanager
def _body(told: notices.Message) -> Iterator[tuple[list[tuple[str, str]], dict[str, Any]]]:
    """Give a message's body as httpx takes it, with the headers that belong to it; files are read as they are sent.

    Raises:
        OSError: If a file can't be read.
    """
    with contextlib.ExitStack() as opened:

        def content(of: notices.Content) -> bytes | IO[bytes]:
            return opened.enter_context(of.open("rb")) if isinstance(of, Path) else of

        if told.files:
            yield [], {"files": [(name, (file, content(of), kind)) for name, file, of, kind in told.files]}
            return
        single = content(told.content)
        if isinstance(single, bytes):
            yield [], {"content": single}
        else:
            yield [("Content-Length", str(os.fstat(single.fileno()).st_size))], {"content": _pieces(single)}


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, _PIECE):
        yield piece
