"""Work that goes on whatever happens: one bad entry, or an error nobody thought of, must not stop the rest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher.backoff import backoff
from watcher.errors import LedgerDamaged, OutputError
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["keep_going", "wait_for"]

_log = get_logger("scheduler")
_LONGEST_PAUSE = 60.0


async def keep_going(name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step for ever. An error is written down, and the step tried again after a growing pause.

    Args:
        name: for the log.
        step: one round; it does its own waiting.

    Raises:
        LedgerDamaged: going on could pay for everything again.
    """
    failures = 0
    while True:
        try:
            await step()
            failures = 0
        except LedgerDamaged:
            raise
        except OutputError as error:  # the ledger's disk is full, or the like
            failures += 1
            _log.warning("waiting to go on", part_of=name, why=error.message)
        except Exception:  # noqa: BLE001 - an error nobody thought of must not stop the rest
            failures += 1
            _log.exception("an unexpected error; it is tried again", part_of=name)
        if failures:
            await asyncio.sleep(backoff(failures, first=1.0, longest=_LONGEST_PAUSE))


async def wait_for(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not longer than this."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
