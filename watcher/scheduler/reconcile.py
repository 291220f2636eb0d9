"""Finding out whether a job exists whose answer was lost.

The jobs of the account are listed back past the time at which the attempt was armed, and searched for its
reference. Found: the job is adopted. Found twice: the older is kept, the running twin deleted. Absent from two
complete listings that began at least `settle_listing` apart: no job was created, and the recording is tried again.
That counts only for lists given to the key that the job was submitted with: another one may belong to another project,
whose list shows none of it. Where certainty can't be had, the entry is HELD: it is never paid again without a
person's word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import EngineUnavailable
from watcher.ledger import Ledger
from watcher.logs import get_logger
from watcher.models import AttemptState, EntryState
from watcher.scheduler.account import KEY_BACK
from watcher.scheduler.retry import fix_of_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.clock import Clock
    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt
    from watcher.scheduler.account import Account
    from watcher.scheduler.holds import Holds
    from watcher.speechmatics import AsyncClient, JobDetails
    from watcher.timings import SchedulerTimings

__all__ = ["FRUITLESS", "Absence", "Listing", "Reconciler", "choose", "next_look", "oldest_relevant", "verdict"]

_log = get_logger("reconcile")
RETENTION = 6.5 * 86400.0
"""Seconds after which a job may have been removed by the service (it keeps them for 7 days)."""
CLOCK_SKEW = 86400.0
"""Seconds by which our clock and the service's may differ when listings are searched."""
_MOST_LOOKUPS = 500
_CHECK_FIRST = "If your account shows no job for it, submit it again (this may cost): dropscribe retry FILE"
MOST_UNCLEAR = 3
"""After so many submissions of one content whose outcome was unclear, and that left no job in the list, it is HELD."""
FRUITLESS = frozenset({sm.JobStatus.DELETED, sm.JobStatus.EXPIRED, sm.JobStatus.REJECTED})
"""What a job's status is when it will give no transcript."""


@dataclass
class Listing:
    """What one complete listing showed.

    Attributes:
        began: monotonic seconds at its start.
        jobs: by reference, oldest first.
        opaque: whether jobs were listed whose reference can't be learned.
    """

    began: float
    jobs: dict[str, list[JobDetails]] = field(default_factory=dict)
    opaque: bool = False


@dataclass(frozen=True)
class Absence:
    """The first complete listing, given to this key, that did not show an attempt's job. Monotonic seconds."""

    since: float
    key: str = ""


def oldest_relevant(armed_at: float) -> datetime:
    """How far back a listing must reach to be complete for an attempt armed at this unix time."""
    return datetime.fromtimestamp(armed_at - CLOCK_SKEW, tz=UTC)


def verdict(
    attempt: Attempt,
    listing: Listing,
    absence: Absence | None,
    *,
    now: float,
    settle_listing: float,
    same_key: bool,
) -> str:
    """Decide what a complete listing means for an attempt. Pure.

    Args:
        attempt: ARMED, its outcome unknown.
        listing: the newest one.
        absence: the first listing, given to the same key as this one, that did not show the job.
        now: unix time.
        settle_listing: of the account.
        same_key: whether the listing was given to the key that the attempt was armed with.

    Returns:
        `adopt`, `hold`, `hold for the key`, `absent` (no job was created), or `wait` (look again later).
    """
    if listing.jobs.get(attempt.reference):
        return "adopt"
    if now - (attempt.armed_at or attempt.prepared_at) > RETENTION or listing.opaque:
        return "hold"
    # Listings of a service lag behind: one that shows no such job proves nothing yet.
    if absence is None or listing.began - absence.since < settle_listing:
        return "wait"
    return "absent" if same_key else "hold for the key"


def choose(jobs: Sequence[JobDetails]) -> tuple[JobDetails, list[str]]:
    """Choose among the jobs of one reference, oldest first.

    Returns:
        The oldest that may give a transcript; and the ids of the others that run, which cost less if they are stopped.
    """
    keep = next((job for job in jobs if job.status not in FRUITLESS), jobs[0])
    return keep, [job.id for job in jobs if job is not keep and not job.status.is_final]


def next_look(since: float, now: float, settle_listing: float) -> float:
    """Seconds until the list is worth reading again: soon at first, as it may just lag behind.

    Args:
        since: when it first showed no such job; monotonic.
        now: monotonic.
        settle_listing: of the account.
    """
    left = settle_listing - (now - since)
    growing = max(1.0, now - since)
    return max(0.2, min(growing, settle_listing / 2, left if left > 0 else growing))


