"""Why submission is stopped: the holds of the ledger, kept at hand for every decision."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import EngineUnavailable
from watcher.events import Event
from watcher.ledger import Ledger
from watcher.models import PAUSE
from watcher.scheduler.account import HOLD_PREFIX
from watcher.scheduler.loop import Loop
from watcher.scheduler.retry import retry_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watcher.events import EventBus
    from watcher.ledger import Hold, LedgerWorker
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account

__all__ = ["AccountCheck", "Holds"]


class Holds:
    """Reads, sets and lifts holds, and announces their changes.

    Args:
        ledger: has them.
        accounts: all of them.
        bus: gets an event for each change.
        on_change: called after each change.
        runtime: the clock.
    """

    def __init__(
        self,
        ledger: LedgerWorker,
        accounts: Sequence[Account],
        bus: EventBus,
        runtime: Runtime,
        *,
        on_change: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self._runtime = runtime
        self._bus = bus
        self._on_change = on_change
        self._holds: dict[str, Hold] = {}

    async def refresh(self) -> None:
        """Read the holds again after one was set or lifted."""
        now = self._runtime.now()
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
        now = self._runtime.now()
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
            return  # the first reason stays
        account.breaker.refusals += 1
        await self._ledger(Ledger.put_hold, account.hold_name, now=self._runtime.now(), reason=reason, fix=fix)
        await self.refresh()


class AccountCheck:
    """Asks now and then, free of charge, whether an account that is stopped works again.

    Args:
        account: the one.
        ledger: has its hold.
        holds: say whether it is stopped.
        runtime: the clock, the pauses and their jitter.
    """

    def __init__(self, account: Account, ledger: LedgerWorker, holds: Holds, runtime: Runtime) -> None:
        self._account = account
        self._ledger = ledger
        self._holds = holds
        self._runtime = runtime
        self._ask_at: float | None = None
        """Monotonic time of the next question; None while the account works."""
        self.loop = Loop(f"checking {account.name}", self._look)

    def ask_now(self) -> None:
        """Something changed that may let the account work again, such as a new key or config."""
        self._account.breaker.refusals = min(self._account.breaker.refusals, 1)
        self._ask_at = self._runtime.monotonic()
        self.loop.wake()

    async def _look(self) -> float:
        if not self._holds.is_stopped(self._account):
            self._ask_at = None
            return self._runtime.timings.scheduler.idle
        if self._ask_at is None:
            self._ask_at = self._runtime.monotonic() + self._pause()
        if (left := self._ask_at - self._runtime.monotonic()) > 0:
            return left
        self._ask_at = None
        try:
            client = await self._account.connector.connect()
            await client.list_jobs(limit=1)
        except (sm.SpeechmaticsError, EngineUnavailable):
            return 0.0
        await self._ledger(Ledger.lift_hold, self._account.hold_name)
        await self._holds.refresh()
        return 0.0

    def _pause(self) -> float:
        # A key that may list jobs but not submit them is refused again and again: ask ever more rarely.
        failures = max(self._account.breaker.refusals, 1)
        return min(retry_delay(failures, self._runtime.jitter(), self._runtime.timings.retry), 60.0)
