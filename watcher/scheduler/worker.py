"""Everything that is done for one account, and all of its state: submitting, tracking, reconciling, checking."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.errors import LedgerDamaged, OutputError
from watcher.ledger import Ledger
from watcher.logs import get_logger
from watcher.models import Engine, EntryState
from watcher.scheduler.holds import AccountCheck
from watcher.scheduler.job_progress import ProgressWatch
from watcher.scheduler.loop import Loop
from watcher.scheduler.reconcile import Reconciler
from watcher.scheduler.track import Tracker
from watcher.transcripts import DamagedTranscript, needed_originals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watcher.events import EventBus
    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.scheduler.adopt import Adopter
    from watcher.scheduler.cleanup import Cleaner
    from watcher.scheduler.consent import Consent
    from watcher.scheduler.deliver import Deliverer
    from watcher.scheduler.holds import Holds
    from watcher.scheduler.realign import Realigner
    from watcher.scheduler.submit import Submitter
    from watcher.settings import Settings
    from watcher.transcripts import TranscriptStore

__all__ = ["AccountWorker", "Shared"]

_log = get_logger("scheduler")
_HOPELESS = 5
"""After so many troubles in a row, `run --once` does not wait for an account any longer, nor for a recording."""


@dataclass(frozen=True)
class Shared:
    """What the workers of all accounts share; none of it keeps state of one account."""

    ledger: LedgerWorker
    settings: Settings
    store: TranscriptStore
    holds: Holds
    consent: Consent
    submitter: Submitter
    adopter: Adopter
    deliverer: Deliverer
    cleaner: Cleaner
    realigner: Realigner
    bus: EventBus
    runtime: Runtime


class AccountWorker:
    """Owns one account.

    Attributes:
        account: the one, with its breaker and the progress of its uploads and jobs.
        uploads: how many uploads are under way.
    """

    def __init__(self, account: Account, shared: Shared) -> None:
        ledger, holds, runtime = shared.ledger, shared.holds, shared.runtime
        self.account = account
        self.uploads = 0
        self._shared = shared
        self._ledger = ledger
        self._runtime = runtime
        self._under_way: set[str] = set()
        """References of the attempts that this run works on, from before they are in the ledger."""
        self._turn = 0
        """The folder whose turn it is to submit."""
        self._is_stopping = False
        self._group: asyncio.TaskGroup
        progress = ProgressWatch(account, shared.bus, runtime)
        self._submitting = Loop(f"submitting to {account.name}", self._submit_next)
        self._tracker = Tracker(account, ledger, shared.deliverer, holds=holds, progress=progress, runtime=runtime)
        self._check = AccountCheck(account, ledger, holds, runtime)
        self._reconciler = Reconciler(
            account,
            ledger,
            holds,
            shared.adopter,
            under_way=self._under_way,
            on_settled=self._settled,
            runtime=runtime,
        )

    async def run(self) -> None:
        """Work for ever; cancel to stop.

        Raises:
            LedgerDamaged: going on could pay for everything again.
        """
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._tracker.run(), name=self._tracker.loop.name)
            for loop in (self._submitting, self._reconciler.loop, self._check.loop):
                self._group.create_task(loop.run(), name=loop.name)

    def wake(self) -> None:
        """The config or a hold has changed: look at everything."""
        for loop in (self._submitting, self._tracker.loop, self._check.loop):
            loop.wake()

    def moved(self, entry: Entry) -> None:
        """Wake the loops that a move of an entry in the ledger may give something to do."""
        match entry.state:
            case EntryState.SUBMITTING:
                pass  # our own claim
            case EntryState.SUBMITTED:
                if entry.account == self.account.name:
                    self._tracker.expect_changes()
            case _:
                self._submitting.wake()  # it waits, or made room for others, or has what its copies wait for
                self._tracker.loop.wake()  # its job may not be waited for any more
                if entry.state is EntryState.CANCELLED:
                    self._reconciler.loop.wake()  # its job, if there is one, is looked for to be deleted

    def _settled(self) -> None:
        """An attempt may have ended that kept copies waiting, or that left an orphaned job; that moves no entry."""
        self._submitting.wake()
        self._shared.cleaner.wake()

    def start_afresh(self) -> None:
        """The config has changed: look for lost and HELD jobs once more, and ask a stopped account again."""
        self._reconciler.start_afresh()
        self._check.ask_now()

    def ask_now(self) -> None:
        """A person wants to go on: what stopped the account may be over."""
        self.account.ask_again()
        self._check.ask_now()

    def stop_claiming(self) -> None:
        """Begin no further upload; those that run may finish."""
        self._is_stopping = True

    @property
    def is_stuck(self) -> bool:
        """Whether `run --once` does not wait for this account any longer."""
        return self.account.breaker.troubles >= _HOPELESS or self._shared.holds.is_held(self.account)

    async def is_quiet(self, *, has_jobs: bool) -> bool:
        """Whether nothing is left here that could go on by itself before long.

        Args:
            has_jobs: whether entries have jobs at this account, or may have.
        """
        if self.uploads or not self._reconciler.has_looked:
            return False
        return self.is_stuck or (not has_jobs and not await self._is_awaited())

    async def _is_awaited(self) -> bool:
        """Whether a waiting entry is going to be submitted before long: at the end of a pause, or at a new try."""
        account, now = self.account, self._runtime.now()
        if self._shared.consent.stops_all(account):
            return False
        at = account.breaker.open_until if account.breaker.is_open(now) else now
        if await self._ledger(Ledger.is_request_awaited, account.engine, now, at, _HOPELESS):
            return True
        for root in self._shared.settings.active_roots:
            if await self._ledger(Ledger.is_claimable, account.engine, root, at):
                return True
            if await self._ledger(Ledger.is_retried, account.engine, root, now, _HOPELESS):
                return True
        return False

    # Submitting

    async def _submit_next(self) -> float | None:
        if self.uploads >= self.account.max_uploads:
            return None  # the end of an upload wakes it
        reference = self._runtime.new_id()
        self._under_way.add(reference)
        claimed = None
        try:
            claimed = await self._claim(reference)
        finally:
            if claimed is None or claimed[1] is None:
                self._under_way.discard(reference)
        if claimed is None:
            return await self._until_next()
        entry, attempt = claimed
        if attempt is not None:  # None: the transcript of the same content is there already
            self.uploads += 1
            self._group.create_task(self._submit(entry, attempt), name=f"submit {entry.path.name}")
        return 0.0

    async def _submit(self, entry: Entry, attempt: Attempt) -> None:
        after = None
        try:
            self.account.connector.in_use(busy=True)
            after = await self._shared.submitter.submit(self.account, entry, attempt)
            if after.state is EntryState.WAITING:
                await self._shared.realigner.follow_folders()  # the config may have changed during the upload
        except LedgerDamaged:
            raise
        except OutputError as error:
            _log.warning("the ledger can't be written", why=error.message)
            await asyncio.sleep(1.0)
        except Exception:  # noqa: BLE001 - one entry must not stop the rest; the reconciler finds what is left of it
            _log.exception("an unexpected error", file=str(entry.path))
        finally:
            self._under_way.discard(attempt.reference)
            self.uploads -= 1
            self._submitting.wake()
        if after is None or after.state in {EntryState.SUBMITTING, EntryState.CANCELLED}:
            self._reconciler.loop.wake()  # a job may exist whose answer was lost
            self._shared.cleaner.wake()  # or an orphaned one

    async def _claim(self, reference: str) -> tuple[Entry, Attempt | None] | None:
        """Claim the next entry: what was requested first, since somebody waits for it; then the folders take turns."""
        account, now = self.account, self._runtime.now()
        if self._is_stopping or account.breaker.is_open(now) or self._shared.holds.is_held(account):
            return None
        if self._shared.consent.stops_all(account):
            return None
        if await self._ledger(Ledger.count_in_flight, account.engine) >= account.max_running:
            return None
        claimed = await self._ledger(
            Ledger.claim_requested,
            account.engine,
            account=account.name,
            reference=reference,
            now=now,
            reusable=self._is_reusable,
            ids=self._shared.settings.served_requests,
        )
        return claimed or await self._claim_from_folders(self._shared.settings.active_roots, reference, now)

    async def _claim_from_folders(
        self, roots: Sequence[Path], reference: str, now: float
    ) -> tuple[Entry, Attempt | None] | None:
        for step in range(len(roots)):
            index = (self._turn + step) % len(roots)
            claimed = await self._ledger(
                Ledger.claim,
                self.account.engine,
                roots[index],
                account=self.account.name,
                reference=reference,
                now=now,
                reusable=self._is_reusable,
                newest_first=self._shared.settings.newest_first,
            )
            if claimed:
                self._turn = index + 1
                return claimed
        return None

    def _is_reusable(self, entry: Entry, twin: Entry, owner: Entry) -> bool:
        """Whether an entry is to have the transcript of one with the same content and config.

        What was paid for once is not paid again, even where the stored transcript lacks a format or is damaged:
        it is then fetched from the job again; where that fails, a person decides (and `copy_of` tells that).
        """
        try:
            whole = set(needed_originals(entry.formats)) <= set(self._shared.store.get(owner.uid))
        except (FileNotFoundError, DamagedTranscript):
            whole = False
        paid = twin.state is EntryState.DONE and twin.id != entry.id and entry.engine is Engine.SPEECHMATICS
        return whole or (paid and entry.copy_of is None)

    async def _until_next(self) -> float:
        """Seconds after which it is worth looking for something to submit, if nothing happens before."""
        now, breaker = self._runtime.now(), self.account.breaker
        times = [
            now + self._runtime.timings.scheduler.idle,
            await self._ledger(Ledger.next_due_at, now),
            *self._shared.holds.ends(),
            breaker.open_until if breaker.is_open(now) else None,
        ]
        return max(0.01, min(at for at in times if at is not None and at > now) - now)
