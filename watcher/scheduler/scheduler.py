"""The scheduler: sees every entry of the ledger to its end, within each account's limits."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import EngineUnavailable, NoSpace
from watcher.ledger import IllegalMove, Ledger
from watcher.logs import get_logger
from watcher.models import PAUSE, AttemptState, EntryState
from watcher.scheduler.reconcile import Reconciler
from watcher.scheduler.retry import backoff
from watcher.scheduler.submit import Gate, Submitter
from watcher.scheduler.track import Tracker

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.events import EventBus
    from watcher.ledger import Hold, LedgerWorker
    from watcher.models import Attempt, Entry, WatchFolder
    from watcher.scheduler.account import Account
    from watcher.scheduler.deliver import Deliverer
    from watcher.scheduler.preparation import Preparer
    from watcher.transcripts import TranscriptStore, TranscriptWriter

__all__ = ["Scheduler"]

_log = get_logger("scheduler")
_IDLE_LOOK = 30.0
_LOOK_AT = 1000
_AWAY = frozenset({EntryState.SUBMITTING, EntryState.SUBMITTED})
_HOPELESS = 5
"""After so many troubles in a row, `run --once` does not wait for an account any longer."""


class Scheduler:
    """Submits, tracks and delivers. One task per concern and account; all state that matters is in the ledger."""

    def __init__(
        self,
        ledger: LedgerWorker,
        accounts: Sequence[Account],
        *,
        folders: Callable[[], Sequence[WatchFolder]],
        newest_first: Callable[[], bool],
        store: TranscriptStore,
        writer: TranscriptWriter,
        preparer: Preparer,
        deliverer: Deliverer,
        folder_of: Callable[[Entry], Path],
        clock: Clock,
        chance: random.Random,
        bus: EventBus,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._folders = folders
        self._newest_first = newest_first
        self._store = store
        self._deliverer = deliverer
        self._clock = clock
        self._chance = chance
        gate = Gate(stopped=self._is_stopped, folder_of=folder_of, writer=writer)
        self._submitter = Submitter(ledger, gate, preparer, clock=clock, chance=chance, bus=bus)
        self._trackers = {
            account.name: Tracker(ledger, account, deliverer, clock=clock, chance=chance) for account in accounts
        }
        self._reconcilers = {account.name: Reconciler(ledger, account, clock=clock) for account in accounts}
        self._wakes: dict[str, asyncio.Event] = {}
        self._holds: dict[str, Hold] = {}
        self._turn: dict[str, int] = {}
        self._uploading: set[int] = set()
        self._publish_now = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Take up what an earlier run left, then work for ever; cancel to stop."""
        await self.refresh_holds()
        await self._recover()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish_loop())
            for account in self._accounts:
                group.create_task(self._submit_loop(account))
                group.create_task(self._trackers[account.name].run())
                group.create_task(self._reconcile_loop(account))
                group.create_task(self._probe_loop(account))

    def wake(self) -> None:
        """Something changed that may let work go on: look at the ledger now."""
        for event in self._wakes.values():
            event.set()
        self._publish_now.set()

    def stop_claiming(self) -> None:
        """Begin no further upload; those that run may finish."""
        self._stopping = True

    @property
    def uploads(self) -> int:
        """How many uploads are under way."""
        return len(self._uploading)

    async def refresh_holds(self) -> None:
        """Read the holds again after one was set or lifted."""
        holds = await self._ledger(Ledger.holds, self._clock.now())
        self._holds = {hold.name: hold for hold in holds}
        self.wake()

    def _is_stopped(self, account: Account, entry: Entry) -> bool:
        """Whether this entry may not be submitted now."""
        now = self._clock.now()
        names = (PAUSE, account.hold_name)
        held = any(name in self._holds and (self._holds[name].until or now + 1) > now for name in names)
        paused = any(folder.path == entry.root and folder.paused for folder in self._folders())
        return self._stopping or held or paused

    async def abandon(self, entry: Entry) -> None:
        """A person cancelled this entry: delete its job at the service, if it has one and can be asked now."""
        account = next((a for a in self._accounts if a.name == entry.account), None)
        if account is None or entry.job_id is None:
            return
        try:
            client = await account.connector.connect()
            await client.delete_job(entry.job_id, force=True)
        except (sm.SpeechmaticsError, EngineUnavailable) as error:
            _log.warning("the cancelled job could not be deleted", job=entry.job_id, why=str(error))

    async def is_quiet(self) -> bool:
        """Whether nothing is left that could go on by itself before long."""
        now = self._clock.now()
        unfinished = await self._ledger(Ledger.unfinished, limit=_LOOK_AT)
        if self._uploading or any(entry.state in _AWAY for entry in unfinished):
            return False
        accounts = {account.engine: account for account in self._accounts}
        roots = {folder.path for folder in self._folders()}
        for entry in unfinished:
            account = accounts.get(entry.engine)
            stuck = account is None or account.troubles >= _HOPELESS or self._is_stopped(account, entry)
            if entry.root in roots and entry.next_attempt_at <= now and not stuck:
                return False
        return True

    # After a restart

    async def _recover(self) -> None:
        """An attempt that was never armed made no job: its entry waits again. Armed ones are looked for."""
        now = self._clock.now()
        for attempt in await self._ledger(Ledger.open_attempts, AttemptState.PREPARED):
            entry = await self._ledger(Ledger.entry, attempt.entry_id)
            if entry.state is EntryState.SUBMITTING:
                await self._drop(attempt, now)

    async def _drop(self, attempt: Attempt, now: float) -> None:
        await self._ledger(
            Ledger.give_back,
            attempt,
            AttemptState.DROPPED,
            now=now,
            next_attempt_at=now,
            reason="Dropscribe was stopped before it was submitted.",
            counts=False,
        )

    # Submitting

    async def _submit_loop(self, account: Account) -> None:
        wake = self._wakes.setdefault(account.name, asyncio.Event())
        slots = asyncio.Semaphore(account.max_uploads)
        async with asyncio.TaskGroup() as group:
            while True:
                await slots.acquire()
                wake.clear()
                claimed = await self._claim(account)
                if claimed is None:
                    slots.release()
                    await _wait(wake, await self._until_next(account))
                    continue
                entry, attempt = claimed
                if attempt is None:  # the transcript of the same content is there already
                    slots.release()
                    self._publish_now.set()
                    continue
                self._uploading.add(entry.id)
                group.create_task(self._submit(account, entry, attempt, slots, wake))

    async def _submit(
        self, account: Account, entry: Entry, attempt: Attempt, slots: asyncio.Semaphore, wake: asyncio.Event
    ) -> None:
        account.connector.in_use(busy=True)
        try:
            after = await self._submitter.submit(account, entry, attempt)
        except NoSpace as error:
            _log.warning("the ledger can't be written", why=error.message)
            await asyncio.sleep(5)
            return
        except IllegalMove as error:
            _log.info("left as it is", file=str(entry.path), why=error.message)
            return
        finally:
            self._uploading.discard(entry.id)
            slots.release()
            wake.set()
        if after.state is EntryState.SUBMITTED:
            account.troubles = 0
            self._trackers[account.name].wake()
        await self.refresh_holds()

    async def _claim(self, account: Account) -> tuple[Entry, Attempt | None] | None:
        """Claim the next entry, taking turns between the folders."""
        now = self._clock.now()
        roots = [f.path for f in self._folders() if f.engine is account.engine and not f.paused]
        if not roots or self._stopping or account.is_paused(now) or self._is_held(account, now):
            return None
        if await self._ledger(Ledger.count_in_flight, account.engine) >= account.max_running:
            return None
        first = self._turn.get(account.name, 0)
        for step in range(len(roots)):
            index = (first + step) % len(roots)
            claimed = await self._claim_in(account, roots[index], now)
            if claimed:
                self._turn[account.name] = index + 1
                return claimed
        return None

    async def _claim_in(self, account: Account, root: Path, now: float) -> tuple[Entry, Attempt | None] | None:
        return await self._ledger(
            Ledger.claim,
            account.engine,
            root,
            account=account.name,
            reference=str(uuid.uuid4()),
            now=now,
            stored=self._store.has,
            newest_first=self._newest_first(),
        )

    def _is_held(self, account: Account, now: float) -> bool:
        names = (PAUSE, account.hold_name)
        return any(name in self._holds and (self._holds[name].until or now + 1) > now for name in names)

    async def _until_next(self, account: Account) -> float:
        now = self._clock.now()
        times = [now + _IDLE_LOOK, await self._ledger(Ledger.next_due_at, now)]
        times += [hold.until for hold in self._holds.values()]
        times += [account.paused_until if account.is_paused(now) else None]
        return max(0.01, min(at for at in times if at is not None and at > now) - now)

    # After lost answers

    async def _reconcile_loop(self, account: Account) -> None:
        while True:
            armed = await self._ledger(Ledger.open_attempts, AttemptState.ARMED)
            lost = [a for a in armed if a.account == account.name and a.entry_id not in self._uploading]
            pause = 1.0
            if lost:
                account.connector.in_use(busy=True)
                pause = await self._reconcilers[account.name].look(lost)
                self.wake()
                self._trackers[account.name].wake()
            await asyncio.sleep(max(0.2, pause))

    async def _probe_loop(self, account: Account) -> None:
        """While the account is stopped, ask now and then (free of charge) whether its key works again."""
        asked = 0
        while True:
            if account.hold_name not in self._holds:
                asked = 0
                await asyncio.sleep(5)
                continue
            asked += 1
            await asyncio.sleep(backoff(asked, self._chance.random()))
            try:
                client = await account.connector.connect()
                await client.list_jobs(limit=1)
            except (sm.SpeechmaticsError, EngineUnavailable):
                continue
            await self._ledger(Ledger.unhold, account.hold_name)
            await self.refresh_holds()

    # Publishing

    async def _publish_loop(self) -> None:
        """Publish what is TRANSCRIBED: copies, what an earlier run left, and what could not be written before."""
        while True:
            self._publish_now.clear()
            now = self._clock.now()
            waiting = await self._ledger(Ledger.in_state, EntryState.TRANSCRIBED)
            for entry in waiting:
                if entry.next_attempt_at <= now:
                    await self._deliverer.publish_or_say_why(entry)
            if waiting:
                self.wake()
                self._publish_now.clear()
            await _wait(self._publish_now, 5.0 if waiting else _IDLE_LOOK)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not longer than this."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
