"""The one shape of a loop: a step does what there is to do and returns the seconds until it wants to run again.

A step decides by what it finds, not by what woke it, so an unnecessary wake-up is harmless.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["repeat", "wait_event"]


async def repeat(step: Callable[[], Awaitable[float | None]], woken: asyncio.Event) -> NoReturn:
    """Repeat a step until cancelled, or until it raises.

    Args:
        step: returns the seconds until it wants to run again; None: not before it is woken.
        woken: set it to run the step again as soon as possible.
    """
    while True:
        woken.clear()
        await wait_event(woken, await step())


async def wait_event(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for an event, for at most this many seconds; None waits without limit."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
