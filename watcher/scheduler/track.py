"""Waiting for jobs: long-polls for few, list sweeps for many."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.backoff import backoff
from watcher.errors import EngineUnavailable, LedgerDamaged, LedgerError, OutputError
from watcher.ledger import IllegalMove, JobOutcome, Ledger
from watcher.logs import get_logger
from watcher.models import Engine, EntryState
from watcher.scheduler.account import KEY_BACK
from watcher.scheduler.loop import Loop
from watcher.scheduler.retry import TRIED_AGAIN, fault_delay, fix_of_key, fix_of_settings, retry_delay

if TYPE_CHECKING:
    from watcher.ledger import LedgerWorker
    from watcher.models import Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.scheduler.deliver import Deliverer
    from watcher.scheduler.holds import Holds
    from watcher.scheduler.job_progress import ProgressWatch
    from watcher.speechmatics import AsyncClient, JobDetails

__all__ = ["LONG_POLLS", "Tracker", "is_hopeless", "poll_pause", "sweep_pause"]

_log = get_logger("track")
LONG_POLLS = 10
"""Up to how many jobs are waited for with a request each; more are seen by sweeps of the list."""
_AT_A_TIME = 64
"""How many jobs are attended to at a time: a task each, and perhaps a transcript in memory."""
_WAIT = 30
_PAGE = 100
_SKEW = timedelta(days=1)
_MOST_SURPRISES = 6
"""After so many failures in a row that waiting should not fix, an entry is HELD."""


def is_hopeless(error: Exception, failures: int) -> bool:
    """Whether a job's transcript can't be had any more, after so many failures in a row (this one included)."""
    match error:
        case sm.Gone():
            return error.from_api
        case sm.NotFound():  # a job or transcript may not have reached every corner of the service yet
            return error.from_api and failures >= _MOST_SURPRISES
        case sm.SpeechmaticsError() | EngineUnavailable() | OutputError():
            return False
        case _:
            return failures >= _MOST_SURPRISES


def poll_pause(polls: int, took: float, jitter: float) -> float:
    """Seconds until a job is polled again.

    A server that supports `wait` delays its answer, and is polled again at once. One that doesn't answers immediately,
    and is polled at growing intervals from half a second to ten, shortened by up to a quarter.

    Args:
        polls: how many polls there were.
        took: seconds that the last answer took.
        jitter: a random number from 0 to 1.
    """
    if took > 1.0:
        return 0.0
    return backoff(polls + 1, first=0.5, longest=10.0, factor=1.3, jitter=jitter)


def sweep_pause(tracked: int, quiet: float) -> float:
    """Seconds between two sweeps of the list.

    Args:
        tracked: how many jobs are looked for; each hundred costs a request, and a sweep may cost up to 1.3/s.
        quiet: seconds since a job was last submitted or seen to end: after a long quiet, seconds don't matter.
    """
    pages = -(-tracked // _PAGE)
    return min(max(1.0, pages * 0.75, quiet / 10), 30.0)


class Tracker:
    """Follows the jobs of one account until their transcripts are on disk."""

    def __init__(
        self,
        account: Account,
        ledger: LedgerWorker,
        deliverer: Deliverer,
        *,
        holds: Holds,
        progress: ProgressWatch,
        runtime: Runtime,
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._deliverer = deliverer
        self._holds = holds
        self._progress = progress
        self._runtime = runtime
        self._group: asyncio.TaskGroup
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._polls: dict[int, str | None] = {}
        """The jobs that are waited for with a request each, by their entries' ids."""
        self._last_change = runtime.monotonic()
        self._sweep_at = 0.0
        """Monotonic time of the next sweep."""
        self.loop = Loop(f"tracking {account.name}", self._look)

    def expect_changes(self) -> None:
        """A job was submitted, or one has ended: more may soon do so."""
        self._last_change = self._runtime.monotonic()
        self.loop.wake()

    async def run(self) -> None:
        """Track for ever; cancel to stop."""
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._progress.loop.run(), name=self._progress.loop.name)
            self._group.create_task(self.loop.run(), name=self.loop.name)

    async def _look(self) -> float:
        # However many wake it: a sweep costs a request per hundred jobs, and its entries are read from the ledger.
        if (left := self._sweep_at - self._runtime.monotonic()) > 0:
            return left
        entries = await self._ledger(Ledger.submitted_to, self._account.name)
        self._account.connector.in_use(busy=bool(entries))
        jobs = {entry.id: entry.job_id for entry in entries}
        for entry_id in [entry_id for entry_id, job_id in self._polls.items() if jobs.get(entry_id) != job_id]:
            self._tasks[entry_id].cancel()  # its entry doesn't wait for this job any more; it may wait for another
        rest = [entry for entry in entries if entry.id not in self._tasks]
        if len(entries) <= LONG_POLLS or not rest:
            for entry in rest:
                self._start(entry)
            return self._runtime.timings.scheduler.idle
        running = await self._sweep(rest)
        if len(running) + len(self._polls) <= LONG_POLLS:  # the last of many: no need to wait for another sweep
            for entry in running:
                self._start(entry)
        now = self._runtime.monotonic()
        pause = sweep_pause(len(rest), now - self._last_change)
        self._sweep_at = now + pause
        return pause

    def _start(self, entry: Entry, job: JobDetails | None = None) -> None:
        if entry.id in self._tasks or len(self._tasks) >= _AT_A_TIME:
            return
        task = self._group.create_task(self._follow(entry, job), name=f"track {entry.job_id}")
        self._tasks[entry.id] = task
        if job is None:
            self._polls[entry.id] = entry.job_id
            self._progress.follow(entry)
        task.add_done_callback(lambda _task: self._forget(entry.id))

    def _forget(self, entry_id: int) -> None:
        self._tasks.pop(entry_id, None)
        self._polls.pop(entry_id, None)
        self._progress.forget(entry_id)
        self.expect_changes()

    async def _follow(self, entry: Entry, job: JobDetails | None) -> None:
        """Wait for one job and see its transcript to disk; troubles on the way only delay it."""
        job_id, polls, failures = entry.job_id, 0, 0
        seen, hidden_from = job is not None, None
        while True:
            began = self._runtime.monotonic()
            try:
                entry = await self._ledger(Ledger.entry, entry.id)
                if entry.state is not EntryState.SUBMITTED or entry.job_id != job_id:
                    return  # a person cancelled it meanwhile
                client = await self._account.connector.connect()
                key = self._account.visibility.key_of(client)
                seen = seen or self._account.visibility.is_visible(entry.key_digest, key)
                hidden_from = None if seen else key
                if job is None or not job.status.is_final:
                    job = await client.get_job(entry.job_id or "", wait=_WAIT)
                    seen, hidden_from = True, None
                if job.status.is_final:
                    self._polls.pop(entry.id, None)
                if await self._ended(client, entry, job):
                    return
                polls, failures = polls + 1, 0
                pause = poll_pause(polls, self._runtime.monotonic() - began, self._runtime.jitter())
            except LedgerDamaged:
                raise
            except IllegalMove:
                return
            except Exception as error:  # noqa: BLE001 - one job's trouble must not stop the others
                failures += 1
                if await self._record_failure(entry, error, failures, hidden_from=hidden_from):
                    return
                pause = self._pause_after(error, failures)
            await asyncio.sleep(pause)

    def _pause_after(self, error: Exception, failures: int) -> float:
        retry_after = getattr(error, "retry_after", None) or 0.0
        delay = retry_delay(failures, self._runtime.jitter(), self._runtime.timings.retry)
        return max(min(retry_after, 600.0), min(delay / 5, 60.0))

    async def _record_failure(self, entry: Entry, error: Exception, failures: int, *, hidden_from: str | None) -> bool:
        """Write down what went wrong; returns whether to give up waiting for this job.

        Args:
            entry: whose job it is.
            error: what was raised.
            failures: how many there were in a row.
            hidden_from: the key that may not see the job, so that "not found" proves nothing; None: it sees the job.
        """
        expected = isinstance(error, sm.SpeechmaticsError | EngineUnavailable | OutputError)
        log = _log.info if expected else _log.exception
        log("asking again later", account=self._account.name, file=str(entry.path), why=str(error))
        why = str(error) if expected else f"An unexpected error: {type(error).__name__}: {error}"
        try:
            if is_hopeless(error, failures):
                if isinstance(error, sm.NotFound) and hidden_from is not None:
                    await self._hold_for_key(entry, hidden_from)
                    return True
                is_over = isinstance(error, sm.NotFound | sm.Gone)
                job = JobOutcome.NO_TRANSCRIPT if is_over else JobOutcome.UNDECIDED
                await self._hold(entry, f"Its transcript can't be fetched: {why}", job)
                return True
            if isinstance(error, sm.AuthenticationError | sm.PermissionDenied | sm.ConfigurationError):
                await self._holds.stop(self._account, why, fix_of_key(error))
            if entry.reason != why:
                await self._ledger(Ledger.annotate, entry, reason=why, fix=getattr(error, "fix", ""))
        except IllegalMove:
            return True
        except LedgerDamaged:
            raise
        except (LedgerError, OutputError) as full:
            _log.warning("the ledger can't be written", why=full.message)
        return False

    async def _ended(self, client: AsyncClient, entry: Entry, job: JobDetails) -> bool:
        """Act on a job's end; False while it runs."""
        if not job.status.is_final:
            return False
        if job.status == sm.JobStatus.DONE:
            await self._deliverer.fetch(self._account, client, entry)
        elif job.status == sm.JobStatus.REJECTED:
            if not job.reasons:
                job = await client.get_job(job.id, wait=0)
            if job.is_services_fault:
                await self._hold_for_fault(entry, "; ".join(job.reasons))
                return True
            reason = f"The service rejected it: {'; '.join(job.reasons) or 'it gave no reason'}"
            fix = fix_of_settings(entry.kind)
            now = self._runtime.now()
            no_transcript = JobOutcome.NO_TRANSCRIPT
            await self._ledger(Ledger.fail, entry, now=now, reason=reason, fix=fix, job=no_transcript)
        else:
            reason = f"Its job was {job.status} at the service before the transcript was fetched."
            await self._hold(entry, reason, JobOutcome.NO_TRANSCRIPT)
        return True

    async def _hold(self, entry: Entry, reason: str, job: JobOutcome) -> None:
        is_over = job is JobOutcome.NO_TRANSCRIPT
        cost = "To submit it again (this may cost)" if is_over else "To ask for its transcript again"
        fix = f"{cost}: dropscribe retry FILE"
        await self._ledger(Ledger.hold, entry, now=self._runtime.now(), reason=reason, fix=fix, job=job)

    async def _hold_for_fault(self, entry: Entry, why: str) -> None:
        """The server itself failed. Ours costs nothing, so that the recording is submitted again by itself."""
        now = self._runtime.now()
        is_ours = self._account.engine is Engine.LOCAL
        await self._ledger(
            Ledger.hold,
            entry,
            now=now,
            reason=why,
            fix=TRIED_AGAIN if is_ours else "When it works again: dropscribe retry FILE",
            job=JobOutcome.NO_TRANSCRIPT,
            retry_at=now + fault_delay(entry.attempts, self._runtime.timings.retry) if is_ours else 0.0,
        )

    async def _hold_for_key(self, entry: Entry, key: str) -> None:
        why = "Its job was submitted with another API key, and the current key can't access it."
        fix = f"{KEY_BACK}; or submit it again (this costs): dropscribe retry FILE"
        await self._ledger(Ledger.hold, entry, now=self._runtime.now(), reason=why, fix=fix)
        self._account.visibility.gave_up(key)

    async def _sweep(self, entries: list[Entry]) -> list[Entry]:
        """List jobs back to the oldest that is looked for; take up those that have ended.

        Returns:
            Those that have not, as far as the list shows.
        """
        running = []
        wanted = {entry.job_id: entry for entry in entries}
        submitted = min(entry.submitted_at or entry.added_at for entry in entries)
        oldest = datetime.fromtimestamp(submitted, tz=UTC) - _SKEW
        began = self._runtime.now()
        try:
            client = await self._account.connector.connect()
            async for job in client.iter_jobs(include_deleted=True):
                entry = wanted.pop(job.id, None)
                if entry and job.status.is_final:
                    self._start(entry, job)
                elif entry:
                    running.append(entry)
                if not wanted or job.created < oldest:
                    break
        except (sm.SpeechmaticsError, EngineUnavailable) as error:
            _log.info("listing again later", account=self._account.name, why=str(error))
            if isinstance(error, sm.AuthenticationError | sm.PermissionDenied | sm.ConfigurationError):
                await self._holds.stop(self._account, str(error), fix_of_key(error))
            for entry in entries[:LONG_POLLS]:  # the list may stay broken: each can still be asked for by its id
                self._start(entry)
            await asyncio.sleep(self._pause_after(error, 3))
            return entries
        for entry in wanted.values():  # not in a complete listing: ask for it by its id
            running.append(entry)
            if not 0 <= began - (entry.submitted_at or 0.0) < self._runtime.timings.scheduler.listed_within:
                self._start(entry)
        return running
