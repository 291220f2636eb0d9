"""Cleanups: orphaned jobs are deleted at the service, and transcribed recordings are disposed of (see `dispose`).

A cleanup enters the ledger in the commit that makes the transcript safe or gives the job up, and stays there until it
is carried out or given up: neither a crash nor a lost network leaves anything undone. The entry's history has the
outcome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import send2trash

from watcher import speechmatics as sm
from watcher.errors import DropscribeError, EngineUnavailable, RecordingError, sentences
from watcher.ledger import Ledger
from watcher.logs import get_logger
from watcher.models import Engine
from watcher.scheduler.account import KEY_BACK
from watcher.scheduler.dispose import put_away, restore
from watcher.scheduler.loop import Loop
from watcher.scheduler.retry import retry_delay
from watcher.transcripts.files import Files

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from typing import Literal

    from watcher.ledger import Cleanup, LedgerWorker
    from watcher.models import Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.settings import Settings

__all__ = ["Cleaner"]

_log = get_logger("cleanup")
_KEPT_FOR = 7 * 86400.0
"""Seconds after which the service removes a job by itself."""


class Later(DropscribeError):
    """A cleanup can't be carried out now."""


class Cleaner:
    """Carries out what the ledger says is left to do.

    Args:
        ledger: has it.
        accounts: all of them.
        deleting: held while a job is deleted: none is taken up meanwhile.
        settings: the config in force.
        runtime: the clock, the pauses and their jitter.
    """

    def __init__(
        self,
        ledger: LedgerWorker,
        accounts: Sequence[Account],
        *,
        deleting: asyncio.Lock,
        settings: Settings,
        runtime: Runtime,
    ) -> None:
        self._ledger = ledger
        self._accounts = {account.name: account for account in accounts}
        self._deleting = deleting
        self._settings = settings
        self._runtime = runtime
        self._files = Files()
        self.loops = (
            Loop("deleting jobs", lambda: self.look("job")),
            Loop("disposing of recordings", lambda: self.look("source")),
        )

    def wake(self) -> None:
        """There may be something to do."""
        for loop in self.loops:
            loop.wake()

    async def look(self, kind: Literal["job", "source"]) -> float:
        """Carry out what is due of one kind; return the seconds until something may be due again."""
        now = self._runtime.now()
        if kind == "job":
            async with self._deleting:  # it may be adopted until then
                due = await self._carry_out_all(await self._ledger(Ledger.due_cleanups, now, kind=kind, limit=1))
        else:
            due = await self._carry_out_all(await self._ledger(Ledger.due_cleanups, now, kind=kind))
        if due:
            return 0.0
        idle = self._runtime.timings.scheduler.idle
        later = await self._ledger(Ledger.next_cleanup_at, now) or now + idle
        return max(0.05, min(idle, later - now))

    async def _carry_out_all(self, due: Sequence[Cleanup]) -> bool:
        for cleanup in due:
            await self._carry_out(cleanup)
        return bool(due)

    async def _carry_out(self, cleanup: Cleanup) -> None:
        entry = await self._ledger(Ledger.entry, cleanup.entry_id)
        try:
            outcome = await (self._delete_job(cleanup) if cleanup.kind == "job" else self._dispose(cleanup, entry))
        except Later as error:
            now = self._runtime.now()
            _log.info("left for later", file=str(entry.path), why=error.message)
            due_at = now + retry_delay(cleanup.tries + 1, self._runtime.jitter(), self._runtime.timings.retry)
            await self._ledger(Ledger.reschedule, cleanup, now=now, due_at=due_at, reason=error.message)
            return
        _log.debug("cleaned up", file=str(entry.path), outcome=outcome)
        await self._ledger(Ledger.finish_cleanup, cleanup, now=self._runtime.now(), outcome=outcome)

    async def _dispose(self, cleanup: Cleanup, entry: Entry) -> str:
        """Do what `after` says; returns what became of the recording."""
        folder = self._settings.folder_of(entry)
        outputs = await self._ledger(Ledger.outputs, entry.id)
        try:
            if folder is not None and folder.after == cleanup.what and entry.path == cleanup.path:
                return await self._runtime.in_thread(put_away, entry, cleanup.what, folder, outputs, files=self._files)
            note = await self._runtime.in_thread(restore, cleanup.path or entry.path, files=self._files)
            why = f"its folder's `after` is not {cleanup.what} any more."
            if folder is not None and folder.after == cleanup.what:
                why = "it was moved meanwhile."
            return sentences(f"The recording stays where it is: {why}", note and f"Besides, {note}")
        except RecordingError as error:
            return f"The recording stays where it is: {error.message}"
        except DropscribeError as error:
            raise Later(f"Not yet done with the recording ({cleanup.what}): {error.message}") from error
        except (OSError, send2trash.TrashPermissionError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise Later(f"Not yet done with the recording ({cleanup.what}): {why}.") from error

    async def _delete_job(self, cleanup: Cleanup) -> str:
        """Delete a job at the service; returns what became of it."""
        try:
            return await self._delete_now(cleanup)
        except Later as error:
            if self._runtime.now() - cleanup.since > _KEPT_FOR:
                return f"{error.message} It is given up: the service removes jobs by itself after 7 days."
            raise

    async def _delete_now(self, cleanup: Cleanup) -> str:
        account = self._accounts.get(cleanup.account or "")
        if account is None:
            raise Later(f"Its job can't be deleted at {cleanup.account}: the config now names another address.")
        visible = True
        try:
            client = await account.connector.connect()
            visible = account.visibility.sees(client, cleanup.key_digest)
            await client.delete_job(cleanup.what, force=True)
        except sm.NotFound as error:
            if not error.from_api:
                raise Later(f"Its job could not be deleted at the service: {error}") from error
            if not visible:
                raise Later(f"Its job can't be deleted with the present API key. {KEY_BACK}.") from error
            if self._runtime.now() - cleanup.since < account.settle_listing:
                raise Later("The service does not show its job at the moment.") from error
        except sm.Gone:
            pass
        except (sm.SpeechmaticsError, EngineUnavailable) as error:
            raise Later(f"Its job could not be deleted at the service: {error}") from error
        if account.engine is Engine.LOCAL:
            return ""  # our own server on this machine: nobody needs to know
        return "Its job was deleted at the service."
