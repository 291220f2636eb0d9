"""How an entry gets its job: claimed, armed, accepted or requeued. This keeps a recording from being paid twice.

Only the latest attempt of an entry is ever open: whatever leads back to WAITING ends the one before. So the outcome of
an open attempt applies to its entry as it is; the outcome of an attempt that has ended changes no entry.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from watcher.ledger.cleanups import delete_job_later
from watcher.ledger.entries import REPLACED
from watcher.ledger.reader import as_json_ids
from watcher.ledger.rows import display_name
from watcher.ledger.transitions import IllegalMove
from watcher.models import AttemptState, Entry, EntryState

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from watcher.ledger.rows import Cleanup
    from watcher.ledger.transaction import Transaction
    from watcher.models import Attempt, Engine

__all__ = ["accept", "adopt", "arm", "arm_answered", "claim", "claim_requested", "note_unclear", "requeue"]

_S = EntryState
_OPEN = frozenset({_S.SUBMITTING, _S.HELD})
"""States of an entry whose latest attempt may still yield a job."""


def claim(
    tx: Transaction,
    engine: Engine,
    root: Path,
    *,
    account: str,
    reference: str,
    now: float,
    reusable: Callable[[Entry, Entry, Entry], bool],
    newest_first: bool = False,
) -> tuple[Entry, Attempt | None] | None:
    """Take the next waiting entry of a folder, the oldest recording first.

    It becomes SUBMITTING with a prepared attempt; or TRANSCRIBED, without an attempt, if a transcript of the same
    content and config exists already. An entry is passed over while another one of the same content and config has a
    job, or may have one.

    Args:
        engine: of the folder.
        root: the folder.
        account: where the job would go.
        reference: a new one for the attempt.
        now: unix time.
        reusable: whether to use a stored transcript; called with the entry, an entry of the same content and config,
            and the entry under whose uid the transcript of the latter is stored.
        newest_first: take the newest recording instead of the oldest.
    """
    query = "claimable_newest" if newest_first else "claimable"
    entry = tx.find(query, engine=engine.value, root=os.fsencode(root), now=now)
    return _claim(tx, entry, account=account, reference=reference, now=now, reusable=reusable) if entry else None


def claim_requested(
    tx: Transaction,
    engine: Engine,
    *,
    account: str,
    reference: str,
    now: float,
    reusable: Callable[[Entry, Entry, Entry], bool],
    ids: Collection[int] | None = None,
) -> tuple[Entry, Attempt | None] | None:
    """Take the next waiting entry that was requested, oldest request first; see `claim`.

    Args:
        engine: of the entry.
        account: where the job would go.
        reference: a fresh one for the attempt.
        now: unix time.
        reusable: as for `claim`.
        ids: only these entries; None: any.
    """
    entry = tx.find("claimable_requested", engine=engine.value, now=now, ids=as_json_ids(ids))
    return _claim(tx, entry, account=account, reference=reference, now=now, reusable=reusable) if entry else None


def _claim(
    tx: Transaction,
    entry: Entry,
    *,
    account: str,
    reference: str,
    now: float,
    reusable: Callable[[Entry, Entry, Entry], bool],
) -> tuple[Entry, Attempt | None]:
    if owner := _transcript_for(tx, entry, reusable):
        same_file = owner.path == entry.path
        reason = "It was transcribed before." if same_file else f"Same content as {display_name(owner.path)}."
        tx.move(entry, _S.TRANSCRIBED, now, reason=reason)
        tx.execute("note_copy", id=entry.id, copy_of=None if owner.id == entry.id else owner.id)
        return tx.read.entry(entry.id), None
    tx.move(entry, _S.SUBMITTING, now)
    tx.execute("start_attempt", entry_id=entry.id, reference=reference, account=account, now=now)
    tx.execute("note_attempt", entry_id=entry.id, reference=reference, account=account)
    return tx.read.entry(entry.id), tx.read.latest_attempt(entry.id)


def _transcript_for(tx: Transaction, entry: Entry, reusable: Callable[[Entry, Entry, Entry], bool]) -> Entry | None:
    """Find the entry whose stored transcript `entry` can have."""
    for twin in tx.read.same_job(entry):
        owner = tx.read.entry(twin.copy_of) if twin.copy_of else twin
        if reusable(entry, twin, owner):
            return owner
    return None


def arm(tx: Transaction, attempt: Attempt, *, now: float, key: str) -> None:
    """Commit that a job may exist from now on; call it before the tail of the upload is sent.

    The attempt counts as unclear until its outcome is known, so that crashes count, too. `key` is the digest of the
    key that the recording is submitted with.

    Raises:
        IllegalMove: the user cancelled the entry meanwhile, or another attempt is under way; send no tail.
    """
    entry = tx.read.entry(attempt.entry_id)
    if entry.state is not _S.SUBMITTING or not tx.execute("arm_attempt", id=attempt.id, now=now, key_digest=key):
        raise IllegalMove(f"{entry.path} is not to be submitted any more.")


def arm_answered(tx: Transaction, attempt: Attempt, *, now: float, key: str) -> None:
    """Note that the service claimed a job before it had the whole recording: a job may exist, as after `arm`.

    If the user cancelled the entry meanwhile, the job is looked for, to be deleted. `key` is the digest of the key
    that the recording was submitted with.
    """
    if tx.read.entry(attempt.entry_id).state in {_S.SUBMITTING, _S.CANCELLED}:
        values = {"entry_id": attempt.entry_id, "now": now, "key_digest": key}
        tx.execute("arm_answered_attempt", id=attempt.id, **values)


def note_unclear(tx: Transaction, entry: Entry, attempt: Attempt, *, reason: str, counts: bool) -> Entry:
    """Note why it is unclear whether a job exists; `counts` is False if the service was just offline."""
    values = {"reason": reason, "fix": "", "next_attempt_at": 0.0}
    tx.execute("annotate", id=entry.id, state=entry.state.value, **values)
    if not counts:
        tx.execute("reset_unclear_attempt", id=attempt.id)
    return tx.read.entry(entry.id)


def accept(
    tx: Transaction, attempt: Attempt, job_id: str, *, now: float, key: str, reason: str = "", twins: Sequence[str] = ()
) -> Entry:
    """Note the job that an attempt created: SUBMITTING (or HELD) → SUBMITTED.

    Args:
        attempt: the attempt.
        job_id: the job's id.
        now: unix time.
        key: digest of the API key that sees the job.
        reason: how the job was found, if not by the answer to the upload.
        twins: ids of other jobs with the same reference; they are left to be deleted.

    Returns:
        The entry. If its `job_id` is another one, the job is orphaned: it is left to be deleted, unless it was before.
    """
    entry = tx.read.entry(attempt.entry_id)
    was_open = tx.end_attempt(attempt, AttemptState.ACCEPTED, now, counts=True, job_id=job_id)
    values = {"account": attempt.account, "key": key}
    for twin in twins:
        delete_job_later(tx, entry, twin, now, **values, adoptable=False)
    if not was_open or entry.state not in _OPEN:
        known = tx.row("attempt_by_id", id=attempt.id)
        if known is not None and (was_open or known["job_id"] != job_id):
            delete_job_later(tx, entry, job_id, now, **values, adoptable=was_open)
        return entry
    values = {"job_id": job_id, "account": attempt.account, "key_digest": key}
    tx.move(entry, _S.SUBMITTED, now, reason=reason)
    tx.execute("note_job", id=entry.id, **values, now=now)
    return tx.read.entry(entry.id)


def requeue(
    tx: Transaction,
    attempt: Attempt,
    ended: AttemptState,
    *,
    now: float,
    next_attempt_at: float,
    reason: str,
    fix: str = "",
    counts: bool = True,
) -> Entry:
    """Submit an entry again from `next_attempt_at` (unix time) on, as no job exists: SUBMITTING (or HELD) → WAITING.

    An entry that the user cancelled meanwhile stays CANCELLED. One that was replaced by other content becomes so.

    Args:
        attempt: the attempt that ended.
        ended: how: REFUSED, ABSENT or DROPPED.
        now: unix time.
        next_attempt_at: unix time.
        reason: why, in words for the user.
        fix: what the user can do, if anything.
        counts: False if the recording is not to blame, for example offline.
    """
    entry = tx.read.entry(attempt.entry_id)
    was_open = tx.end_attempt(attempt, ended, now, counts=counts)
    if not was_open or entry.state not in _OPEN:
        return entry
    if entry.current:
        tx.move(entry, _S.WAITING, now, reason=reason, fix=fix, next_attempt_at=next_attempt_at)
    else:
        tx.move(entry, _S.CANCELLED, now, reason=REPLACED)
    return tx.read.entry(entry.id)


def adopt(tx: Transaction, attempt: Attempt, orphan: Cleanup, *, now: float) -> Entry:
    """Give an entry an orphaned job instead of creating another one: SUBMITTING → SUBMITTED.

    Args:
        attempt: the attempt that needs no upload then.
        orphan: the job, of this entry or of one with the same content and config; it is not deleted then.
        now: unix time.

    Returns:
        The entry; unchanged if the user cancelled it meanwhile.
    """
    entry = tx.read.entry(attempt.entry_id)
    was_open = tx.end_attempt(attempt, AttemptState.DROPPED, now, counts=False)
    if not was_open or entry.state is not _S.SUBMITTING:
        return entry
    tx.execute("drop_cleanup", entry_id=orphan.entry_id, kind="job", what=orphan.what)
    whose = "It was cancelled, but its job"
    if orphan.entry_id != entry.id:
        former = tx.read.entry(orphan.entry_id)
        whose = f"The job of {display_name(former.path)}, which was cancelled,"
        tx.note(former, now, f"Its job is used for {display_name(entry.path)}.")
    tx.move(entry, _S.SUBMITTED, now, reason=f"{whose} may still be there: it is used instead, at no cost.")
    values = {"job_id": orphan.what, "account": orphan.account, "key_digest": orphan.key_digest}
    tx.execute("note_job", id=entry.id, **values, now=now)
    return tx.read.entry(entry.id)
