"""Loops that go on whatever happens: one bad entry, or an unexpected error, delays a loop but never ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from watcher.backoff import backoff
from watcher.errors import LedgerDamaged, OutputError
from watcher.logs import get_logger
from watcher.loop import repeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Loop"]

_log = get_logger("scheduler")
_LONGEST_PAUSE = 60.0


class Loop:
    """Repeats a step until it is cancelled.

    Args:
        name: for the log.
        step: one round; see `repeat`. After an error, it is repeated with growing pauses.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[float | None]]) -> None:
        self.name = name
        self._step = step
        self._woken = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        """Run the step again as soon as possible: there may be something to do."""
        self._woken.set()

    async def run(self) -> NoReturn:
        """Run for ever; cancel to stop.

        Raises:
            LedgerDamaged: going on could pay for everything again.
        """
        await repeat(self._try_step, self._woken)

    async def _try_step(self) -> float | None:
        try:
            pause = await self._step()
        except LedgerDamaged:
            raise
        except OutputError as error:  # the ledger's disk is full, or the like
            _log.warning("waiting before the next try", loop=self.name, why=error.message)
        except Exception:  # noqa: BLE001 - an unexpected error must not stop the rest
            _log.exception("unexpected error; trying again", loop=self.name)
        else:
            self._failures = 0
            return pause
        self._failures += 1
        await asyncio.sleep(backoff(self._failures, first=1.0, longest=_LONGEST_PAUSE))  # no wake-up shortens it
        return 0.0
