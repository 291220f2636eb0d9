"""Takes up what was left in the middle: by a crash, a lost answer, a full disk, or a change of the config."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from watcher.ledger import IllegalMove, Ledger
from watcher.logs import get_logger
from watcher.models import AttemptState, EntryState
from watcher.scheduler.loop import wait_for
from watcher.scheduler.reconcile import RETENTION, Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from watcher.clock import Clock
    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.scheduler.account import Account
    from watcher.scheduler.holds import Holds
    from watcher.settings import Settings
    from watcher.timings import Timings

__all__ = ["Recovery"]

_log = get_logger("recovery")


class Recovery:
    """Finds attempts that nobody works on any more, and entries whose account or folder is gone.

    Args:
        ledger: has them.
        accounts: all of them.
        holds: to stop an account whose list can't be read for want of a key.
        settings: the config in force.
        under_way: the references of the attempts that this run works on.
        settled: called when entries were settled.
        clock: the time.
        timings: the pauses.
    """

    def __init__(
        self,
        ledger: LedgerWorker,
        accounts: Sequence[Account],
        holds: Holds,
        settings: Settings,
        *,
        under_way: Collection[str],
        settled: Callable[[], None],
        clock: Clock,
        timings: Timings,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._settings = settings
        self._under_way = under_way
        self._settled = settled
        self._clock = clock
        self._timings = timings.scheduler
        self._longest_fault = timings.retry.longest_fault
        self._reconcilers = {
            account.name: Reconciler(ledger, account, holds, clock=clock, timings=timings.scheduler)
            for account in accounts
        }
        self._look_at: dict[str, float] = {}
        self._held_at: dict[str, float] = {}
        self._key_changes: dict[str, int] = {}
        """How many changes of each account's key were followed by asking for HELD jobs again."""
        self._wakes = {account.name: asyncio.Event() for account in accounts}
        self._afresh: set[str] = set()
        """Accounts whose HELD jobs are to be asked for once more, as with each start and each change of the config."""

        self._not_looked_yet: set[str] = set()
        """Accounts whose lost and HELD jobs were not looked for since the start or the latest change of the config."""

    @property
    def has_looked(self) -> bool:
        """Whether every account's lost and HELD jobs were looked for since the start."""
        return not self._not_looked_yet

    def wake(self) -> None:
        """An answer was lost, or an attempt broke off: look into it now."""
        for event in self._wakes.values():
            event.set()

    async def begin(self) -> None:
        """Bring waiting and running entries in line with the accounts and folders that there are now."""
        now = self._clock.now()
        names = [account.name for account in self._accounts]
        for entry in await self._ledger(Ledger.submitted_elsewhere, names):
            latest = await self._ledger(Ledger.latest_attempt, entry.id)
            if latest is not None and latest.state is AttemptState.PREPARED:
                continue  # no job was made; dropped by `release_stalled`
            why = f"Its job is at {entry.account}, where the config does not lead any more."
            fix = (
                "Set the config back, and it goes on by itself; or submit it again (this costs): dropscribe retry FILE"
            )
            await self._ledger(Ledger.hold, entry, now=now, reason=why, fix=fix)
        self._afresh.update(names)
        self._not_looked_yet.update(names)
        await self.follow_config()

    async def follow_config(self) -> None:
        """Let waiting entries go where their folder goes now; cancel those of folders that are not watched any more."""
        now, folders = self._clock.now(), self._settings.folders
        for folder in folders:
            await self._ledger(Ledger.follow_engine, folder.path, folder.engine)
        roots = [folder.path for folder in folders]
        while await self._ledger(Ledger.cancel_unwatched, roots, now=now):
            pass

    async def try_faults_again(self, *, at_start: bool = False) -> None:
        """Let what is HELD because Dropscribe itself failed wait again: when it is due; all of it at a start."""
        now = self._clock.now()
        reason = "Dropscribe was started again." if at_start else "It is tried again."
        # A start may be that of an updated program.
        for entry in await self._ledger(Ledger.held_until, now + self._longest_fault if at_start else now):
            with suppress(IllegalMove):  # a person decided meanwhile
                await self._ledger(Ledger.try_again, entry, now=now, reason=reason)
                self._settled()

    async def release_stalled(self) -> None:
        """An attempt that was never armed made no job: its entry waits again."""
        now, delay = self._clock.now(), self._timings.requeue
        for attempt in await self._ledger(Ledger.open_attempts, AttemptState.PREPARED):
            if attempt.reference in self._under_way:
                continue
            await self._ledger(
                Ledger.requeue,
                attempt,
                AttemptState.DROPPED,
                now=now,
                next_attempt_at=now if attempt.prepared_at < now - delay else now + delay,
                reason="Dropscribe was stopped before it was submitted.",
                counts=False,
            )

    async def look(self, account: Account) -> None:
        """Look for the jobs of one account whose answers were lost."""
        self._wakes[account.name].clear()
        try:
            due = await self._look(account)
        finally:
            self._not_looked_yet.discard(account.name)
        pause = self._timings.lost_jobs if due else self._timings.lost_jobs_idle
        await wait_for(self._wakes[account.name], pause)

    async def _look(self, account: Account) -> bool:
        """Look once; return whether there is something left to look for."""
        await self.release_stalled()
        await self.try_faults_again()
        held = [e for e in await self._ledger(Ledger.with_job, EntryState.HELD) if e.account == account.name]
        armed = await self._ledger(Ledger.open_attempts, AttemptState.ARMED)
        lost = [a for a in armed if a.account == account.name and a.reference not in self._under_way]
        states = [(await self._ledger(Ledger.entry, attempt.entry_id)).state for attempt in lost]
        key = await account.present_key() if held or EntryState.HELD in states else None
        changes = account.visibility.changes
        is_new = key is not None and changes != self._key_changes.get(account.name, 0)
        if key is not None:
            await self._ask_again(account, held, key, is_new=is_new)
            self._key_changes[account.name] = changes
        due = self._due(account, lost, states, key if is_new else None)
        now = self._clock.monotonic()
        if due and now >= self._look_at.get(account.name, now):
            account.connector.in_use(busy=True)
            pause = await self._reconcilers[account.name].look(due)
            self._look_at[account.name] = self._clock.monotonic() + pause
            self._settled()
        return bool(due)

    async def _ask_again(self, account: Account, held: list[Entry], key: str, *, is_new: bool) -> None:
        """Wait again for jobs of HELD entries that the present key sees: once after the start and each change of it."""
        if is_new or account.name in self._afresh:
            for entry in held:
                if account.visibility.is_visible(entry.key_digest, key):
                    reason = "Its job can be asked for again."
                    with suppress(IllegalMove):  # a person decided meanwhile
                        await self._ledger(Ledger.track_again, entry, now=self._clock.now(), reason=reason)
                        self._settled()
        self._afresh.discard(account.name)

    def _due(
        self, account: Account, lost: list[Attempt], states: list[EntryState], new_key: str | None
    ) -> list[Attempt]:
        """Leave out those that are HELD and were looked for not long ago, unless a new key sees their jobs."""
        now = self._clock.monotonic()
        due = []
        for attempt, state in zip(lost, states, strict=True):
            if state is EntryState.HELD:
                if self._clock.now() - (attempt.armed_at or attempt.prepared_at) > RETENTION:
                    continue  # it may have been removed: the list proves nothing any more
                if new_key is not None and account.visibility.is_visible(attempt.key_digest, new_key):
                    # Looked for now, and once more when a second list can settle it.
                    self._held_at[attempt.reference] = now + account.settle_listing + 1.0
                    self._look_at.pop(account.name, None)
                elif now < self._held_at.get(attempt.reference, now):
                    continue
                else:
                    self._held_at[attempt.reference] = now + self._timings.held_jobs
            due.append(attempt)
        return due
