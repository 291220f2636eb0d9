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


async def reached(
    condition: Callable[[], Any], what: str | Callable[[], str] = "it", *, within: float = PATIENCE
) -> Any:
    """Wait for a condition without blocking the loop, and return what it gave.

    Args:
        condition: is called again and again until it gives something true.
        what: the message if it never does.
        within: seconds to wait.
    """
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {within:g} s: {what() if callable(what) else what}"
        await asyncio.sleep(0.005)  # files, servers and ledgers send no events
    return found


def has_ended(process: psutil.Process | int) -> bool:
    """Whether a process, or the one with this id, is gone; one that only waits to be collected is, too."""
    try:
        it = psutil.Process(process) if isinstance(process, int) else process
        return not it.is_running() or it.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
