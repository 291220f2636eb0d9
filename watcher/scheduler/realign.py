"""Brings the ledger in line with the config, and lets recordings wait again that this or an earlier run let down."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from watcher.ledger import IllegalMove, Ledger
from watcher.models import AttemptState
from watcher.scheduler.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt
    from watcher.runtime import Runtime
    from watcher.settings import Settings

__all__ = ["Realigner", "release_stalled"]


class Realigner:
    """Moves entries whose account, folder or state does not fit any more.

    Args:
        ledger: has them.
        settings: the config in force.
        accounts: the names of all accounts.
        runtime: the clock and the pauses.
        on_change: called when waiting entries go to another engine; that moves none of them in the ledger.
    """

    def __init__(
        self,
        ledger: LedgerWorker,
        settings: Settings,
        accounts: Sequence[str],
        runtime: Runtime,
        *,
        on_change: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._accounts = accounts
        self._runtime = runtime
        self._on_change = on_change
        self.loop = Loop("retrying faults", self._retry_due_faults)

    async def start(self) -> None:
        """Settle what an earlier run left, before anything is submitted."""
        await self.follow_accounts()
        await self.follow_folders()
        attempts = await self._ledger(Ledger.open_attempts, AttemptState.PREPARED)
        await release_stalled(self._ledger, attempts, self._runtime)
        # A start may be that of an updated program: retry every fault.
        until = self._runtime.now() + self._runtime.timings.retry.longest_fault
        await self._retry_faults(until, "Dropscribe was started again.")

    async def follow_accounts(self) -> None:
        """Hold entries whose jobs are at an account that the config does not name any more."""
        now = self._runtime.now()
        for entry in await self._ledger(Ledger.submitted_elsewhere, self._accounts):
            latest = await self._ledger(Ledger.latest_attempt, entry.id)
            if latest is not None and latest.state is AttemptState.PREPARED:
                continue  # no job was made; `release_stalled` ends the attempt
            why = f"Its job is at {entry.account}, but the config now names another address."
            fix = (
                "Set the config back, and it continues automatically; "
                "or submit it again (this costs): dropscribe retry FILE"
            )
            await self._ledger(Ledger.hold, entry, now=now, reason=why, fix=fix)

    async def follow_folders(self) -> None:
        """Let waiting entries go where their folder goes now; cancel those of folders that are not watched any more."""
        if not self._settings.serves_folders:
            return
        now, folders = self._runtime.now(), self._settings.folders
        changed = [await self._ledger(Ledger.follow_engine, folder.path, folder.engine) for folder in folders]
        if any(changed):
            self._on_change()
        roots = [folder.path for folder in folders]
        while await self._ledger(Ledger.cancel_unwatched, roots, now=now):
            pass

    async def _retry_due_faults(self) -> float:
        await self._retry_faults(self._runtime.now(), "It is tried again.")
        return self._runtime.timings.scheduler.lost_jobs_idle

    async def _retry_faults(self, until: float, reason: str) -> None:
        """Let entries wait again that are HELD because Dropscribe itself failed, if they are due until then."""
        for entry in await self._ledger(Ledger.held_until, until):
            with suppress(IllegalMove):  # a person decided meanwhile
                await self._ledger(Ledger.try_again, entry, now=self._runtime.now(), reason=reason)


async def release_stalled(ledger: LedgerWorker, attempts: Iterable[Attempt], runtime: Runtime) -> None:
    """Let the entries of attempts wait again that nothing works on; these were never armed, so they made no job."""
    now, delay = runtime.now(), runtime.timings.scheduler.requeue
    for attempt in attempts:
        await ledger(
            Ledger.requeue,
            attempt,
            AttemptState.DROPPED,
            now=now,
            next_attempt_at=now if attempt.prepared_at < now - delay else now + delay,
            reason="Dropscribe was stopped before it was submitted.",
            counts=False,
        )
