"""Runs accepted jobs: hands them to backends, and stores the result of each."""

import asyncio
import contextlib
import errno
import functools
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

import structlog

from service.batch_server import capabilities, job_config
from service.batch_server.dispatch import fault, transcription
from service.batch_server.dispatch.fair_queue import FairQueue
from service.batch_server.dispatch.job_events import JobEvents
from service.batch_server.job import Job, JobError, now_micros, timestamp
from service.batch_server.recognition import messages
from service.batch_server.settings import ServerSettings
from service.batch_server.store.async_store import AsyncStore
from service.batch_server.workers.backends import Backend
from service.batch_server.workers.process import WorkerDied

if TYPE_CHECKING:  # they load an HTTP client
    from service.batch_server.outbound.fetch import Fetcher
    from service.batch_server.outbound.webhooks import Webhooks

P = ParamSpec("P")
T = TypeVar("T")

MAX_CRASHES: Final = 2
_RETRY_SECONDS: Final = 30.0
_DISK_SECONDS: Final = 2.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = structlog.stdlib.get_logger("batch_server.dispatcher")


def log_line(message: str, level: str = "INFO") -> str:
    """Render a line for a job's log, like the API's example; nothing in the message can begin another line."""
    moment = timestamp(now_micros())
    shown = "".join(each if each.isprintable() else " " for each in message)
    return f"{moment[:10]} {moment[11:19]},{moment[20:23]} {level:<7} dropscribe {shown}\n"


