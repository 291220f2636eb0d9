"""Finding out whether a job exists whose answer was lost.

The jobs of the account are listed back past the time at which the attempt was armed, and searched for its
reference. Found: the job is adopted. Found twice: the older is kept, the running twin deleted. Absent from two
complete listings that began at least `settle_listing` apart: no job was created, and the recording is tried again.
That counts only for lists given to the key that the job was submitted with: another one may belong to another project,
whose list shows none of it. Where certainty can't be had, the entry is HELD: it is never paid again without a
person's word.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import EngineUnavailable
from watcher.ledger import IllegalMove, Ledger
from watcher.logs import get_logger
from watcher.models import AttemptState, EntryState
from watcher.scheduler.account import KEY_BACK
from watcher.scheduler.listing import Listing, read_listing
from watcher.scheduler.loop import Loop
from watcher.scheduler.realign import release_stalled
from watcher.scheduler.retry import fix_of_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.scheduler.adopt import Adopter
    from watcher.scheduler.holds import Holds

__all__ = ["Absence", "Reconciler", "decide_outcome", "next_look"]

_log = get_logger("reconcile")
RETENTION = 6.5 * 86400.0
"""Seconds after which a job may have been removed by the service (it keeps them for 7 days)."""
_CHECK_FIRST = "If your account shows no job for it, submit it again (this may cost): dropscribe retry FILE"
MOST_UNCLEAR = 3
"""After so many submissions of one content whose outcome was unclear, and that left no job in the list, it is HELD."""


@dataclass(frozen=True)
class Absence:
    """The first complete listing, given to this key, that did not show an attempt's job. Monotonic seconds."""

    since: float
    key: str = ""


