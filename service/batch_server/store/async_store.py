"""The store for the event loop: one thread runs all calls, in order."""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from service.batch_server.store.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class AsyncStore:
    """Runs methods of a ``Store`` in the store's own thread.

    Raises:
        StoreUnusable: If the folder or its database can't be used.
        OSError: If the folder can't be created or read.
    """

    def __init__(self, data_dir: Path) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            self.store = self._thread.submit(Store, data_dir.absolute()).result()
        except BaseException:
            self._thread.shutdown()
            raise

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of ``self.store``.

        Once begun, the call completes even if the caller is cancelled, so no transaction is left half-done.
        """
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, call))

    def close(self) -> None:
        """Finish what is queued and close the store."""
        self._thread.submit(self.store.close).result()
        self._thread.shutdown()
