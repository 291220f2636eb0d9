"""Jobs that nobody waits for: they are asked for before their recording is paid again.

Who cancels a recording leaves a job at the service until it can be deleted there, which may take long without a
network. Should the same content be submitted again before, with the same config, that job does for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import DropscribeError
from watcher.ledger import Ledger
from watcher.scheduler.reconcile import FRUITLESS

if TYPE_CHECKING:
    from watcher.clock import Clock
    from watcher.ledger import Cleanup, LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.scheduler.account import Account

__all__ = ["FormerJobs", "NotShownYet"]


class NotShownYet(DropscribeError):
    """The service does not show a job that it took a moment ago: that proves nothing yet."""


class FormerJobs:
    """Takes up jobs that nobody waits for.

    Attributes:
        lock: held while one is asked for, or deleted: what is taken up is not deleted meanwhile.
    """

    def __init__(self, ledger: LedgerWorker, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self.lock = asyncio.Lock()

    async def take_up(self, account: Account, entry: Entry, attempt: Attempt) -> Entry | None:
        """Let an entry that is about to be uploaded wait for a job that is there already.

        Returns:
            The entry as it is then; None if there is no such job, so that it has to be submitted.

        Raises:
            SpeechmaticsError, EngineUnavailable: the service can't be asked now.
            NotShownYet: the service may yet show a job that it doesn't show now.
        """
        if not await self._ledger(Ledger.orphaned_jobs, entry, account.name):
            return None
        async with self.lock:
            for left in await self._ledger(Ledger.orphaned_jobs, entry, account.name):
                if await self._may_answer(account, left):
                    return await self._ledger(Ledger.adopt, attempt, left, now=self._clock.now())
                said = "Its former job is not at the service any more."
                await self._ledger(Ledger.finish_cleanup, left, now=self._clock.now(), outcome=said)
        return None

    async def _may_answer(self, account: Account, left: Cleanup) -> bool:
        """Whether a job may still give a transcript; one that the present key doesn't see counts as one that may."""
        client = await account.connector.connect()
        try:
            job = await client.get_job(left.what, wait=0)
        except (sm.NotFound, sm.Gone) as error:
            if not error.from_api:
                raise
            if not account.visibility.sees(client, left.key_digest):
                return True
            if isinstance(error, sm.NotFound) and self._clock.now() - left.since < account.settle_listing:
                raise NotShownYet("The service does not show its former job at the moment.") from error
            return False
        return job.status not in FRUITLESS
