"""Waiting for what another process or thread does; a busy machine may take its time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 100.0  # seconds; a test may take 120


def until(condition: Callable[[], Any], what: str | Callable[[], str] = "it", *, seconds: float = PATIENCE) -> Any:
    """Wait for a condition, and return what it gave.

    Args:
        condition: is asked again and again until it gives something true.
        what: is said if it never does.
        seconds: how long to wait.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s: {what() if callable(what) else what}"
        time.sleep(0.02)  # looking at processes and windows costs the processor more than they may have left
    return found


async def reached(condition: Callable[[], Any], *, within: float = PATIENCE) -> None:
    """Wait for a condition without holding up the loop that brings it about.

    Args:
        condition: is asked again and again until it gives something true.
        within: seconds to wait.
    """
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - files, servers and ledgers send no events
            await asyncio.sleep(0.02)


def has_ended(process: psutil.Process | int) -> bool:
    """Whether a process, or the one with this id, is gone; one that only waits to be collected is, too."""
    try:
        it = psutil.Process(process) if isinstance(process, int) else process
        return not it.is_running() or it.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
