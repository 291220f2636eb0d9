"""The ledger for an event loop: its calls run one after the other in a thread of their own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.ledger.ledger import Ledger

__all__ = ["LedgerWorker"]

P = ParamSpec("P")
T = TypeVar("T")


class LedgerWorker:
    """Runs the ledger's methods in one thread, in the order in which they were asked for.

        entry = await ledger(Ledger.accept, attempt, job_id, now=clock.now())

    A call that has begun is completed even if whoever awaits it is cancelled: a commit is never half known.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def __call__(self, method: Callable[Concatenate[Ledger, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of the ledger in its thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(method, self._ledger, *args, **kwargs))

    async def close(self) -> None:
        """Let the queued calls finish, then close the ledger."""
        await self(type(self._ledger).close)
        self._executor.shutdown(wait=True)
