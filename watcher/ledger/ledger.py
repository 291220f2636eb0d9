"""The ledger: every recording that was found, and what became of it. The one writer.

Every move of an entry is one transaction, and leaves one row in `events`.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from watcher.errors import LedgerError
from watcher.ledger import attempts, cleanups, entries, holds, outcomes, requests, roots
from watcher.ledger.connection import (
    check_integrity,
    connect,
    connect_readonly,
    make_durable,
    no_ledger,
    sqlite_errors,
)
from watcher.ledger.create import create_if_missing, refuse_if_used
from watcher.ledger.migrate import VERSION, check_version, migrate
from watcher.ledger.reader import LedgerReader
from watcher.ledger.transaction import Transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from watcher.models import Entry

__all__ = ["Ledger", "open_ledger", "open_readonly"]

P = ParamSpec("P")
T = TypeVar("T")


def open_ledger(file: Path, *, backups: Path, checkpoint: Callable[[str], None] | None = None) -> Ledger:
    """Open the ledger for the daemon; make it where there is none, migrate it where it is older.

    Args:
        file: the database.
        backups: where copies from before a migration go.
        checkpoint: called with a name around each step and commit; tests stop the process there.

    Raises:
        LedgerTooNew: a newer version wrote it.
        LedgerDamaged: it fails SQLite's check, or is empty although it was used; it is left as it is.
        OutputError: the disk is full or can't be written to; the next start continues.
    """
    reached = checkpoint or (lambda _name: None)
    create_if_missing(file, checkpoint=reached)
    connection = connect(file)
    try:
        if check_version(connection, file) == 0:
            refuse_if_used(file)
        check_integrity(connection, file)
        make_durable(connection, file)
        reached("open: durable")
        migrate(connection, file, backups)
        reached("open: migrated")
    except BaseException:
        connection.close()
        raise
    return Ledger(connection, file, checkpoint=checkpoint)


def open_readonly(file: Path) -> LedgerReader:
    """Open the ledger just for reading, with or without a daemon running.

    Raises:
        NoLedger: nothing was ever recorded in it.
        LedgerError: it can't be read by this version, or not at all.
    """
    if not file.exists():
        refuse_if_used(file)
    connection = connect_readonly(file)
    try:
        _check_readable(connection, file)
    except BaseException:
        connection.close()
        raise
    return LedgerReader(connection, file)


def _check_readable(connection: sqlite3.Connection, file: Path) -> None:
    version = check_version(connection, file)
    if version == 0:
        refuse_if_used(file)
        raise no_ledger(file)
    if version < VERSION:
        raise LedgerError(
            f"The ledger {file} was written by an older Dropscribe.",
            fix="Start the daemon once: it brings the ledger to this version, and keeps a copy.",
        )


def _transaction(
    function: Callable[Concatenate[Transaction, P], T],
) -> Callable[Concatenate[Ledger, P], T]:
    """Make a method of the ledger from a function: it runs in a transaction of its own, of the same name."""

    @functools.wraps(function)
    def method(self: Ledger, /, *args: P.args, **values: P.kwargs) -> T:
        with self._transaction(function.__name__.replace("_", " ")) as tx:
            return function(tx, *args, **values)

    return method


class Ledger(LedgerReader):
    """The ledger, open for writing. Use it from one thread at a time.

    Every method that changes something is one transaction. They are functions of the modules named here.
    """

    add = _transaction(entries.add)
    relocate = _transaction(entries.relocate)
    look_again = _transaction(entries.look_again)
    annotate = _transaction(entries.annotate)
    record_outputs = _transaction(entries.record_outputs)
    follow_engine = _transaction(entries.follow_engine)
    cancel_unwatched = _transaction(entries.cancel_unwatched)

    claim = _transaction(attempts.claim)
    claim_requested = _transaction(attempts.claim_requested)
    arm = _transaction(attempts.arm)
    arm_answered = _transaction(attempts.arm_answered)
    note_unclear = _transaction(attempts.note_unclear)
    accept = _transaction(attempts.accept)
    requeue = _transaction(attempts.requeue)
    adopt = _transaction(attempts.adopt)

    transcribed = _transaction(outcomes.transcribed)
    fetch_again = _transaction(outcomes.fetch_again)
    done = _transaction(outcomes.done)
    fail = _transaction(outcomes.fail)
    hold = _transaction(outcomes.hold)
    withdraw = _transaction(outcomes.withdraw)
    discard = _transaction(outcomes.discard)
    try_again = _transaction(outcomes.try_again)
    track_again = _transaction(outcomes.track_again)

    request = _transaction(requests.request)
    retry = _transaction(requests.retry)
    cancel = _transaction(requests.cancel)
    dismiss = _transaction(requests.dismiss)

    finish_cleanup = _transaction(cleanups.finish_cleanup)
    reschedule = _transaction(cleanups.reschedule)
    put_hold = _transaction(holds.put_hold)
    lift_hold = _transaction(holds.lift_hold)
    watch_root = _transaction(roots.watch_root)
    finish_baseline = _transaction(roots.finish_baseline)

    def __init__(
        self, connection: sqlite3.Connection, file: Path, *, checkpoint: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(connection, file)
        self._checkpoint = checkpoint or (lambda _name: None)
        self._moved: dict[int, None] = {}

    def take_moved(self) -> list[Entry]:
        """Return the entries that were added or moved since the last call, as they are now."""
        moved, self._moved = list(self._moved), {}
        return [self.entry(entry_id) for entry_id in moved]

    @contextmanager
    def _transaction(self, name: str) -> Iterator[Transaction]:
        transaction = Transaction(self._connection, self)
        with sqlite_errors(self._file):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield transaction
                self._checkpoint(f"before commit: {name}")
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._moved.update(dict.fromkeys(transaction.moved))
        self._checkpoint(f"after commit: {name}")
