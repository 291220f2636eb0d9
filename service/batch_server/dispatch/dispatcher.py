"""Gets accepted jobs done: hands them to workers in turn, and writes down how each ended."""

import asyncio
import contextlib
import errno
import functools
import sqlite3
from collections.abc import Callable, Sequence
from typing import Final, ParamSpec, Protocol, TypeVar

import structlog

from service.batch_server import capabilities, fault, job_config
from service.batch_server.dispatch import transcription
from service.batch_server.dispatch.fair_queue import Turns
from service.batch_server.dispatch.job_events import Waiters
from service.batch_server.job import Job, JobError, now_micros, timestamp
from service.batch_server.recognition import messages
from service.batch_server.settings import ServerSettings
from service.batch_server.store.async_store import Database
from service.batch_server.workers.backends import Slot
from service.batch_server.workers.process import WorkerDied

P = ParamSpec("P")
T = TypeVar("T")

MAX_CRASHES: Final = 2
_TROUBLE_SECONDS: Final = 30.0
_DISK_SECONDS: Final = 2.0
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_log = structlog.stdlib.get_logger("batch_server.dispatcher")


def log_line(message: str, level: str = "INFO") -> str:
    """Render a line for a job's log, in the manner of the API's example; nothing in it can begin another line."""
    moment = timestamp(now_micros())
    shown = "".join(each if each.isprintable() else " " for each in message)
    return f"{moment[:10]} {moment[11:19]},{moment[20:23]} {level:<7} dropscribe {shown}\n"


class Outside(Protocol):
    """What the server does beyond its own walls, if it is allowed to."""

    async def fetch(self, job: Job, source: job_config.Fetch) -> str | None:
        """Fetch a job's audio; return what went wrong, if something did."""

    async def job_ended(self, job_id: str) -> None:
        """Send a job's notifications."""


