"""Entries and their places: recordings are found, replaced or moved, and follow the config."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from watcher.ledger.rows import NewEntry, as_text, config_key, display_name, from_new, to_entry
from watcher.models import Engine, Entry, EntryState

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from watcher.ledger.transaction import Transaction
    from watcher.models import Output

__all__ = [
    "REPLACED",
    "add",
    "annotate",
    "cancel_unwatched",
    "follow_engine",
    "insert",
    "look_again",
    "record_outputs",
    "relocate",
    "supersede",
]

_S = EntryState
REPLACED = "Other content took its place before it was submitted."


def add(tx: Transaction, found: Sequence[NewEntry], *, now: float) -> list[tuple[Entry, bool]]:
    """Add recordings. Content that the entry of its path already has is not added again.

    Returns:
        For each, its entry and whether it is new.
    """
    return [_add(tx, new, now) for new in found]


def _add(tx: Transaction, new: NewEntry, now: float) -> tuple[Entry, bool]:
    present = tx.read.at_path(new.path)
    same = present is not None and present.fingerprint.sha256 == new.fingerprint.sha256
    if present and same and (new.fingerprint.sha256 or present.reason == as_text(new.reason)):
        # Without a digest (it could not be read), the same error is not recorded twice.
        size, mtime_ns = new.fingerprint.size, new.fingerprint.mtime_ns
        tx.execute("touch", id=present.id, size=size, mtime_ns=mtime_ns)
        return tx.read.entry(present.id), False
    if present:
        supersede(tx, present, now)
    return insert(tx, new, now), True


def insert(tx: Transaction, new: NewEntry, now: float) -> Entry:
    """Add a row for a recording."""
    uid = secrets.token_urlsafe(12)
    entry_id = tx.insert("insert_entry", **from_new(new), uid=uid, now=now)
    tx.record(entry_id, None, new.state, now, new.reason)
    return tx.read.entry(entry_id)


def supersede(tx: Transaction, entry: Entry, now: float) -> None:
    """Take an entry from its path, which has other content now. A job that may be running is still waited for."""
    if entry.state is _S.WAITING:
        tx.move(entry, _S.CANCELLED, now, reason=REPLACED)
    tx.execute("supersede", id=entry.id, now=now)


def relocate(tx: Transaction, entry_id: int, *, root: Path, path: Path, size: int, mtime_ns: int, now: float) -> Entry:
    """Let an entry follow its recording, which was renamed or moved."""
    entry = tx.read.entry(entry_id)
    if (there := tx.read.at_path(path)) and there.id != entry_id:
        supersede(tx, there, now)
    places = {"root": os.fsencode(root), "path": os.fsencode(path), "name": display_name(path)}
    tx.execute("relocate", id=entry_id, size=size, mtime_ns=mtime_ns, **places)
    tx.record(entry_id, entry.state, entry.state, now, f"Moved from {display_name(entry.path)}.")
    return tx.read.entry(entry_id)


def look_again(tx: Transaction, entry: Entry, *, now: float, reason: str) -> Entry:
    """Let the next scan find a recording that could not be read or probed, as if it were new."""
    tx.note(entry, now, reason)
    tx.execute("supersede", id=entry.id, now=now)
    return tx.read.entry(entry.id)


def annotate(tx: Transaction, entry: Entry, *, reason: str, fix: str = "", next_attempt_at: float = 0.0) -> None:
    """Note why an entry stays in its state for now; its history does not change."""
    values = {"reason": reason, "fix": fix, "next_attempt_at": next_attempt_at}
    tx.execute("annotate", id=entry.id, state=entry.state.value, **values)


def record_outputs(tx: Transaction, entry_id: int, outputs: Sequence[Output]) -> None:
    """Remember where an entry's outputs are."""
    for output in outputs:
        path = os.fsencode(output.path)
        values = {"format": output.format.value, "path": path, "sha256": output.sha256}
        tx.execute("put_output", entry_id=entry_id, **values)


def follow_engine(tx: Transaction, root: Path, engine: Engine) -> int:
    """Change the engine of a folder's waiting entries; returns how many changed."""
    values = {"root": os.fsencode(root), "engine": engine.value}
    rows = tx.rows("waiting_with_other_engine", **values)
    for row in rows:
        key = config_key(engine, msgspec.json.decode(row["config"]))
        tx.execute("change_engine", id=row["id"], engine=engine.value, config_key=key)
    return len(rows)


def cancel_unwatched(tx: Transaction, roots: Collection[Path], *, now: float, limit: int = 500) -> int:
    """Cancel waiting entries of folders that are not watched any more; returns how many (at most `limit`).

    If such a folder is watched again, its recordings are found as new ones.
    """
    hexed = msgspec.json.encode([os.fsencode(root).hex().upper() for root in roots]).decode()
    found = [to_entry(row) for row in tx.rows("waiting_elsewhere", roots=hexed, limit=limit)]
    for entry in found:
        tx.move(entry, _S.CANCELLED, now, reason="Its folder is not watched any more.")
        tx.execute("supersede", id=entry.id, now=now)
    return len(found)
