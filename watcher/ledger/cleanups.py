"""What is left to do for an entry: a job to delete at the service, a recording to dispose of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watcher.ledger.rows import Cleanup
    from watcher.ledger.transaction import Transaction
    from watcher.models import Entry

__all__ = ["delete_job_later", "dispose_later", "finish_cleanup", "reschedule"]


def finish_cleanup(tx: Transaction, cleanup: Cleanup, *, now: float, outcome: str) -> None:
    """Remove a cleanup that was carried out or given up; a non-empty `outcome` goes into the entry's history."""
    tx.execute("drop_cleanup", entry_id=cleanup.entry_id, kind=cleanup.kind, what=cleanup.what)
    if cleanup.kind == "job":
        tx.execute("forget_job", id=cleanup.entry_id, job_id=cleanup.what)
    if outcome:
        tx.note(tx.read.entry(cleanup.entry_id), now, outcome)


def reschedule(tx: Transaction, cleanup: Cleanup, *, now: float, due_at: float, reason: str) -> None:
    """Postpone a cleanup that failed; a reason other than the last one goes into the entry's history."""
    values = {"entry_id": cleanup.entry_id, "kind": cleanup.kind, "what": cleanup.what}
    if tx.execute("delay_cleanup", **values, due_at=due_at, reason=reason) and reason != cleanup.reason:
        tx.note(tx.read.entry(cleanup.entry_id), now, reason)


def dispose_later(tx: Transaction, entry: Entry, after: str, now: float) -> None:
    """Leave a recording to be trashed, deleted or moved, as `after` says; this replaces what was left before."""
    tx.execute("drop_cleanup", entry_id=entry.id, kind="source", what=None)
    values = {"path": os.fsencode(entry.path), "account": None, "key_digest": None, "config_key": None}
    tx.execute("put_cleanup", entry_id=entry.id, kind="source", what=after, now=now, **values)


def delete_job_later(
    tx: Transaction, entry: Entry, job_id: str, now: float, *, account: str | None, key: str | None, is_wanted: bool
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
    if tx.row("job_of_others", job_id=job_id, id=entry.id):
        return
    values = {"path": None, "account": account, "key_digest": key}
    config_key = entry.config_key if is_wanted else None
    tx.execute("put_cleanup", entry_id=entry.id, kind="job", what=job_id, now=now, config_key=config_key, **values)