class Reconciler:
    """Settles the attempts of one account that are ARMED without an answer."""

    def __init__(
        self, ledger: LedgerWorker, account: Account, holds: Holds, *, clock: Clock, timings: SchedulerTimings
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._holds = holds
        self._clock = clock
        self._timings = timings
        self._absences: dict[str, Absence] = {}

    async def look(self, attempts: Sequence[Attempt]) -> float:
        """Look once for the jobs of these attempts and settle those that can be settled.

        Returns:
            Seconds until it is worth looking again, if any are left.
        """
        try:
            client = await self._account.connector.connect()
            key = self._account.visibility.key_of(client)
            listing = await self._list(client, attempts)
        except sm.PagingStalled as error:
            return await self._hold_all(attempts, error)
        except sm.NotFound as error:
            if error.from_api:
                return await self._hold_all(attempts, error)
            return self._timings.list_error
        except (sm.AuthenticationError, sm.PermissionDenied, sm.ConfigurationError) as error:
            await self._holds.stop(self._account, str(error), fix_of_key(error))
            return self._timings.list_error
        except (sm.SpeechmaticsError, EngineUnavailable) as error:
            _log.info("cannot list jobs yet", account=self._account.name, why=str(error))
            return self._timings.list_error
        for attempt in attempts:
            await self._settle(attempt, listing, key)
        now = self._clock.monotonic()
        left = [self._absences[a.reference] for a in attempts if a.reference in self._absences]
        return min((next_look(a.since, now, self._account.settle_listing) for a in left), default=0.0)

    async def _list(self, client: AsyncClient, attempts: Sequence[Attempt]) -> Listing:
        """Read the list back past the arming times; to its very end while a job is missing.

        The end costs some pages more, but then a clock that was wrong at the time hides no job.
        """
        listing = Listing(began=self._clock.monotonic())
        oldest = oldest_relevant(min(a.armed_at or a.prepared_at for a in attempts))
        missing = {attempt.reference for attempt in attempts}
        lookups = 0
        async for job in client.iter_jobs(include_deleted=True):
            is_old = job.created < oldest
            if is_old and not missing:
                break
            reference = job.reference
            if reference is None and job.config_data is None and not is_old:
                lookups += 1
                reference = await self._look_up(client, job.id) if lookups <= _MOST_LOOKUPS else None
                listing.opaque |= reference is None
            if reference:
                listing.jobs.setdefault(reference, []).insert(0, job)
                missing.discard(reference)
        return listing

    async def _look_up(self, client: AsyncClient, job_id: str) -> str | None:
        """Ask for the reference of a job whose config the listing left out, as on-prem servers do.

        Returns:
            The reference; an empty text for a job that has none; None if it can't be learned.
        """
        try:
            job = await client.get_job(job_id, wait=0)
        except (sm.NotFound, sm.Gone):
            return None
        return job.reference or ("" if job.config_data is not None else None)

    async def _settle(self, attempt: Attempt, listing: Listing, key: str) -> None:
        now = self._clock.now()
        absence = self._absences.get(attempt.reference)
        if absence is not None and absence.key != key:
            del self._absences[attempt.reference]
            absence = None
        settle = self._account.settle_listing
        same = self._account.any_key or attempt.key_digest == key
        match verdict(attempt, listing, absence, now=now, settle_listing=settle, same_key=same):
            case "adopt":
                await self._adopt(attempt, listing.jobs[attempt.reference], key)
            case "hold":
                await self._hold(attempt, "It can't be known whether the service took this recording.", _CHECK_FIRST)
            case "hold for the key":
                why = "Its answer was lost, and the API key has changed since: the new key's job list can't tell."
                await self._hold(attempt, why, f"{KEY_BACK}; or: {_CHECK_FIRST}")
                self._account.visibility.gave_up(key)
            case "absent" if (unclear := await self._ledger(Ledger.unclear_outcomes, attempt)) >= MOST_UNCLEAR:
                # Its attempt stays ARMED: should a job turn up in the list, it is adopted at no cost.
                await self._hold(attempt, await self._why_unclear(attempt, unclear), _CHECK_FIRST)
            case "absent":
                await self._ledger(
                    Ledger.requeue,
                    attempt,
                    AttemptState.ABSENT,
                    now=now,
                    next_attempt_at=now,
                    reason="The service's answer was lost, and its job list shows no such job.",
                    counts=False,
                )
            case _:
                self._absences.setdefault(attempt.reference, Absence(listing.began, key))
                return
        self._absences.pop(attempt.reference, None)

    async def _adopt(self, attempt: Attempt, jobs: list[JobDetails], key: str) -> None:
        keep, twins = choose(jobs)
        reason = "The service's answer was lost; its job was found by its reference."
        now = self._clock.now()
        await self._ledger(Ledger.accept, attempt, keep.id, now=now, key=key, reason=reason, twins=twins)

    async def _why_unclear(self, attempt: Attempt, times: int) -> str:
        entry = await self._ledger(Ledger.entry, attempt.entry_id)
        last = entry.reason or "Dropscribe was stopped before the answer came."
        return (
            f"It was submitted {times} times without a clear answer, and the job list shows no job. "
            f"It is not sent again by itself, as each time may have cost. The last time: {last}"
        )

    async def _hold_all(self, attempts: Sequence[Attempt], error: Exception) -> float:
        for attempt in attempts:
            await self._hold(attempt, f"The service's job list can't be read: {error}", _CHECK_FIRST)
        return self._timings.list_error

    async def _hold(self, attempt: Attempt, why: str, fix: str) -> None:
        entry = await self._ledger(Ledger.entry, attempt.entry_id)
        if entry.state is not EntryState.SUBMITTING:
            return
        await self._ledger(Ledger.hold, entry, now=self._clock.now(), reason=why, fix=fix)
