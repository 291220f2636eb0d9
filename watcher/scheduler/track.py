"""Waiting for jobs: long-polls for few, list sweeps for many."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import EngineUnavailable, OutputError
from watcher.ledger import IllegalMove, Ledger
from watcher.logs import get_logger
from watcher.models import EntryState
from watcher.scheduler.retry import backoff

if TYPE_CHECKING:
    import random

    from watcher.clock import Clock
    from watcher.ledger import LedgerWorker
    from watcher.models import Entry
    from watcher.scheduler.account import Account
    from watcher.scheduler.deliver import Deliverer
    from watcher.speechmatics import AsyncClient, JobDetails

__all__ = ["LONG_POLLS", "Tracker", "poll_pause", "sweep_pause"]

_log = get_logger("track")
LONG_POLLS = 10
"""Up to how many jobs are waited for with a request each; more are seen by sweeps of the list."""
_WAIT = 30
_PAGE = 100
_SKEW = timedelta(days=1)


def poll_pause(polls: int, took: float, chance: float) -> float:
    """Seconds before a job is asked for again.

    A server that knows `wait` holds the answer back, and is asked again at once. One that doesn't answers
    immediately, and is asked at growing intervals from half a second to ten, spread by up to a quarter.

    Args:
        polls: how many times it was asked.
        took: seconds that the last answer took.
        chance: a random number from 0 to 1.
    """
    if took > 1.0:
        return 0.0
    return float(min(0.5 * 1.3 ** min(polls, 40), 10.0) * (0.75 + chance / 4))


def sweep_pause(tracked: int, quiet: float) -> float:
    """Seconds between two sweeps of the list.

    Args:
        tracked: how many jobs are looked for; each hundred costs a request, and a sweep may cost up to 2/s.
        quiet: seconds since a job was last submitted or seen to end: after a long quiet, seconds don't matter.
    """
    pages = -(-tracked // _PAGE)
    return min(max(1.0, pages * 0.5, quiet / 10), 30.0)


class Tracker:
    """Follows the jobs of one account until their transcripts are on disk."""

    def __init__(
        self, ledger: LedgerWorker, account: Account, deliverer: Deliverer, *, clock: Clock, chance: random.Random
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._deliverer = deliverer
        self._clock = clock
        self._chance = chance
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._last_change = clock.monotonic()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """A job was submitted: look sooner."""
        self._last_change = self._clock.monotonic()
        self._wake.set()

    async def run(self) -> None:
        """Track for ever; cancel to stop."""
        async with asyncio.TaskGroup() as group:
            while True:
                entries = await self._ledger(Ledger.submitted_to, self._account.name)
                self._account.connector.in_use(busy=bool(entries))
                for entry in entries[:LONG_POLLS]:
                    self._start(group, entry)
                rest = [entry for entry in entries[LONG_POLLS:] if entry.id not in self._tasks]
                if rest:
                    await self._sweep(group, rest)
                pause = sweep_pause(len(rest), self._clock.monotonic() - self._last_change) if rest else 30.0
                await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _start(self, group: asyncio.TaskGroup, entry: Entry, job: JobDetails | None = None) -> None:
        if entry.id in self._tasks:
            return
        task = group.create_task(self._follow(entry, job), name=f"track {entry.job_id}")
        self._tasks[entry.id] = task
        task.add_done_callback(lambda _task: self._forget(entry.id))

    def _forget(self, entry_id: int) -> None:
        self._tasks.pop(entry_id, None)
        self.wake()

    async def _follow(self, entry: Entry, job: JobDetails | None) -> None:
        """Wait for one job and see its transcript to disk; troubles on the way only delay it."""
        polls, failures = 0, 0
        while True:
            try:
                client = await self._account.connector.connect()
                began = self._clock.monotonic()
                if job is None or not job.status.is_final:
                    job = await client.get_job(entry.job_id or "", wait=_WAIT)
                if await self._ended(client, entry, job):
                    return
                polls, failures = polls + 1, 0
                pause = poll_pause(polls, self._clock.monotonic() - began, self._chance.random())
            except IllegalMove:
                return  # a person cancelled it meanwhile
            except (sm.NotFound, sm.Gone) as error:
                await self._hold(entry, f"The service does not have its job any more: {error}")
                return
            except (sm.SpeechmaticsError, EngineUnavailable, OutputError) as error:
                failures += 1
                pause = self._trouble(error, failures)
                await self._say_why(entry, error)
            await asyncio.sleep(pause)
            fresh = await self._ledger(Ledger.entry, entry.id)
            if fresh.state is not EntryState.SUBMITTED:
                return
            entry = fresh

    def _trouble(self, error: Exception, failures: int) -> float:
        retry_after = getattr(error, "retry_after", None)
        _log.info("asking again later", account=self._account.name, why=str(error))
        return float(retry_after or min(backoff(failures, self._chance.random()) / 5, 60.0))

    async def _say_why(self, entry: Entry, error: Exception) -> None:
        now = self._clock.now()
        if isinstance(error, sm.AuthenticationError | sm.PermissionDenied):
            fix = "Give a valid API key: dropscribe login. Everything then goes on by itself."
            await self._ledger(Ledger.hold, self._account.hold_name, now=now, reason=str(error), fix=fix)
        await self._ledger(Ledger.annotate, entry, reason=str(error), fix=getattr(error, "fix", ""))

    async def _ended(self, client: AsyncClient, entry: Entry, job: JobDetails) -> bool:
        """Act on a job's end; False while it runs."""
        now = self._clock.now()
        if not job.status.is_final:
            return False
        if job.status == sm.JobStatus.DONE:
            entry = await self._deliverer.fetch(self._account, client, entry)
            if entry.state is EntryState.TRANSCRIBED:
                self._last_change = self._clock.monotonic()
                await self._deliverer.publish_or_say_why(entry)
        elif job.status == sm.JobStatus.REJECTED:
            if not job.reasons:
                job = await client.get_job(job.id, wait=0)
            reason = f"The service rejected it: {'; '.join(job.reasons) or 'it gave no reason'}"
            fix = "Mend the recording or its folder's settings, then: dropscribe retry FILE"
            await self._ledger(Ledger.end, entry, EntryState.FAILED, now=now, reason=reason, fix=fix)
        else:
            await self._hold(entry, f"Its job was {job.status} at the service before the transcript was fetched.")
        return True

    async def _hold(self, entry: Entry, reason: str) -> None:
        fix = "To submit it again (this may cost): dropscribe retry FILE"
        now = self._clock.now()
        await self._ledger(Ledger.end, entry, EntryState.HELD, now=now, reason=reason, fix=fix)

    async def _sweep(self, group: asyncio.TaskGroup, entries: list[Entry]) -> None:
        """List jobs back to the oldest that is looked for; take up those that have ended."""
        wanted = {entry.job_id: entry for entry in entries}
        submitted = min(entry.submitted_at or entry.added_at for entry in entries)
        oldest = datetime.fromtimestamp(submitted, tz=UTC) - _SKEW
        try:
            client = await self._account.connector.connect()
            async for job in client.iter_jobs(include_deleted=True):
                entry = wanted.pop(job.id, None)
                if entry and job.status.is_final:
                    self._start(group, entry, job)
                if not wanted or job.created < oldest:
                    break
        except (sm.SpeechmaticsError, EngineUnavailable) as error:
            self._trouble(error, 1)
            return
        for entry in wanted.values():  # not in a complete listing: ask for it by its id
            self._start(group, entry)
