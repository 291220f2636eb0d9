"""User requests: transcribe a file, retry, cancel, dismiss a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from watcher.attention import DISMISSIBLE
from watcher.ledger.cleanups import delete_job_later
from watcher.ledger.entries import insert, supersede
from watcher.ledger.rows import NewEntry, config_key, display_name
from watcher.ledger.transitions import IllegalMove
from watcher.models import AttemptState, Entry, EntryState

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from watcher.ledger.transaction import Transaction
    from watcher.models import Attempt, Engine, OutputFormat

    NewSettings = tuple[Engine, dict[str, Any], tuple[OutputFormat, ...]]

__all__ = ["cancel", "dismiss", "request", "retry"]

_S = EntryState


def request(tx: Transaction, new: NewEntry, *, now: float) -> tuple[Entry, bool]:
    """Add a recording that belongs to no watch folder, or continue the entry of the same request.

    Requests are the same if content, path, settings and target are. One that has ended is retried, at no cost if
    possible; one that is HELD stays HELD, since a retry may cost again.

    Returns:
        The entry, and whether it was DONE before.
    """
    same = None
    for old in tx.read.requests_at_path(new.path):
        if old.fingerprint.sha256 != new.fingerprint.sha256:
            supersede(tx, old, now)
        elif _asks_for(old) == (config_key(new.engine, new.config), new.formats, new.target):
            same = old
    if same is None:
        return insert(tx, new, now), False
    size, mtime_ns = new.fingerprint.size, new.fingerprint.mtime_ns
    tx.execute("touch", id=same.id, size=size, mtime_ns=mtime_ns)
    if same.state.is_settled:
        _retry(tx, same, now, reason=new.reason)
    elif same.state in {_S.WAITING, _S.TRANSCRIBED}:
        values = {"reason": new.reason, "fix": "", "next_attempt_at": 0.0}
        tx.execute("annotate", id=same.id, state=same.state.value, **values)
        tx.execute("reset_attempts", id=same.id)
    return tx.read.entry(same.id), same.state is _S.DONE


def cancel(tx: Transaction, entry: Entry, *, now: float, reason: str) -> Entry:
    """The user gives the recording up: → CANCELLED. Its job is deleted at the service as soon as possible.

    An upload that may have made a job stays ARMED: the job is looked for, and then deleted.
    """
    tx.move(entry, _S.CANCELLED, now, reason=reason, user_request=True)
    _orphan_job(tx, entry, now, adoptable=True)
    return tx.read.entry(entry.id)


def retry(
    tx: Transaction, entry: Entry, *, now: float, reason: str, again: NewSettings | None = None, resume: bool = False
) -> Entry:
    """Try an ended or held entry again, at no cost if possible.

    DONE → TRANSCRIBED, which publishes the stored transcript. HELD with a job that can be reached → SUBMITTED.
    CANCELLED while a job may exist → SUBMITTING, which looks for it. All others → WAITING: what was HELD is then
    submitted again; what was CANCELLED first tries to adopt its former job.

    Args:
        entry: as it was read last.
        now: unix time.
        reason: who asked, in words for the user.
        again: the present settings of its folder; None keeps the settings that it was added with.
        resume: whether its job, if it has one, can be reached now.

    Raises:
        IllegalMove: it is being worked on, or is not at its path any more.
    """
    _retry(tx, entry, now, reason=reason, again=again, resume=resume)
    return tx.read.entry(entry.id)


def _retry(
    tx: Transaction, entry: Entry, now: float, *, reason: str, again: NewSettings | None = None, resume: bool = False
) -> None:
    attempt = tx.read.latest_attempt(entry.id)
    target = _target_of_retry(entry, attempt, resume=resume)
    if target is _S.WAITING and not entry.current:
        raise IllegalMove(f"{entry.path} is not what it was: what is there now has an entry of its own.")
    if attempt and target is _S.WAITING:
        tx.end_attempt(attempt, AttemptState.DROPPED, now, counts=False)
    tx.move(entry, target, now, reason=reason, user_request=True)
    if target is _S.WAITING:
        _orphan_job(tx, entry, now, adoptable=entry.state is not _S.HELD)
    if again and target is _S.WAITING:
        _reconfigure(tx, entry, again)
    tx.execute("reset_attempts", id=entry.id)
    tx.execute("reset_unclear", sha256=entry.fingerprint.sha256)


def dismiss(tx: Transaction, entry: Entry | None = None, *, now: float) -> list[Entry]:
    """Stop asking for attention for a failed entry, or for all of them; returns those that changed.

    An entry that is dismissed stays FAILED; its next move clears `dismissed_at`.

    Raises:
        IllegalMove: this entry has not failed.
    """
    if entry and entry.state not in DISMISSIBLE:
        decide = "retry it or cancel it" if entry.state is _S.HELD else "only failed recordings can be dismissed"
        raise IllegalMove(f"{display_name(entry.path)} is {entry.state.lower()}: {decide}.")
    found = [entry] if entry else tx.read.dismissible()
    changed = [e for e in found if tx.execute("dismiss", id=e.id, state=e.state.value, now=now)]
    for each in changed:
        tx.note(each, now, "You dismissed it.")
    return [tx.read.entry(each.id) for each in changed]


def _orphan_job(tx: Transaction, entry: Entry, now: float, *, adoptable: bool) -> None:
    """Separate an entry from its job, if it has one: the job is left to be deleted."""
    if entry.job_id:
        values = {"account": entry.account, "key": entry.key_digest}
        delete_job_later(tx, entry, entry.job_id, now, **values, adoptable=adoptable)
        tx.execute("forget_job", id=entry.id)


def _reconfigure(tx: Transaction, entry: Entry, again: NewSettings) -> None:
    engine, config, formats = again
    tx.execute(
        "reconfigure",
        id=entry.id,
        engine=engine.value,
        config=msgspec.json.encode(config).decode(),
        config_key=config_key(engine, config),
        formats=" ".join(formats),
    )


def _asks_for(entry: Entry) -> tuple[str, tuple[OutputFormat, ...], Path | None]:
    return entry.config_key, entry.formats, entry.target


def _target_of_retry(entry: Entry, attempt: Attempt | None, *, resume: bool) -> EntryState:
    if entry.state is _S.DONE:
        return _S.TRANSCRIBED
    if entry.state is _S.CANCELLED and attempt and attempt.state is AttemptState.ARMED:
        return _S.SUBMITTING
    if resume and entry.job_id and entry.state is _S.HELD:
        return _S.SUBMITTED
    return _S.WAITING
