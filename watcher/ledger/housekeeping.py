"""What the ledger keeps beside the moves of entries: holds, watch folders, and what is left to do afterwards."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from watcher.ledger.writer import LedgerWriter

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.ledger.rows import Cleanup
    from watcher.models import Entry

__all__ = ["Housekeeping"]


class Housekeeping(LedgerWriter):
    """Writes what is no move of an entry."""

    # Holds

    def put_hold(self, name: str, *, now: float, reason: str, fix: str = "", until: float | None = None) -> None:
        """Stop submission, or change the reason and end of a hold that is in force."""
        with self._transaction("put hold"):
            self._execute("put_hold", name=name, now=now, until=until, reason=reason, fix=fix)

    def lift_hold(self, name: str) -> bool:
        """Lift a hold; returns whether it was in force."""
        with self._transaction("lift hold"):
            return self._execute("drop_hold", name=name) > 0

    # Watch folders

    def watch_root(self, path: Path, *, now: float) -> None:
        """Remember that this folder is watched."""
        if self._row("root", path=os.fsencode(path)):
            return
        with self._transaction("watch root"):
            self._execute("put_root", path=os.fsencode(path), now=now)

    def finish_baseline(self, path: Path) -> None:
        """The first scan of this folder is complete: what comes from now on is new."""
        with self._transaction("finish baseline"):
            self._execute("finish_baseline", path=os.fsencode(path))

    # Cleanups

    def finish_cleanup(self, cleanup: Cleanup, *, now: float, outcome: str) -> None:
        """Remove a cleanup that was carried out or given up; a non-empty `outcome` goes into the entry's history."""
        with self._transaction("finish cleanup"):
            self._execute("drop_cleanup", entry_id=cleanup.entry_id, kind=cleanup.kind, what=cleanup.what)
            if cleanup.kind == "job":
                self._execute("forget_job", id=cleanup.entry_id, job_id=cleanup.what)
            if outcome:
                self._note(self.entry(cleanup.entry_id), now, outcome)

    def reschedule(self, cleanup: Cleanup, *, now: float, due_at: float, reason: str) -> None:
        """Postpone a cleanup that failed; a reason other than the last one goes into the entry's history."""
        with self._transaction("reschedule"):
            values = {"entry_id": cleanup.entry_id, "kind": cleanup.kind, "what": cleanup.what}
            if self._execute("delay_cleanup", **values, due_at=due_at, reason=reason) and reason != cleanup.reason:
                self._note(self.entry(cleanup.entry_id), now, reason)

    def _dispose_later(self, entry: Entry, after: str, now: float) -> None:
        self._execute("drop_cleanup", entry_id=entry.id, kind="source", what=None)
        values = {"path": os.fsencode(entry.path), "account": None, "key_digest": None, "config_key": None}
        self._execute("put_cleanup", entry_id=entry.id, kind="source", what=after, now=now, **values)

    def _delete_job_later(
        self, entry: Entry, job_id: str, now: float, *, account: str | None, key: str | None, is_wanted: bool
    ) -> None:
        """Nobody waits for a job any more.

        Args:
            entry: whose it is.
            job_id: its id.
            now: unix time.
            account: where it is.
            key: digest of the key that sees it.
            is_wanted: whether it is to be taken up again, should this content be submitted again before it is gone.
        """
        if self._row("job_of_others", job_id=job_id, id=entry.id):
            return
        values = {"path": None, "account": account, "key_digest": key}
        config_key = entry.config_key if is_wanted else None
        self._execute(
            "put_cleanup", entry_id=entry.id, kind="job", what=job_id, now=now, config_key=config_key, **values
        )