class Dispatcher:
    """Runs jobs on worker processes, one job per worker at a time.

    The owners of jobs have their turns; those of one owner are begun in the order in which they came. A job whose audio
    has to be fetched waits for it beside the others, and joins them when it is there.

    Args:
        settings: Model, threads, number of workers, and how long they may idle.
        database: Where jobs are.
        waiters: Told when a job ends.
        slots: Where recordings are recognised; closed by ``stop``.
        outside: Fetches audio and sends notifications; ``None`` if the server does neither.
    """

    def __init__(
        self,
        settings: ServerSettings,
        database: Database,
        waiters: Waiters,
        slots: Sequence[Slot],
        outside: Outside | None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._store = database.store
        self._waiters = waiters
        self._turns = Turns()
        self._count = asyncio.Semaphore(0)  # of the jobs that wait for their turn
        self._slots = slots
        self._outside = outside
        self._busy: dict[str, Slot] = {}
        self._progress: dict[str, messages.Progress] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._deaths: dict[str, WorkerDied] = {}
        """How the worker last died over a job; forgotten with the job's end."""
        self._idle_timers: dict[Slot, asyncio.TimerHandle] = {}
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take up the jobs that are on disk, and begin to work."""
        for job in await self._database.run(self._store.unfinished):
            _log.info("job carried on", job=job.id)
            self.submit(job)
        self._loops = [
            asyncio.create_task(self._serve(slot), name=f"slot {number}") for number, slot in enumerate(self._slots)
        ]

    async def stop(self) -> None:
        """Stop at once; jobs that are not finished stay on disk for the next start."""
        for timer in self._idle_timers.values():
            timer.cancel()
        tasks = [*self._loops, *self._fetches.values()]
        for task_ in tasks:
            task_.cancel()
        for slot in self._slots:
            await slot.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    def warm_up(self) -> None:
        """Begin to load the model if no worker has it: a job is about to come."""
        if self._loops and not any(slot.warm for slot in self._slots):
            self._slots[0].warm_up()
            self._idle_since_now(self._slots[0])

    def submit(self, job: Job) -> None:
        """Take on a job that was accepted."""
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
        """Say how far a job is; from memory alone, so that it may be asked often.

        Returns:
            ``ahead``, the number of jobs that are done or begun before it; once it has begun, ``seconds_done`` and,
            as far as the file says so, ``duration``, both in seconds of audio. Empty if there is nothing to say.
        """
        if job.id in self._busy:
            found = self._progress.get(job.id)
            if found is None:
                return {"ahead": 0}
            known = {} if found.duration is None else {"duration": found.duration}
            return {"ahead": 0, "seconds_done": found.seconds_done, **known}
        ahead = self._turns.ahead(job.owner, job.id)
        return {} if ahead is None else {"ahead": ahead + len(self._busy)}

    def _note_progress(self, job_id: str, progress: messages.Progress) -> None:
        if job_id in self._busy:  # a report may arrive after its job was stopped
            self._progress[job_id] = progress

    def _enqueue(self, owner: str, job_id: str) -> None:
        self._turns.add(owner, job_id)
        self._count.release()

    async def _serve(self, slot: Slot) -> None:
        while True:
            await self._count.acquire()
            owner, job_id = self._turns.take()
            self._stop_idling(slot)
            try:
                await self._run(job_id, slot)
            except Exception:  # noqa: BLE001 - one job's trouble must not end the work on all others
                _log.exception("job could not be concluded; it is tried again later", job=job_id)
                asyncio.get_running_loop().call_later(_TROUBLE_SECONDS, self._enqueue, owner, job_id)
            if not self._turns:
                self._idle_since_now(slot)

    async def _run(self, job_id: str, slot: Slot) -> None:
        """Work on a job until it has ended, with a new worker process whenever one dies."""
        while (job := await self._ready(job_id)) is not None:
            config = job_config.parse(job.config)
            self._busy[job.id] = slot
            try:
                recognition = await slot.recognise(
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
            except Exception as error:  # noqa: BLE001 - whatever it was, the job's owner must hear of it
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
        """Find a job; ``None`` if there is nothing (more) to do for it."""
        job = await self._running(job_id)
        if job is None:
            return None
        if job.crashes >= MAX_CRASHES:
            await self._reject(job, *fault.of_deaths(job.crashes, self._deaths.pop(job.id, None)))
            return None
        return job

    async def _fetch(self, job: Job) -> None:
        """Get a job's audio, and let the job have its turn then."""
        if await self._running(job.id) is None:
            return  # deleted in the moment after it was accepted, its audio with it
        while True:
            try:
                problem = await self._fetched(job)
            except OSError as error:
                await self._wait_for_disk(job.id, error)
            else:
                break
        if problem is not None:
            await self._reject(job, "fetch", problem)
        elif await self._running(job.id) is not None:
            self._enqueue(job.owner, job.id)
        else:  # deleted meanwhile
            await asyncio.to_thread(self._store.audio_path(job.id).unlink, missing_ok=True)

    async def _fetched(self, job: Job) -> str | None:
        source = job_config.parse(job.config).fetch_data
        if source is None:
            return "The recording is no longer in the server's data folder; submit it again"
        if self._outside is None:
            return "Audio fetch error, the server no longer fetches addresses"
        return await self._outside.fetch(job, source)

    async def _running(self, job_id: str) -> Job | None:
        job = await self._database.run(self._store.get, job_id)
        return job if job is not None and job.status == "running" else None

    async def _written(self, job_id: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Write something down, however long the disk takes no more: what was recognised is not recognised again."""
        while True:
            try:
                return await self._database.run(function, *args, **kwargs)
            except (OSError, sqlite3.OperationalError) as error:
                await self._wait_for_disk(job_id, error)

    async def _wait_for_disk(self, job_id: str, error: Exception) -> None:
        _log.error("disk takes nothing; trying again", job=job_id, reason=str(error), again_in=_DISK_SECONDS)
        await asyncio.sleep(_DISK_SECONDS)

    async def _count_death(self, job: Job, death: WorkerDied) -> None:
        if await self._running(job.id) is None:
            return  # deleted, and stopped by us
        self._deaths[job.id] = death
        crashes = await self._written(job.id, self._store.count_crash, job.id)
        said = death.last_words
        _log.warning("worker died", job=job.id, exit_status=death.exit_status, said=said, crashes=crashes)
        line = log_line(f"The recognising process died (exit status {death.exit_status}), time {crashes}", "WARNING")
        await self._written(job.id, self._store.append_log, job.id, line)

    async def _complete(self, job: Job, config: job_config.JobConfig, recognition: messages.Recognition) -> None:
        transcript = await asyncio.to_thread(transcription.transcript, job, config, recognition)
        wanted = config.transcription_config
        words = sum(len(channel) for channel in recognition.channels)
        lines = [log_line(note, "WARNING") for note in (*capabilities.notes(config), *recognition.notes)]
        heard = f"{recognition.duration:.2f} s of audio ({recognition.speech:.2f} s of speech)"
        lines.append(log_line(f"Transcribed {heard}: {words} words"))
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
        await self._tell(job)

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
        await self._tell(job)

    async def _tell(self, job: Job) -> None:
        self._waiters.notify(job.id)
        if self._outside is not None:
            await self._outside.job_ended(job.id)

    def _idle_since_now(self, slot: Slot) -> None:
        self._stop_idling(slot)
        loop = asyncio.get_running_loop()
        self._idle_timers[slot] = loop.call_later(self._settings.idle_release, slot.release)

    def _stop_idling(self, slot: Slot) -> None:
        with contextlib.suppress(KeyError):
            self._idle_timers.pop(slot).cancel()
