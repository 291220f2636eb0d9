"""The ledger for an event loop: its calls run one after the other in one thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.ledger.ledger import Ledger
    from watcher.models import Entry

__all__ = ["LedgerWorker"]

P = ParamSpec("P")
T = TypeVar("T")


class LedgerWorker:
    """Runs the ledger's methods in one thread, in the order of the calls.

        entry = await ledger(Ledger.accept, attempt, job_id, now=clock.now())

    A call that has begun is completed even if whoever awaits it is cancelled: a commit is never half known.

    Args:
        ledger: opened for writing.
        on_moved: called in the event loop with the entries that a call moved, after it is committed.
    """

    def __init__(self, ledger: Ledger, *, on_moved: Callable[[list[Entry]], None] | None = None) -> None:
        self._ledger = ledger
        self._on_moved = on_moved
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def __call__(self, method: Callable[Concatenate[Ledger, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the ledger in its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._executor, lambda: self._call(loop, lambda ledger: method(ledger, *args, **kwargs))
        )

    def _call(self, loop: asyncio.AbstractEventLoop, method: Callable[[Ledger], T]) -> T:
        answer = method(self._ledger)
        on_moved = self._on_moved  # `close` may take it away at any moment
        if on_moved and (moved := self._ledger.take_moved()):
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(on_moved, moved)
        return answer

    async def close(self) -> None:
        """Let the queued calls finish, then close the ledger."""
        self._on_moved = None
        await self(type(self._ledger).close)
        self._executor.shutdown(wait=True)
