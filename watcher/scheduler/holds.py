"""Why submission is stopped: the holds of the ledger, kept at hand for every decision."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import EngineUnavailable
from watcher.events import Event
from watcher.ledger import Ledger
from watcher.models import PAUSE
from watcher.scheduler.account import HOLD_PREFIX
from watcher.scheduler.loop import wait_for
from watcher.scheduler.retry import retry_delay

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from watcher.clock import Clock
    from watcher.events import EventBus
    from watcher.ledger import Hold, LedgerWorker
    from watcher.scheduler.account import Account
    from watcher.timings import Timings

__all__ = ["Holds"]


class Holds:
    """Reads, sets and lifts holds; tells everyone when they change.

    Args:
        ledger: has them.
        accounts: all of them.
        clock: the time.
        rng: spreads delays.
        bus: told of each change.
        on_change: called after each change.
        timings: the pauses.
    """

    def __init__(
        self,
        ledger: LedgerWorker,
        accounts: Sequence[Account],
        *,
        clock: Clock,
        rng: random.Random,
        bus: EventBus,
        on_change: Callable[[], None],
        timings: Timings,
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._clock = clock
        self._rng = rng
        self._timings = timings
        self._bus = bus
        self._on_change = on_change
        self._holds: dict[str, Hold] = {}
        self._ask_now = {account.name: asyncio.Event() for account in accounts}

    async def refresh(self) -> None:
        """Read the holds again after one was set or lifted."""
        now = self._clock.now()
        holds = {hold.name: hold for hold in await self._ledger(Ledger.holds, now)}
        if holds != self._holds:
            self._holds = holds
            self._bus.publish(Event("hold", now, {"names": sorted(holds)}))
            self._on_change()

    async def forget_other_accounts(self) -> None:
        """Lift the holds of accounts that the config does not name any more."""
        await self.refresh()
        names = {account.hold_name for account in self._accounts}
        for name in [name for name in self._holds if name.startswith(HOLD_PREFIX) and name not in names]:
            await self._ledger(Ledger.lift_hold, name)
        await self.refresh()

    def is_held(self, account: Account) -> bool:
        """Whether nothing may be submitted to this account now."""
        now = self._clock.now()
        holds = (self._holds.get(name) for name in (PAUSE, account.hold_name))
        return any(hold is not None and (hold.until is None or hold.until > now) for hold in holds)

    def is_stopped(self, account: Account) -> bool:
        """Whether the account itself is stopped: it refuses our key, or there is none."""
        return account.hold_name in self._holds

    def ends(self) -> list[float]:
        """When the holds end that have an end; unix times."""
        return [hold.until for hold in self._holds.values() if hold.until is not None]

    async def stop(self, account: Account, reason: str, fix: str) -> None:
        """Stop an account until it works again."""
        if self.is_stopped(account):
            return  # told once, with the first reason
        account.breaker.refusals += 1
        await self._ledger(Ledger.put_hold, account.hold_name, now=self._clock.now(), reason=reason, fix=fix)
        await self.refresh()
        self._ask_now[account.name].set()

    def ask_now(self) -> None:
        """Something changed that may let a stopped account work again: a new key, a new config."""
        for account in self._accounts:
            account.breaker.refusals = min(account.breaker.refusals, 1)
            self._ask_now[account.name].set()

    async def look(self, account: Account) -> None:
        """While the account is stopped, ask now and then (free of charge) whether it works again."""
        ask_now = self._ask_now[account.name]
        ask_now.clear()
        if not self.is_stopped(account):
            await wait_for(ask_now, self._timings.scheduler.idle)
            return
        # A key that may list jobs but not submit them is refused again and again: ask ever more rarely.
        pause = retry_delay(max(account.breaker.refusals, 1), self._rng.random(), self._timings.retry)
        await wait_for(ask_now, min(pause, 60.0))
        try:
            client = await account.connector.connect()
            await client.list_jobs(limit=1)
        except (sm.SpeechmaticsError, EngineUnavailable):
            return
        await self._ledger(Ledger.lift_hold, account.hold_name)
        await self.refresh()
