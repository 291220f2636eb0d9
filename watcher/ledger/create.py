"""Making a new ledger, and telling one that was never used from one whose content is lost.

A new ledger is made under a temporary name and renamed when it is whole and on the disk: whenever the first start is
killed, the next one finds either no ledger or a whole one. A missing or empty file is not a new ledger where other
files show that it was used: an empty one in its place would pay for every recording again.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from watcher.errors import LedgerLost, NotWritable, describe_os_error
from watcher.ledger.connection import sqlite_errors
from watcher.ledger.migrate import create_schema
from watcher.paths import StatePaths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["create_if_missing", "refuse_if_used"]

_LOCK_SECONDS = 10.0


def create_if_missing(file: Path, *, checkpoint: Callable[[str], None]) -> None:
    """Make a new ledger unless there is a file; remove what a killed start left of one.

    Args:
        file: the database.
        checkpoint: called with a name after each step; tests stop the process there.

    Raises:
        LedgerLost: the file is missing or has 0 bytes, and other files show that it was used.
        NoSpace: the disk is full.
        NotWritable: the folder can't be written to, or another process has been making the ledger for 10 s.
    """
    new = file.with_name(f"{file.name}.new")
    try:
        with FileLock(f"{new}.lock", timeout=_LOCK_SECONDS):
            _remove(new)
            if not file.exists() or not file.stat().st_size:
                refuse_if_used(file)
            if not file.exists():
                _create(new, checkpoint)
                _remove_sidecars(file)  # SQLite would take what a removed ledger left for the new one's
                new.rename(file)
                checkpoint("create: renamed")
                _sync_folder(file.parent)
    except Timeout:
        fix = "Check whether another Dropscribe is starting."
        raise NotWritable(f"Another process is making the ledger {file}.", fix=fix) from None
    except OSError as error:
        raise describe_os_error(error, doing=f"make the ledger {file}") from error


def refuse_if_used(file: Path) -> None:
    """Check that a ledger that is missing or empty was never used.

    Raises:
        LedgerLost: what lies beside it shows that it was used.
    """
    if signs := _signs_of_use(file):
        backups = StatePaths(file.parent).backups
        begin_again = f"To begin with an empty ledger instead, move {' and '.join(map(str, signs))} away first: "
        raise LedgerLost(
            f"The ledger {file} is {'empty' if file.exists() else 'missing'}, but it was used: {signs[0]} is there.",
            fix=f"Put a copy of it back (backups are kept in {backups}). {begin_again}"
            "then what is still in the watch folders is transcribed, and with the cloud paid for, again.",
        )


def _signs_of_use(file: Path) -> list[Path]:
    """List what only a ledger that was used leaves: commits not yet in the main file, backups, transcripts."""
    paths = StatePaths(file.parent)
    wal = file.with_name(f"{file.name}-wal")
    lone_wal = wal.exists() and wal.stat().st_size > 0 and not (file.exists() and file.stat().st_size)
    signs = [wal] if lone_wal else []
    if any(paths.backups.glob("*.sqlite3")):
        signs.append(paths.backups)
    if any(kept.is_file() for kept in paths.transcripts.rglob("*")):
        signs.append(paths.transcripts)
    return signs


def _create(new: Path, checkpoint: Callable[[str], None]) -> None:
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    checkpoint("create: empty file")
    with sqlite_errors(new):
        connection = sqlite3.connect(new, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            create_schema(connection)
        finally:
            connection.close()
    checkpoint("create: schema")
    handle = os.open(new, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    checkpoint("create: synced")


def _remove(database: Path) -> None:
    database.unlink(missing_ok=True)
    _remove_sidecars(database)


def _remove_sidecars(database: Path) -> None:
    for suffix in ("-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
