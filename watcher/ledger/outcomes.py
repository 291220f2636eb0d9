"""What happens to an entry after its submission: transcribed, done, held, failed or given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.ledger.cleanups import delete_job_later, dispose_later
from watcher.ledger.entries import record_outputs
from watcher.ledger.rows import JobOutcome
from watcher.models import AttemptState, Entry, EntryState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.ledger.transaction import Transaction
    from watcher.models import Output

__all__ = ["discard", "done", "fail", "fetch_again", "hold", "track_again", "transcribed", "try_again", "withdraw"]

_S = EntryState


def fail(
    tx: Transaction, entry: Entry, *, now: float, reason: str, fix: str = "", job: JobOutcome = JobOutcome.UNDECIDED
) -> Entry:
    """The recording can't be transcribed: → FAILED. `reason` and `fix` are words for the user."""
    return _end(tx, entry, _S.FAILED, now, reason, fix=fix, job=job)


def hold(
    tx: Transaction,
    entry: Entry,
    *,
    now: float,
    reason: str,
    fix: str = "",
    job: JobOutcome = JobOutcome.UNDECIDED,
    retry_at: float = 0.0,
) -> Entry:
    """Continuing could cost money or lose something: → HELD. `reason` and `fix` are words for the user.

    At `retry_at` (unix time) Dropscribe tries again by itself; 0 leaves it to the user.
    """
    return _end(tx, entry, _S.HELD, now, reason, fix=fix, job=job, retry_at=retry_at)


def withdraw(tx: Transaction, entry: Entry, *, now: float, reason: str) -> Entry:
    """The recording left its path, or its folder excludes it now, and no job exists: → CANCELLED.

    The entry gives up its path: whatever is found there next is a new recording.
    """
    _end(tx, entry, _S.CANCELLED, now, reason, job=JobOutcome.NOT_CREATED)
    tx.execute("supersede", id=entry.id, now=now)
    return tx.read.entry(entry.id)


def discard(tx: Transaction, entry: Entry, *, now: float, reason: str) -> Entry:
    """Other content took the recording's place, so its transcript is not written: TRANSCRIBED → CANCELLED."""
    return _end(tx, entry, _S.CANCELLED, now, reason, job=JobOutcome.UNDECIDED)


def _end(
    tx: Transaction,
    entry: Entry,
    target: EntryState,
    now: float,
    reason: str,
    *,
    job: JobOutcome,
    fix: str = "",
    retry_at: float = 0.0,
) -> Entry:
    if job is JobOutcome.NOT_CREATED and (attempt := tx.read.latest_attempt(entry.id)):
        tx.end_attempt(attempt, AttemptState.REFUSED, now, counts=True)
    tx.move(entry, target, now, reason=reason, fix=fix, next_attempt_at=retry_at)
    if job is JobOutcome.NO_TRANSCRIPT:
        tx.execute("forget_job", id=entry.id)
    return tx.read.entry(entry.id)


def transcribed(tx: Transaction, entry: Entry, *, now: float, delete_job: bool = False) -> Entry:
    """Note that the transcript is stored under the entry's own uid: SUBMITTED → TRANSCRIBED.

    With `delete_job`, its job is left to be deleted at the service.
    """
    tx.move(entry, _S.TRANSCRIBED, now)
    if delete_job and entry.job_id:
        values = {"account": entry.account, "key": entry.key_digest}
        delete_job_later(tx, entry, entry.job_id, now, **values, adoptable=False)
    tx.execute("note_copy", id=entry.id, copy_of=None)
    return tx.read.entry(entry.id)


def fetch_again(tx: Transaction, entry: Entry, owner: Entry, *, now: float, reason: str) -> Entry:
    """Fetch an unusable stored transcript again from the job of `owner`, at no cost: TRANSCRIBED → SUBMITTED.

    The job is kept at the service until then; `owner` is the entry itself, or the one that it is a copy of.
    """
    tx.move(entry, _S.SUBMITTED, now, reason=reason)
    values = {"job_id": owner.job_id, "account": owner.account, "key_digest": owner.key_digest}
    tx.execute("note_job", id=entry.id, **values, now=now)
    tx.execute("drop_cleanup", entry_id=owner.id, kind="job", what=owner.job_id)
    return tx.read.entry(entry.id)


def try_again(tx: Transaction, entry: Entry, *, now: float, reason: str) -> Entry:
    """Submit again what was HELD because Dropscribe itself failed; no job of it exists: HELD → WAITING."""
    tx.move(entry, _S.WAITING, now, reason=reason)
    return tx.read.entry(entry.id)


def track_again(tx: Transaction, entry: Entry, *, now: float, reason: str) -> Entry:
    """Wait for the job of an entry again, as it can be reached again: HELD → SUBMITTED."""
    tx.move(entry, _S.SUBMITTED, now, reason=reason)
    return tx.read.entry(entry.id)


def done(tx: Transaction, entry: Entry, outputs: Sequence[Output], *, now: float, after: str = "keep") -> Entry:
    """Note that every output is on disk: TRANSCRIBED → DONE.

    Unless `after` is `keep`, the recording is left to be trashed, deleted or moved.
    """
    record_outputs(tx, entry.id, outputs)
    if after != "keep":
        dispose_later(tx, entry, after, now)
    tx.move(entry, _S.DONE, now, reason=entry.reason if entry.copy_of else "")
    return tx.read.entry(entry.id)
