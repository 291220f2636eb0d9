"""The scheduler: sees every entry of the ledger to its end, within each account's limits."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from watcher.errors import LedgerDamaged, OutputError
from watcher.ledger import Ledger
from watcher.logs import get_logger
from watcher.models import Engine, EntryState
from watcher.scheduler.adopt import FormerJobs
from watcher.scheduler.cleanup import Cleaner
from watcher.scheduler.consent import Consent
from watcher.scheduler.holds import Holds
from watcher.scheduler.job_progress import ProgressWatch
from watcher.scheduler.loop import keep_going, wait_for
from watcher.scheduler.recovery import Recovery
from watcher.scheduler.submit import Gate, Submitter
from watcher.scheduler.track import Tracker
from watcher.scheduler.uploads import Uploads
from watcher.transcripts import DamagedTranscript, needed_originals

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from watcher.clock import Clock
    from watcher.events import EventBus
    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.scheduler.account import Account
    from watcher.scheduler.deliver import Deliverer
    from watcher.scheduler.upload_source import Preparer
    from watcher.settings import Settings
    from watcher.timings import Timings
    from watcher.transcripts import TranscriptStore, TranscriptWriter

__all__ = ["Scheduler"]

_log = get_logger("scheduler")
_HOPELESS = 5
"""After so many troubles in a row, `run --once` does not wait for an account any longer, nor for a recording."""


class Scheduler:
    """Submits, tracks and delivers. One task per concern and account; all state that matters is in the ledger."""

    def __init__(
        self,
        ledger: LedgerWorker,
        accounts: Sequence[Account],
        settings: Settings,
        *,
        store: TranscriptStore,
        writer: TranscriptWriter,
        preparer: Preparer,
        deliverer: Deliverer,
        clock: Clock,
        rng: random.Random,
        bus: EventBus,
        timings: Timings,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._settings = settings
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._timings = timings
        self._under_way: set[str] = set()
        """References of the attempts that this run works on, from before they are in the ledger."""
        self._wakes = {account.name: asyncio.Event() for account in accounts}
        self._publish_now = asyncio.Event()
        self._turn: dict[str, int] = {}
        self._uploads = 0
        self._stopping = False
        self.holds = Holds(ledger, accounts, clock=clock, rng=rng, bus=bus, on_change=self.wake, timings=timings)
        self._recovery = Recovery(
            ledger,
            accounts,
            self.holds,
            settings,
            under_way=self._under_way,
            settled=self.wake,
            clock=clock,
            timings=timings,
        )
        former = FormerJobs(ledger, clock=clock)
        self._cleaner = Cleaner(
            ledger,
            accounts,
            deleting=former.lock,
            settings=settings,
            clock=clock,
            rng=rng,
            timings=timings,
        )
        self._consent = Consent(settings, is_held=self.holds.is_held)
        self._running = Uploads(self._consent)
        gate = Gate(uploads=self._running, settings=settings, writer=writer)
        self._submitter = Submitter(
            ledger, gate, preparer, self.holds, former, clock=clock, rng=rng, bus=bus, delays=timings.retry
        )
        self._trackers = {
            account.name: Tracker(
                ledger,
                account,
                deliverer,
                self.holds,
                ProgressWatch(account, clock=clock, bus=bus),
                clock=clock,
                rng=rng,
                timings=timings,
            )
            for account in accounts
        }

    async def run(self) -> None:
        """Take up what an earlier run left, then work for ever; cancel to stop.

        Raises:
            LedgerDamaged: going on could pay for everything again.
        """
        await self._begin()
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_going("publishing", self._publish))
            group.create_task(keep_going("deleting jobs", lambda: self._cleaner.look("job")))
            group.create_task(keep_going("putting recordings away", lambda: self._cleaner.look("source")))
            for account in self._accounts:
                name = account.name
                group.create_task(self._submit_all(account))
                group.create_task(self._trackers[name].run())
                group.create_task(keep_going(f"recovery of {name}", lambda a=account: self._recovery.look(a)))  # type: ignore[misc]  # a default argument binds the account of this round
                group.create_task(keep_going(f"asking {name}", lambda a=account: self.holds.look(a)))  # type: ignore[misc]  # same

    async def _begin(self) -> None:
        """Bring the ledger in line with the config, before anything is submitted."""
        begun = asyncio.Event()

        async def step() -> None:
            salt = await self._ledger(Ledger.salt)
            for account in self._accounts:
                account.visibility.salt = salt
            await self.holds.forget_other_accounts()
            await self._recovery.begin()
            await self._recovery.release_stalled()
            await self._recovery.try_faults_again(at_start=True)
            begun.set()
            await asyncio.Event().wait()

        trying = asyncio.create_task(keep_going("starting", step))
        reached = asyncio.create_task(begun.wait())
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
        await self._recovery.begin()
        await self.holds.refresh()
        self.holds.ask_now()
        self.wake()

    def wake(self) -> None:
        """Something changed that may let work go on, or forbid it: look at the ledger and the uploads now."""
        self._running.recheck()
        for event in self._wakes.values():
            event.set()
        for tracker in self._trackers.values():
            tracker.look()
        self._publish_now.set()
        self._cleaner.wake()

    def request(self, entry: Entry) -> None:
        """A person requested this entry and waits for it: an account that was stopped is asked again."""
        for account in self._accounts:
            if account.engine is entry.engine:
                account.ask_again()
        self.holds.ask_now()
        self.wake()

    def stop_claiming(self) -> None:
        """Begin no further upload; those that run may finish."""
        self._stopping = True

    @property
    def uploads(self) -> int:
        """How many uploads are under way."""
        return self._uploads

    async def refresh_holds(self) -> None:
        """Read the holds again after one was set or lifted."""
        await self.holds.refresh()

    def moved(self, entries: Sequence[Entry]) -> None:
        """Entries moved in the ledger: what a person cancelled, say, is uploaded no further."""
        self._running.moved(entries)

    def stops_all(self, account: Account) -> str:
        """Say why the config lets nothing go to an account at all; empty if that is not so."""
        return self._consent.stops_all(account)

    async def is_quiet(self) -> bool:
        """Whether nothing is left that could go on by itself before long."""
        now = self._clock.now()
        away = await self._ledger(Ledger.jobs_by_account)
        accounts = {account.name: account for account in self._accounts}
        if not self._recovery.has_looked or self._uploads:
            return False
        if any(name in accounts and not self._is_stuck(accounts[name]) for name in away):
            return False
        if await self._ledger(Ledger.due_to_publish, now, limit=1):
            return False
        if await self._ledger(Ledger.due_cleanups, now, limit=1):
            return False
        for account in self._accounts:
            if not self._is_stuck(account) and await self._is_awaited(account, now):
                return False
        return True

    async def _is_awaited(self, account: Account, now: float) -> bool:
        """Whether a waiting entry is going to be submitted before long: at the end of a pause, or at a new try."""
        if self._consent.stops_all(account):
            return False
        at = account.breaker.open_until if account.breaker.is_open(now) else now
        if await self._ledger(Ledger.is_request_awaited, account.engine, now, at, _HOPELESS):
            return True
        for root in self._settings.active_roots:
            if await self._ledger(Ledger.is_claimable, account.engine, root, at):
                return True
            if await self._ledger(Ledger.is_retried, account.engine, root, now, _HOPELESS):
                return True
        return False

    def _is_stuck(self, account: Account) -> bool:
        return account.breaker.troubles >= _HOPELESS or self.holds.is_held(account)

    # Submitting

    async def _submit_all(self, account: Account) -> None:
        slots = asyncio.Semaphore(account.max_uploads)
        async with asyncio.TaskGroup() as group:
            await keep_going(f"submitting to {account.name}", lambda: self._submit_next(account, group, slots))

    async def _submit_next(self, account: Account, group: asyncio.TaskGroup, slots: asyncio.Semaphore) -> None:
        await slots.acquire()
        reference = str(uuid.uuid4())
        self._under_way.add(reference)
        claimed = None
        try:
            wake = self._wakes[account.name]
            wake.clear()
            claimed = await self._claim(account, reference)
            if claimed is None:
                seconds = await self._until_next(account)
        finally:
            if claimed is None or claimed[1] is None:
                self._under_way.discard(reference)
                slots.release()
        if claimed is None:
            await wait_for(wake, seconds)
        elif claimed[1] is None:  # the transcript of the same content is there already
            self._publish_now.set()
        else:
            self._uploads += 1
            group.create_task(self._submit(account, claimed[0], claimed[1], slots))

    async def _submit(self, account: Account, entry: Entry, attempt: Attempt, slots: asyncio.Semaphore) -> None:
        after = None
        try:
            account.connector.in_use(busy=True)
            after = await self._submitter.submit(account, entry, attempt)
            if after.state is EntryState.WAITING:
                await self._recovery.follow_config()  # it may have changed during the upload
        except LedgerDamaged:
            raise
        except OutputError as error:
            _log.warning("the ledger can't be written", why=error.message)
            await asyncio.sleep(1.0)
        except Exception:  # noqa: BLE001 - one entry must not stop the rest; `Recovery` finds what is left of it
            _log.exception("an unexpected error", file=str(entry.path))
        finally:
            self._under_way.discard(attempt.reference)
            self._uploads -= 1
            slots.release()
            self._wakes[account.name].set()
        if after is None or after.state in {EntryState.SUBMITTING, EntryState.CANCELLED}:
            self._recovery.wake()  # a job may exist whose answer was lost
            self._cleaner.wake()  # or one that nobody waits for
        elif after.state is EntryState.SUBMITTED:
            self._trackers[account.name].wake()

    async def _claim(self, account: Account, reference: str) -> tuple[Entry, Attempt | None] | None:
        """Claim the next entry: what was requested first, since somebody waits for it; then the folders take turns."""
        now = self._clock.now()
        roots = self._settings.active_roots
        if self._stopping or account.breaker.is_open(now) or self.holds.is_held(account):
            return None
        if self._consent.stops_all(account):
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
        )
        if claimed:
            return claimed
        first = self._turn.get(account.name, 0)
        for step in range(len(roots)):
            index = (first + step) % len(roots)
            claimed = await self._ledger(
                Ledger.claim,
                account.engine,
                roots[index],
                account=account.name,
                reference=reference,
                now=now,
                reusable=self._is_reusable,
                newest_first=self._settings.newest_first,
            )
            if claimed:
                self._turn[account.name] = index + 1
                return claimed
        return None

    def _is_reusable(self, entry: Entry, twin: Entry, owner: Entry) -> bool:
        """Whether an entry is to have the transcript of one with the same content and config.

        What was paid for once is not paid again, even where the stored transcript lacks a format or is damaged:
        it is then fetched from the job again; where that fails, a person decides (and `copy_of` tells that).
        """
        try:
            whole = set(needed_originals(entry.formats)) <= set(self._store.get(owner.uid))
        except (FileNotFoundError, DamagedTranscript):
            whole = False
        paid = twin.state is EntryState.DONE and twin.id != entry.id and entry.engine is Engine.SPEECHMATICS
        return whole or (paid and entry.copy_of is None)

    async def _until_next(self, account: Account) -> float:
        """Seconds after which it is worth looking for something to submit, if nothing happens before."""
        now = self._clock.now()
        times = [now + self._timings.scheduler.idle, await self._ledger(Ledger.next_due_at, now), *self.holds.ends()]
        times += [account.breaker.open_until if account.breaker.is_open(now) else None]
        return max(0.01, min(at for at in times if at is not None and at > now) - now)

    # Publishing

    async def _publish(self) -> None:
        """Publish what is TRANSCRIBED: copies, what an earlier run left, and what could not be written before."""
        self._publish_now.clear()
        now = self._clock.now()
        due = await self._ledger(Ledger.due_to_publish, now)
        for entry in due:
            await self._deliverer.publish_or_say_why(entry)
        if due:
            self.wake()  # copies may have waited for these
            await asyncio.sleep(0.05)  # one that is being written by its tracker is due until it is done
            return
        later = await self._ledger(Ledger.next_publishing_at, now)
        await wait_for(
            self._publish_now,
            max(0.05, min(self._timings.scheduler.idle, (later or now + self._timings.scheduler.idle) - now)),
        )