class Dispatcher:
    """Runs jobs on backends, one job per backend at a time.

    Jobs run round-robin across owners, and first-in first-out within each. A job whose audio has to be fetched joins
    the queue when its audio is there.

    Args:
        settings: Limits, and when an idle model is released.
        async_store: Where jobs are kept.
        events: Notified when a job ends.
        backends: Where recordings are recognised; closed by ``stop``.
        fetcher: Fetches audio; ``None`` if that is not allowed.
        webhooks: Calls webhooks; ``None`` if that is not allowed.
    """

    def __init__(
        self,
        settings: ServerSettings,
        async_store: AsyncStore,
        events: JobEvents,
        backends: Sequence[Backend],
        *,
        fetcher: "Fetcher | None" = None,
        webhooks: "Webhooks | None" = None,
    ) -> None:
        self._settings = settings
        self._async_store = async_store
        self._store = async_store.store
        self._events = events
        self._queue = FairQueue()
        self._queued = asyncio.Semaphore(0)  # counts the jobs in the queue
        self._backends = backends
        self._fetcher = fetcher
        self._webhooks = webhooks
        self._busy: dict[str, Backend] = {}
        self._progress: dict[str, messages.Progress] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._deaths: dict[str, WorkerDied] = {}
        """How the worker process last died, by job; removed when the job ends."""
        self._idle_timers: dict[Backend, asyncio.TimerHandle] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Queue the unfinished jobs of the last run, and begin to work."""
        for job in await self._async_store.run(self._store.unfinished):
            _log.info("job resumed", job=job.id)
            self.submit(job)
        self._loops = [
            asyncio.create_task(self._serve(backend), name=f"backend {number}")
            for number, backend in enumerate(self._backends)
        ]

    async def stop(self) -> None:
        """Stop at once; jobs that are not finished stay on disk for the next start."""
        for timer in self._idle_timers.values():
            timer.cancel()
        tasks = [*self._loops, *self._fetches.values()]
        for task in tasks:
            task.cancel()
        for backend in self._backends:
            await backend.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    def warm_up(self) -> Future[None] | None:
        """Begin to load the model if no backend has it: a job is about to arrive. Returns how that ends, if known."""
        if not self._loops or any(backend.warm for backend in self._backends):
            return None
        loaded = self._backends[0].warm_up()
        self._start_idle_timer(self._backends[0])
        return loaded

    def submit(self, job: Job) -> None:
        """Queue an accepted job, after its audio is fetched if necessary."""
        if self._store.audio_path(job.id).exists():
            self._enqueue(job.owner, job.id)
            return
        fetch = asyncio.create_task(self._fetch(job), name=f"fetch {job.id}")
        self._fetches[job.id] = fetch
        fetch.add_done_callback(lambda _: self._fetches.pop(job.id))

    def interrupt(self, job_id: str) -> None:
        """Stop working on a job that was deleted."""
        if job_id in self._busy:
            self._busy[job_id].interrupt()
        if job_id in self._fetches:
            self._fetches[job_id].cancel()

    def progress(self, job: Job) -> dict[str, float]:
        """Return a job's progress; read from memory, so it is cheap.

        Returns:
            ``ahead``: the number of jobs that are running or will run before this one. Once it has begun also
            ``seconds_done`` and, if the file says, ``duration``, both in seconds of audio. Empty if nothing is known.
        """
        if job.id in self._busy:
            found = self._progress.get(job.id)
            if found is None:
                return {"ahead": 0}
            known = {} if found.duration is None else {"duration": found.duration}
            return {"ahead": 0, "seconds_done": found.seconds_done, **known}
        ahead = self._queue.ahead(job.owner, job.id)
        return {} if ahead is None else {"ahead": ahead + len(self._busy)}

    def _note_progress(self, job_id: str, progress: messages.Progress) -> None:
        if job_id in self._busy:  # a report may arrive after its job was stopped
            self._progress[job_id] = progress

    def _enqueue(self, owner: str, job_id: str) -> None:
        self._queue.add(owner, job_id)
        self._queued.release()

    async def _serve(self, backend: Backend) -> None:
        while True:
            await self._queued.acquire()
            owner, job_id = self._queue.take()
            self._stop_idle_timer(backend)
            try:
                await self._run(job_id, backend)
            except Exception:  # noqa: BLE001 - one job must not stop all others
                _log.exception("job could not be concluded; it is tried again later", job=job_id)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._enqueue, owner, job_id)
            if not self._queue:
                self._start_idle_timer(backend)

    async def _run(self, job_id: str, backend: Backend) -> None:
        """Work on a job until it ends; a worker process that dies is replaced."""
        while (job := await self._ready(job_id)) is not None:
            config = job_config.parse(job.config)
            self._busy[job.id] = backend
            try:
                recognition = await backend.recognise(
                    self._work(job, config), functools.partial(self._note_progress, job.id)
                )
            except WorkerDied as death:
                await self._count_death(job, death)
            except messages.AudioUnusable as error:
                await self._reject(job, "audio", str(error))
            except messages.LanguageUnknown as error:
                await self._reject(job, "language", str(error))
            except (messages.ModelUnavailable, messages.SpeakersUnavailable) as error:
                await self._reject(job, "model", str(error))
            except Exception as error:  # noqa: BLE001 - whatever it was, the job's owner must see it
                if getattr(error, "errno", None) in _FULL:
                    await self._wait_for_disk(job.id, error)
                    continue
                _log.exception("Dropscribe itself failed", job=job.id)
                await self._reject(job, *fault.of_exception(error))
            else:
                await self._complete(job, config, recognition)
            finally:
                self._busy.pop(job.id, None)
                self._progress.pop(job.id, None)

    def _work(self, job: Job, config: job_config.JobConfig) -> messages.Task:
        longest = self._settings.limits.audio_seconds
        return transcription.task(config, self._store.audio_path(job.id), longest=longest)

    async def _ready(self, job_id: str) -> Job | None:
        """Return a job; ``None`` if nothing is left to do for it."""
        job = await self._running(job_id)
        if job is None:
            return None
        if job.crashes >= MAX_CRASHES:
            await self._reject(job, *fault.of_deaths(job.crashes, self._deaths.pop(job.id, None)))
            return None
        return job

    async def _fetch(self, job: Job) -> None:
        """Fetch a job's audio, then queue the job."""
        if await self._running(job.id) is None:
            return  # deleted just after it was accepted, and its audio with it
        while True:
            try:
                failure = await self._fetched(job)
            except OSError as error:
                await self._wait_for_disk(job.id, error)
            else:
                break
        if failure is not None:
            await self._reject(job, "fetch", failure)
        elif await self._running(job.id) is not None:
            self._enqueue(job.owner, job.id)
        else:  # deleted meanwhile
            await asyncio.to_thread(self._store.audio_path(job.id).unlink, missing_ok=True)

    async def _fetched(self, job: Job) -> str | None:
        source = job_config.parse(job.config).fetch_data
        if source is None:
            return "The recording is no longer in the server's data folder; submit it again"
        if self._fetcher is None:
            return "Audio fetch error, the server is no longer allowed to fetch (--allow-fetch)"
        return await self._fetcher.fetch(job, source)

    async def _running(self, job_id: str) -> Job | None:
        job = await self._async_store.run(self._store.get, job_id)
        return job if job is not None and job.status == "running" else None

    async def _written(self, job_id: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Store something, and wait if the disk is full: what was recognised need not be recognised again."""
        while True:
            try:
                return await self._async_store.run(function, *args, **kwargs)
            except (OSError, sqlite3.OperationalError) as error:
                await self._wait_for_disk(job_id, error)

    async def _wait_for_disk(self, job_id: str, error: Exception) -> None:
        _log.error("the disk can't be written; trying again", job=job_id, reason=str(error), again_in=_DISK_SECONDS)
        await asyncio.sleep(_DISK_SECONDS)

    async def _count_death(self, job: Job, death: WorkerDied) -> None:
        if await self._running(job.id) is None:
            return  # deleted, and stopped by us
        self._deaths[job.id] = death
        crashes = await self._written(job.id, self._store.count_crash, job.id)
        details = {"exit_status": death.exit_status, "last_words": death.last_words, "crashes": crashes}
        _log.warning("worker died", job=job.id, **details)
        line = log_line(f"The recognising process died (exit status {death.exit_status}), time {crashes}", "WARNING")
        await self._written(job.id, self._store.append_log, job.id, line)

    async def _complete(self, job: Job, config: job_config.JobConfig, recognition: messages.Recognition) -> None:
        transcript = await asyncio.to_thread(transcription.transcript, job, config, recognition)
        wanted = config.transcription_config
        words = sum(len(channel) for channel in recognition.channels)
        lines = [log_line(note, "WARNING") for note in (*capabilities.notes(config), *recognition.notes)]
        audio = f"{recognition.duration:.2f} s of audio ({recognition.speech:.2f} s of speech)"
        lines.append(log_line(f"Transcribed {audio}: {words} words"))
        await self._written(
            job.id,
            self._store.finish,
            job,
            status="done",
            transcript=transcript,
            duration=recognition.duration,
            language=transcription.language_of(config, recognition),
            operating_point=wanted.model or wanted.operating_point or "standard",
            log="".join(lines),
            notifications=len(config.notification_config),
        )
        self._deaths.pop(job.id, None)
        _log.info("job done", job=job.id, audio_seconds=round(recognition.duration, 2), words=words)
        await self._announce_end(job)

    async def _reject(self, job: Job, kind: str, message: str) -> None:
        error = JobError(timestamp=timestamp(now_micros()), message=message, type=kind)
        await self._written(
            job.id,
            self._store.finish,
            job,
            status="rejected",
            errors=(error,),
            log=log_line(message, "ERROR"),
            notifications=len(job_config.parse(job.config).notification_config),
        )
        _log.warning("job rejected", job=job.id, reason=message)
        await self._announce_end(job)

    async def _announce_end(self, job: Job) -> None:
        self._events.ended(job.id)
        if self._webhooks is not None:
            await self._webhooks.job_ended(job.id)

    def _start_idle_timer(self, backend: Backend) -> None:
        self._stop_idle_timer(backend)
        loop = asyncio.get_running_loop()
        self._idle_timers[backend] = loop.call_later(self._settings.idle_release, backend.release)

    def _stop_idle_timer(self, backend: Backend) -> None:
        with contextlib.suppress(KeyError):
            self._idle_timers.pop(backend).cancel()
