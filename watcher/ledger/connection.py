"""Opening the ledger's SQLite database, for writing or just for reading."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from watcher.errors import LedgerDamaged, LedgerError, NoLedger, NoSpace, NotWritable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["check_integrity", "connect", "connect_readonly", "damaged", "make_durable", "no_ledger", "sqlite_errors"]

_BUSY_SECONDS = 10.0


def connect(file: Path) -> sqlite3.Connection:
    """Open an existing ledger for writing. Nothing in it is changed yet.

    Raises:
        LedgerError: it can't be opened.
    """
    with sqlite_errors(file):
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def make_durable(connection: sqlite3.Connection, file: Path) -> None:
    """Set what a ledger is written with: WAL and `synchronous=FULL`, so that a commit survives a power cut."""
    with sqlite_errors(file):
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "journal_size_limit=4194304"):
            connection.execute(f"PRAGMA {pragma}")
    if os.name == "posix":
        file.chmod(0o600)


def connect_readonly(file: Path) -> sqlite3.Connection:
    """Open the ledger just for reading; a running daemon is not disturbed.

    Raises:
        NoLedger: there is no file.
        LedgerError: it can't be opened.
    """
    if not file.exists():
        raise no_ledger(file)
    with sqlite_errors(file):
        connection = sqlite3.connect(
            f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
        try:
            _prepare(connection)
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
    return connection


def no_ledger(file: Path) -> NoLedger:
    """Make the error of a ledger that is not there yet."""
    return NoLedger(f"There is no ledger at {file} yet.", fix="Start the daemon once: dropscribe run FOLDER")


def check_integrity(connection: sqlite3.Connection, file: Path, *, thorough: bool = False) -> None:
    """Run SQLite's own check, which reads every page; `thorough` compares the indexes with the rows too.

    Raises:
        LedgerDamaged: the check found something.
    """
    with sqlite_errors(file):
        pragma = "integrity_check" if thorough else "quick_check"
        found = [str(row[0]) for row in connection.execute(f"PRAGMA {pragma}(3)")]
    if found != ["ok"]:
        raise damaged(file, "; ".join(found))


@contextmanager
def sqlite_errors(file: Path) -> Iterator[None]:
    """Raise what SQLite says in the program's own errors.

    Raises:
        NoSpace: the disk is full. What passes is an OutputError: nothing was changed, and it is tried again.
        NotWritable: the disk fails or is read-only, or another program keeps the ledger locked.
        LedgerDamaged: it is no sound database.
        LedgerError: anything else.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name in {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}:
            fix = "Free some space; a running Dropscribe then continues automatically."
            raise NoSpace(f"The ledger {file} can't be written: {error}.", fix=fix) from error
        if name.startswith(("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_BUSY", "SQLITE_LOCKED")):
            fix = (
                "Check the disk, and that no other program has the ledger open; "
                "Dropscribe then continues automatically."
            )
            raise NotWritable(f"The ledger {file} can't be used now: {error}.", fix=fix) from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise damaged(file, str(error)) from error
        raise LedgerError(f"The ledger {file} can't be used: {error}.") from error


def _prepare(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA cache_size=-4000")
    connection.execute("PRAGMA temp_store=MEMORY")


def damaged(file: Path, what: str) -> LedgerDamaged:
    """Make the error of a damaged ledger."""
    return LedgerDamaged(
        f"The ledger {file} is damaged ({what}). "
        "It was left as it is: with an empty one, everything would be paid for again.",
        fix="Run `dropscribe doctor`: it says which backup is sound and how to put it in place.",
    )