def decide_outcome(
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
    """Settles the attempts of one account that are ARMED without an answer, and asks again for its HELD jobs.

    Args:
        account: whose jobs they are.
        ledger: has the attempts.
        holds: to stop the account if its list can't be read for want of a key.
        adopter: adopts jobs that are found.
        under_way: references of the attempts that this run works on.
        on_settled: called after attempts were looked for.
        runtime: the clock and the pauses.
    """

    def __init__(
        self,
        account: Account,
        ledger: LedgerWorker,
        holds: Holds,
        adopter: Adopter,
        *,
        under_way: Collection[str],
        on_settled: Callable[[], None],
        runtime: Runtime,
    ) -> None:
        self._account = account
        self._ledger = ledger
        self._holds = holds
        self._adopter = adopter
        self._under_way = under_way
        self._on_settled = on_settled
        self._runtime = runtime
        self._timings = runtime.timings.scheduler
        self._absences: dict[str, Absence] = {}
        self._list_at = 0.0
        """Monotonic time before which the list is not read again."""
        self._held_at: dict[str, float] = {}
        """Monotonic times before which HELD attempts are not looked for again, by reference."""
        self._starts_afresh = True
        """Whether to ask for HELD jobs once more, as after each start and each change of the config."""
        self._key_changes = 0
        """How many changes of the key were followed by asking for HELD jobs again."""
        self.has_looked = False
        self.loop = Loop(f"looking for lost jobs of {account.name}", self._look)

    def start_afresh(self) -> None:
        """The config has changed: look for everything once more."""
        self._starts_afresh, self.has_looked = True, False
        self.loop.wake()

    async def _look(self) -> float:
        try:
            is_left = await self._look_once()
        finally:
            self.has_looked = True
        return self._timings.lost_jobs if is_left else self._timings.lost_jobs_idle

    async def _look_once(self) -> bool:
        """Look once; return whether there is something left to look for."""
        account = self._account
        stalled = [a for a in await self._open(AttemptState.PREPARED) if a.reference not in self._under_way]
        await release_stalled(self._ledger, stalled, self._runtime)
        held = [e for e in await self._ledger(Ledger.with_job, EntryState.HELD) if e.account == account.name]
        lost = [a for a in await self._open(AttemptState.ARMED) if a.reference not in self._under_way]
        states = [(await self._ledger(Ledger.entry, attempt.entry_id)).state for attempt in lost]
        key = await account.present_key() if held or EntryState.HELD in states else None
        changes = account.visibility.changes
        is_new = key is not None and changes != self._key_changes
        if key is not None:
            if is_new or self._starts_afresh:
                self._starts_afresh = False
                await self._ask_again(held, key)
            self._key_changes = changes
        due = self._due(lost, states, key if is_new else None)
        if due and self._runtime.monotonic() >= self._list_at:
            account.connector.in_use(busy=True)
            pause = await self._settle_all(due)
            self._list_at = self._runtime.monotonic() + pause
            self._on_settled()
        return bool(due)

    async def _open(self, state: AttemptState) -> list[Attempt]:
        return [a for a in await self._ledger(Ledger.open_attempts, state) if a.account == self._account.name]

    async def _ask_again(self, held: Sequence[Entry], key: str) -> None:
        """Wait again for the jobs of HELD entries that the present key sees."""
        reason = "Its job is accessible again."
        try:
            for entry in held:
                if self._account.visibility.is_visible(entry.key_digest, key):
                    with suppress(IllegalMove):  # a person decided meanwhile
                        await self._ledger(Ledger.track_again, entry, now=self._runtime.now(), reason=reason)
        except BaseException:
            self._starts_afresh = True
            raise

    def _due(self, lost: Sequence[Attempt], states: Sequence[EntryState], new_key: str | None) -> list[Attempt]:
        """Leave out those that are HELD and were looked for not long ago, unless a new key sees their jobs."""
        now = self._runtime.monotonic()
        due = []
        for attempt, state in zip(lost, states, strict=True):
            if state is EntryState.HELD:
                if self._runtime.now() - (attempt.armed_at or attempt.prepared_at) > RETENTION:
                    continue  # it may have been removed: the list proves nothing any more
                if new_key is not None and self._account.visibility.is_visible(attempt.key_digest, new_key):
                    # Looked for now, and once more when a second list can settle it.
                    self._held_at[attempt.reference] = now + self._account.settle_listing + 1.0
                    self._list_at = now
                elif now < self._held_at.get(attempt.reference, now):
                    continue
                else:
                    self._held_at[attempt.reference] = now + self._timings.held_jobs
            due.append(attempt)
        return due

    async def _settle_all(self, attempts: Sequence[Attempt]) -> float:
        """Read the list once and settle those attempts that can be settled.

        Returns:
            Seconds until it is worth reading the list again, if any are left.
        """
        try:
            client = await self._account.connector.connect()
            key = self._account.visibility.key_of(client)
            listing = await read_listing(client, attempts, began=self._runtime.monotonic())
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
        now = self._runtime.monotonic()
        left = [self._absences[a.reference] for a in attempts if a.reference in self._absences]
        return min((next_look(a.since, now, self._account.settle_listing) for a in left), default=0.0)

    async def _settle(self, attempt: Attempt, listing: Listing, key: str) -> None:
        now = self._runtime.now()
        absence = self._absences.get(attempt.reference)
        if absence is not None and absence.key != key:
            del self._absences[attempt.reference]
            absence = None
        settle = self._account.settle_listing
        same = self._account.any_key or attempt.key_digest == key
        match decide_outcome(attempt, listing, absence, now=now, settle_listing=settle, same_key=same):
            case "adopt":
                await self._adopter.adopt_lost(attempt, listing.jobs[attempt.reference], key)
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

    async def _why_unclear(self, attempt: Attempt, times: int) -> str:
        entry = await self._ledger(Ledger.entry, attempt.entry_id)
        last = entry.reason or "Dropscribe was stopped before the answer came."
        return (
            f"It was submitted {times} times without a clear answer, and the job list shows no job. "
            f"It is not resubmitted automatically, because each attempt may have been billed. The last time: {last}"
        )

    async def _hold_all(self, attempts: Sequence[Attempt], error: Exception) -> float:
        for attempt in attempts:
            await self._hold(attempt, f"The service's job list can't be read: {error}", _CHECK_FIRST)
        return self._timings.list_error

    async def _hold(self, attempt: Attempt, why: str, fix: str) -> None:
        entry = await self._ledger(Ledger.entry, attempt.entry_id)
        if entry.state is not EntryState.SUBMITTING:
            return
        await self._ledger(Ledger.hold, entry, now=self._runtime.now(), reason=why, fix=fix)
