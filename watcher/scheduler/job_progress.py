"""How far a job is, where the server tells: the local one does, the cloud doesn't."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from watcher.errors import EngineUnavailable
from watcher.events import Event
from watcher.models import JobProgress  # noqa: TC001 - msgspec reads the annotation of `_Answer`
from watcher.scheduler.loop import Loop
from watcher.speechmatics import SpeechmaticsError

if TYPE_CHECKING:
    from watcher.events import EventBus
    from watcher.models import Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.speechmatics import AsyncClient

__all__ = ["ProgressWatch", "read_progress"]

_PAUSE = 1.0


class _Answer(msgspec.Struct):
    progress: JobProgress


async def read_progress(client: AsyncClient, job_id: str) -> JobProgress | None:
    """Ask how far a job is; None if the server doesn't say. Progress is a courtesy: no error is raised."""
    try:
        answer: dict[str, Any] = await client.get_json(f"/jobs/{quote(job_id, safe='')}/progress")
        return msgspec.convert(answer, _Answer).progress
    except (SpeechmaticsError, msgspec.ValidationError):
        return None


class ProgressWatch:
    """Keeps `Account.job_progress` up to date while jobs are followed, and publishes what changes.

    Accounts whose server doesn't report progress are never asked.
    """

    def __init__(self, account: Account, bus: EventBus, runtime: Runtime) -> None:
        self._account = account
        self._runtime = runtime
        self._bus = bus
        self._entries: dict[int, Entry] = {}
        self._ask_at = 0.0
        self.loop = Loop(f"progress of {account.name}", self._look)

    def follow(self, entry: Entry) -> None:
        """Ask about the job of an entry until `forget`."""
        if self._account.tells_progress:
            self._entries[entry.id] = entry
            self.loop.wake()

    def forget(self, entry_id: int) -> None:
        """Stop asking about an entry's job."""
        self._entries.pop(entry_id, None)
        self._account.job_progress.pop(entry_id, None)

    async def _look(self) -> float | None:
        """Ask once a second while there are jobs."""
        if not self._entries:
            return None
        if (left := self._ask_at - self._runtime.monotonic()) > 0:
            return left
        await self._ask()
        self._ask_at = self._runtime.monotonic() + _PAUSE
        return _PAUSE

    async def _ask(self) -> None:
        """Ask about jobs in their order at the server, up to the first that is known to wait: the rest wait too."""
        try:
            client = await self._account.connector.connect()
        except (EngineUnavailable, SpeechmaticsError):
            return
        for entry in sorted(self._entries.values(), key=lambda each: self._ahead(each) or 0):
            was_waiting = self._ahead(entry)
            progress = await read_progress(client, entry.job_id or "")
            if progress is not None and entry.id in self._entries:
                self._note(entry, progress)
            if was_waiting:
                return

    def _ahead(self, entry: Entry) -> int | None:
        known = self._account.job_progress.get(entry.id)
        return known.ahead if known else None

    def _note(self, entry: Entry, progress: JobProgress) -> None:
        if self._account.job_progress.get(entry.id) == progress:
            return
        self._account.job_progress[entry.id] = progress
        data = {"uid": entry.uid, "stage": "transcription", "share": progress.share, **asdict(progress)}
        self._bus.publish(Event("progress", self._runtime.now(), data))
