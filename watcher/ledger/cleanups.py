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
        tx.execute("forget_deleted_job", id=cleanup.entry_id, job_id=cleanup.what)
    if outcome:
        tx.note(tx.read.entry(cleanup.entry_id), now, outcome)


def reschedule(tx: Transaction, cleanup: Cleanup, *, now: float, due_at: float, reason: str) -> None:
    """Postpone a cleanup that failed; a reason other than the last one goes into the entry's history."""
    values = {"entry_id": cleanup.entry_id, "kind": cleanup.kind, "what": cleanup.what}
    if tx.execute("delay_cleanup", **values, due_at=due_at, reason=reason) and reason != cleanup.reason:
        tx.note(tx.read.entry(cleanup.entry_id), now, reason)


def dispose_later(tx: Transaction, entry: Entry, after: str, now: float) -> None:
    """Leave a recording to be trashed, deleted or moved, as `after` says; this replaces an earlier `after`."""
    tx.execute("drop_disposals", entry_id=entry.id)
    place = {"path": os.fsencode(entry.path), "account": None, "key_digest": None}
    _put(tx, entry, now, kind="source", what=after, **place, adoptable=False)


def delete_job_later(
    tx: Transaction, entry: Entry, job_id: str, now: float, *, account: str | None, key: str | None, adoptable: bool
) -> None:
    """Leave a job to be deleted at the service, unless another entry needs it.

    Args:
        entry: the one that it was created for.
        job_id: its id.
        now: unix time.
        account: where it is.
        key: digest of the API key that it was submitted with; None if that is not known.
        adoptable: whether an entry with the same content and config may use it instead of submitting a new one.
    """
    if not tx.row("job_of_others", job_id=job_id, id=entry.id):
        place = {"path": None, "account": account or "", "key_digest": key}
        _put(tx, entry, now, kind="job", what=job_id, **place, adoptable=adoptable)


def _put(tx: Transaction, entry: Entry, now: float, **values: object) -> None:
    tx.execute("put_cleanup", entry_id=entry.id, config_key=entry.config_key, now=now, **values)
