"""The one publisher: writes the outputs of everything that is TRANSCRIBED, whoever brought it there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher.ledger import Ledger
from watcher.scheduler.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watcher.ledger import LedgerWorker
    from watcher.models import Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.deliver import Deliverer

__all__ = ["Publisher"]

_AT_A_TIME = 8
"""How many recordings' outputs are written at once: disks take their time, and each may be a transcript in memory."""
_BATCH = 100


class Publisher:
    """Publishes what was just fetched, copies, what an earlier run left, and what could not be written before."""

    def __init__(self, ledger: LedgerWorker, deliverer: Deliverer, runtime: Runtime) -> None:
        self._ledger = ledger
        self._deliverer = deliverer
        self._runtime = runtime
        self.loop = Loop("publishing", self._look)

    async def _look(self) -> float:
        due = await self._ledger(Ledger.due_to_publish, self._runtime.now(), limit=_BATCH)
        rest = iter(due)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_AT_A_TIME, len(due))):
                group.create_task(self._publish_in_turn(rest))
        now, idle = self._runtime.now(), self._runtime.timings.scheduler.idle
        if len(due) == _BATCH:
            return 0.0
        later = await self._ledger(Ledger.next_publishing_at, now)
        return max(0.05, min(idle, (later or now + idle) - now))

    async def _publish_in_turn(self, entries: Iterator[Entry]) -> None:
        for entry in entries:
            await self._deliverer.try_publish(entry)
