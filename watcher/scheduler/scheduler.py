"""The scheduler: sees every entry of the ledger to its end, with one worker for each account."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher.ledger import Ledger
from watcher.models import EntryState
from watcher.scheduler.adopt import Adopter
from watcher.scheduler.cleanup import Cleaner
from watcher.scheduler.consent import Consent
from watcher.scheduler.deliver import Deliverer
from watcher.scheduler.holds import Holds
from watcher.scheduler.loop import Loop
from watcher.scheduler.publisher import Publisher
from watcher.scheduler.realign import Realigner
from watcher.scheduler.submit import Gate, Submitter
from watcher.scheduler.uploads import Uploads
from watcher.scheduler.worker import AccountWorker, Shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.events import EventBus
    from watcher.ledger import LedgerWorker
    from watcher.models import Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.scheduler.upload_source import Preparer
    from watcher.settings import Settings
    from watcher.transcripts import TranscriptStore, TranscriptWriter

__all__ = ["Scheduler"]


class Scheduler:
    """Submits, tracks, publishes and cleans up. All state that matters is in the ledger."""

    def __init__(
        self,
        ledger: LedgerWorker,
        accounts: Sequence[Account],
        settings: Settings,
        *,
        store: TranscriptStore,
        writer: TranscriptWriter,
        preparer: Preparer,
        bus: EventBus,
        runtime: Runtime,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._runtime = runtime
        self.holds = Holds(ledger, accounts, bus, runtime, on_change=self.wake)
        self._consent = Consent(settings, is_held=self.holds.is_held)
        self._uploads = Uploads(self._consent, runtime)
        self._realigner = Realigner(
            ledger, settings, [account.name for account in accounts], runtime, on_change=self.wake
        )
        adopter = Adopter(ledger, runtime)
        self._cleaner = Cleaner(ledger, accounts, deleting=adopter.lock, settings=settings, runtime=runtime)
        deliverer = Deliverer(ledger, store, writer, settings, runtime)
        self._publisher = Publisher(ledger, deliverer, runtime)
        gate = Gate(uploads=self._uploads, settings=settings, writer=writer)
        shared = Shared(
            ledger=ledger,
            settings=settings,
            store=store,
            holds=self.holds,
            consent=self._consent,
            submitter=Submitter(ledger, gate, preparer, holds=self.holds, adopter=adopter, bus=bus, runtime=runtime),
            adopter=adopter,
            deliverer=deliverer,
            cleaner=self._cleaner,
            realigner=self._realigner,
            bus=bus,
            runtime=runtime,
        )
        self._workers = [AccountWorker(account, shared) for account in accounts]

    async def run(self) -> None:
        """Settle what an earlier run left, then work for ever; cancel to stop.

        Raises:
            LedgerDamaged: going on could pay for everything again.
        """
        await self._start()
        async with asyncio.TaskGroup() as group:
            for loop in (self._publisher.loop, self._realigner.loop, *self._cleaner.loops):
                group.create_task(loop.run(), name=loop.name)
            for worker in self._workers:
                group.create_task(worker.run(), name=f"worker of {worker.account.name}")

    async def _start(self) -> None:
        """Bring the ledger in line with the config, before anything is submitted."""
        started = asyncio.Event()

        async def step() -> None:
            salt = await self._ledger(Ledger.salt)
            for worker in self._workers:
                worker.account.visibility.salt = salt
            await self.holds.forget_other_accounts()
            await self._realigner.start()
            started.set()

        trying = asyncio.create_task(Loop("starting", step).run())
        reached = asyncio.create_task(started.wait())
        try:
            await asyncio.wait({trying, reached}, return_when=asyncio.FIRST_COMPLETED)
            if trying.done():
                trying.result()
        finally:
            trying.cancel()
            reached.cancel()
            await asyncio.gather(trying, reached, return_exceptions=True)

    async def reconfigured(self) -> None:
        """The config has changed: waiting entries follow it, and stopped accounts are asked again."""
        await self._realigner.follow_accounts()
        await self._realigner.follow_folders()
        for worker in self._workers:
            worker.start_afresh()
        await self.holds.refresh()
        self.wake()

    def wake(self) -> None:
        """The config or a hold has changed: look at the ledger and the uploads now. Moves wake what they concern."""
        self._uploads.recheck()
        for worker in self._workers:
            worker.wake()
        self._publisher.loop.wake()
        self._cleaner.wake()

    def moved(self, entries: Sequence[Entry]) -> None:
        """Entries moved in the ledger: wake the loops that this gives something to do. All such wake-ups are here."""
        self._uploads.moved(entries)
        for entry in entries:
            for worker in self._workers:
                worker.moved(entry)
        if any(entry.state is EntryState.TRANSCRIBED for entry in entries):
            self._publisher.loop.wake()
        self._cleaner.wake()

    def request(self, entry: Entry) -> None:
        """A person requested this entry from this run, and waits for it."""
        self._settings.requested.add(entry.id)
        self.wake()

    def ask_now(self) -> None:
        """A person wants to go on: ask all stopped accounts again."""
        for worker in self._workers:
            worker.ask_now()

    def stop_claiming(self) -> None:
        """Begin no further upload; those that run may finish."""
        for worker in self._workers:
            worker.stop_claiming()

    @property
    def uploads(self) -> int:
        """How many uploads are under way."""
        return sum(worker.uploads for worker in self._workers)

    async def refresh_holds(self) -> None:
        """Read the holds again after one was set or lifted."""
        await self.holds.refresh()

    def stops_all(self, account: Account) -> str:
        """Say why the config lets nothing go to an account at all; empty if that is not so."""
        return self._consent.stops_all(account)

    async def is_quiet(self) -> bool:
        """Whether nothing is left that could go on by itself before long."""
        now = self._runtime.now()
        jobs = await self._ledger(Ledger.jobs_by_account)
        for worker in self._workers:
            if not await worker.is_quiet(has_jobs=worker.account.name in jobs):
                return False
        if await self._ledger(Ledger.due_to_publish, now, limit=1):
            return False
        return not await self._ledger(Ledger.due_cleanups, now, limit=1)
