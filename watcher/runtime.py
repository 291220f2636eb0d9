"""What the core takes from its surroundings: time, randomness, identifiers and threads. Tests pass in their own."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

from watcher.clock import Clock, SystemClock
from watcher.timings import DEFAULT, Timings

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RunInThread", "Runtime"]

P = ParamSpec("P")
T = TypeVar("T")


class RunInThread(Protocol):
    """Calls a blocking function outside the event loop, as `asyncio.to_thread` does."""

    async def __call__(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns; raise what it raises."""


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True)
class Runtime:
    """One value that is passed to all parts of the core.

    Attributes:
        clock: tells the time.
        rng: spreads delays.
        new_id: returns a text that was never used before.
        in_thread: calls blocking functions.
        timings: all pauses.
    """

    clock: Clock = field(default_factory=SystemClock)
    rng: random.Random = field(default_factory=random.Random)
    new_id: Callable[[], str] = _new_id
    in_thread: RunInThread = asyncio.to_thread
    timings: Timings = DEFAULT

    def now(self) -> float:
        """Return unix time in seconds. It may jump."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return self.clock.monotonic()

    def jitter(self) -> float:
        """Return a random number from 0 to 1, by which delays are spread."""
        return self.rng.random()
