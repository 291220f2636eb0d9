"""Finding out whether a job exists whose answer was lost.

The jobs of the account are listed back past the time at which the attempt was armed, and searched for its
reference. Found: the job is adopted. Found twice: the older is kept, the running twin deleted. Absent from two
complete listings that began at least `settle_listing` apart: no job was created, and the recording is tried again.
Where certainty can't be had, the entry is HELD: it is never paid again without a person's word.
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.clock import Clock
    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt
    from watcher.scheduler.account import Account
    from watcher.speechmatics import AsyncClient, JobDetails

__all__ = ["Listing", "Reconciler", "oldest_relevant", "verdict"]

_log = get_logger("reconcile")
RETENTION = 6.5 * 86400.0
"""Seconds after which a job may have been removed by the service (it keeps them for 7 days)."""
CLOCK_SKEW = 86400.0
"""Seconds by which our clock and the service's may differ when listings are searched."""
_MOST_LOOKUPS = 500


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
    """The first complete listing that did not show an attempt's job. Monotonic seconds."""

    since: float


def oldest_relevant(armed_at: float) -> datetime:
    """How far back a listing must reach to be complete for an attempt armed at this unix time."""
    return datetime.fromtimestamp(armed_at - CLOCK_SKEW, tz=UTC)


def verdict(attempt: Attempt, listing: Listing, absence: Absence | None, *, now: float, settle_listing: float) -> str:
    """Decide what a complete listing means for an attempt. Pure.

    Returns:
        `adopt`, `hold`, `absent` (no job was created), or `wait` (look again later).
    """
    if listing.jobs.get(attempt.reference):
        return "adopt"
    if now - (attempt.armed_at or attempt.prepared_at) > RETENTION or listing.opaque:
        return "hold"
    if absence is not None and listing.began - absence.since >= settle_listing:
        return "absent"
    return "wait"


class Reconciler:
    """Settles the attempts of one account that are ARMED without an answer."""

    def __init__(self, ledger: LedgerWorker, account: Account, *, clock: Clock) -> None:
        self._ledger = ledger
        self._account = account
        self._clock = clock
        self._absences: dict[str, Absence] = {}

    async def look(self, attempts: Sequence[Attempt]) -> float:
        """Look once for the jobs of these attempts and settle those that can be settled.

        Returns:
            Seconds until it is worth looking again, if any are left.
        """
        try:
            client = await self._account.connector.connect()
            listing = await self._list(client, min(a.armed_at or a.prepared_at for a in attempts))
        except (sm.PagingStalled, sm.NotFound) as error:
            for attempt in attempts:
                await self._hold(attempt, f"The service's job list can't be read: {error}")
            return 0.0
        except (sm.SpeechmaticsError, EngineUnavailable) as error:
            _log.info("cannot list jobs yet", account=self._account.name, why=str(error))
            return 10.0
        for attempt in attempts:
            await self._settle(client, attempt, listing)
        return max(0.2, self._account.settle_listing / 2)

    async def _list(self, client: AsyncClient, armed_at: float) -> Listing:
        listing = Listing(began=self._clock.monotonic())
        oldest = oldest_relevant(armed_at)
        lookups = 0
        async for job in client.iter_jobs(include_deleted=True):
            if job.created < oldest:
                break
            reference = job.reference
            if reference is None and job.config is None:
                lookups += 1
                reference = await self._look_up(client, job.id) if lookups <= _MOST_LOOKUPS else None
                listing.opaque |= reference is None
            if reference is not None:
                listing.jobs.setdefault(reference, []).insert(0, job)
        return listing

    async def _look_up(self, client: AsyncClient, job_id: str) -> str | None:
        """Ask for the reference of a job whose config the listing left out, as on-prem servers do."""
        try:
            job = await client.get_job(job_id, wait=0)
        except (sm.NotFound, sm.Gone):
            return None
        return job.reference or ("" if job.config is not None else None)

    async def _settle(self, client: AsyncClient, attempt: Attempt, listing: Listing) -> None:
        now = self._clock.now()
        absence = self._absences.get(attempt.reference)
        match verdict(attempt, listing, absence, now=now, settle_listing=self._account.settle_listing):
            case "adopt":
                keep, *twins = listing.jobs[attempt.reference]
                for twin in twins:
                    await self._delete_twin(client, twin)
                reason = "The service's answer was lost; its job was found by its reference."
                await self._ledger(Ledger.accept, attempt, keep.id, now=now, reason=reason)
            case "hold":
                await self._hold(attempt, "It can't be known whether the service took this recording.")
            case "absent":
                await self._ledger(
                    Ledger.give_back,
                    attempt,
                    AttemptState.ABSENT,
                    now=now,
                    next_attempt_at=now,
                    reason="The service's answer was lost, and its job list shows no such job.",
                    counts=False,
                )
            case _:
                self._absences.setdefault(attempt.reference, Absence(listing.began))
                return
        self._absences.pop(attempt.reference, None)

    async def _delete_twin(self, client: AsyncClient, twin: JobDetails) -> None:
        if twin.status.is_final:
            return
        try:
            await client.delete_job(twin.id, force=True)
        except sm.SpeechmaticsError as error:
            _log.warning("a second job could not be deleted", job=twin.id, why=str(error))

    async def _hold(self, attempt: Attempt, why: str) -> None:
        entry = await self._ledger(Ledger.entry, attempt.entry_id)
        if entry.state is not EntryState.SUBMITTING:
            return
        fix = "If your account shows no job for it, submit it again (this may cost): dropscribe retry FILE"
        await self._ledger(Ledger.end, entry, EntryState.HELD, now=self._clock.now(), reason=why, fix=fix)
