"""Adopting jobs that exist already, instead of paying for new ones.

A *lost* job is one whose answer was lost: `reconcile` finds it in the list by its reference. An *orphaned* job is
one that no entry waits for: cancelling a recording may leave a job at the service until its deletion succeeds.
When the same content is submitted again with the same config, it adopts that job instead of paying again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher import speechmatics as sm
from watcher.errors import DropscribeError
from watcher.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.ledger import Cleanup, LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.speechmatics import JobDetails

__all__ = ["FRUITLESS", "Adopter", "NotShownYet", "choose"]

FRUITLESS = frozenset({sm.JobStatus.DELETED, sm.JobStatus.EXPIRED, sm.JobStatus.REJECTED})
"""What a job's status is when it will give no transcript."""


class NotShownYet(DropscribeError):
    """The service does not show a job that it accepted a moment ago: that proves nothing yet."""


def choose(jobs: Sequence[JobDetails]) -> tuple[JobDetails, list[str]]:
    """Choose among the jobs of one reference, oldest first.

    Returns:
        The oldest that may give a transcript; and the ids of the others that run, which cost less if they are stopped.
    """
    keep = next((job for job in jobs if job.status not in FRUITLESS), jobs[0])
    return keep, [job.id for job in jobs if job is not keep and not job.status.is_final]


class Adopter:
    """Adopts lost and orphaned jobs.

    Attributes:
        lock: held while an orphaned job is adopted, or deleted: never both at once.
    """

    def __init__(self, ledger: LedgerWorker, runtime: Runtime) -> None:
        self._ledger = ledger
        self._runtime = runtime
        self.lock = asyncio.Lock()

    async def adopt_lost(self, attempt: Attempt, jobs: Sequence[JobDetails], key: str) -> None:
        """Adopt a job that the list shows for an attempt, and have any other that runs for it deleted.

        Args:
            attempt: its answer was lost.
            jobs: those with its reference, oldest first.
            key: digest of the key that the list was given to.
        """
        keep, twins = choose(jobs)
        reason = "The service's answer was lost; its job was found by its reference."
        now = self._runtime.now()
        await self._ledger(Ledger.accept, attempt, keep.id, now=now, key=key, reason=reason, twins=twins)

    async def adopt_orphan(self, account: Account, entry: Entry, attempt: Attempt) -> Entry | None:
        """Let an entry that is about to be uploaded adopt an orphaned job.

        Returns:
            The entry as it is then; None if there is no such job, so that it has to be submitted.

        Raises:
            SpeechmaticsError, EngineUnavailable: the service can't be asked now.
            NotShownYet: the service may yet show a job that it doesn't show now.
        """
        if not await self._ledger(Ledger.orphaned_jobs, entry, account.name):
            return None
        async with self.lock:
            for orphan in await self._ledger(Ledger.orphaned_jobs, entry, account.name):
                if await self._may_answer(account, orphan):
                    return await self._ledger(Ledger.adopt, attempt, orphan, now=self._runtime.now())
                outcome = "Its former job is not at the service any more."
                await self._ledger(Ledger.finish_cleanup, orphan, now=self._runtime.now(), outcome=outcome)
        return None

    async def _may_answer(self, account: Account, orphan: Cleanup) -> bool:
        """Whether a job may still give a transcript; one that the present key doesn't see counts as one that may."""
        client = await account.connector.connect()
        try:
            job = await client.get_job(orphan.what, wait=0)
        except (sm.NotFound, sm.Gone) as error:
            if not error.from_api:
                raise
            if not account.visibility.sees(client, orphan.key_digest):
                return True
            if isinstance(error, sm.NotFound) and self._runtime.now() - orphan.since < account.settle_listing:
                raise NotShownYet("The service does not show its former job at the moment.") from error
            return False
        return job.status not in FRUITLESS
