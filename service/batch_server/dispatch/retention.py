"""Removes finished jobs after their retention period."""

import asyncio
import sqlite3
from typing import Final

import structlog

from service.batch_server.job import now_micros
from service.batch_server.store.async_store import AsyncStore

_LONGEST_SLEEP: Final = 3600.0
_SHORTEST_SLEEP: Final = 0.1

_log = structlog.stdlib.get_logger("batch_server.retention")


async def expire_jobs(async_store: AsyncStore, retention: float) -> None:
    """Expire finished jobs until cancelled.

    Args:
        async_store: Where jobs are kept.
        retention: Seconds from a job's end to its expiry; it may be removed up to an hour later.
    """
    while True:
        try:
            before = now_micros() - round(retention * 1_000_000)
            expired = await async_store.run(async_store.store.expire, before)
        except (OSError, sqlite3.Error):
            _log.exception("finished jobs could not be removed; trying again later")
        else:
            if expired:
                _log.info("jobs expired", jobs=expired)
        await asyncio.sleep(min(_LONGEST_SLEEP, max(_SHORTEST_SLEEP, retention)))
