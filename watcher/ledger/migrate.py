"""Bringing a ledger to the present schema, with a backup before each step."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import TYPE_CHECKING

from watcher.errors import LedgerTooNew
from watcher.ledger.connection import sqlite_errors
from watcher.ledger.queries import read_sql

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["VERSION", "back_up", "check_version", "migrate", "migrations"]

_APPLICATION_ID = 0x44524F50  # "DROP": lets file(1) and us tell a ledger from another database


def migrations() -> list[str]:
    """The migrations' file names, in order: number N brings a ledger from version N - 1 to N."""
    folder = resources.files(__package__).joinpath("sql", "migrations")
    return sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))


VERSION = len(migrations())


def migrate(connection: sqlite3.Connection, file: Path, backups: Path) -> None:
    """Make the schema of a new ledger, or bring an older one to it.

    Each step is one transaction. Before the first one the ledger is copied into `backups`.
    """
    version = check_version(connection, file)
    with sqlite_errors(file):
        if version == VERSION:
            return
        fresh = version == 0 and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        if fresh:
            _apply(connection, read_sql("schema.sql"), VERSION)
            return
        back_up(connection, backups / f"ledger-v{version}.sqlite3")
        for number, name in enumerate(migrations()[version:], version + 1):
            _apply(connection, read_sql("migrations", name), number)


def check_version(connection: sqlite3.Connection, file: Path) -> int:
    """Return the version of a ledger's schema; 0 for a new one.

    Raises:
        LedgerTooNew: a newer version of Dropscribe wrote it; nothing was touched.
        LedgerDamaged: it is no database.
    """
    with sqlite_errors(file):
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LedgerTooNew(
            f"The ledger {file} was made by a newer Dropscribe: schema {version}, and this is {VERSION}.",
            fix="Update Dropscribe, or name another directory with --state-dir. Nothing was changed.",
        )
    return version


def back_up(connection: sqlite3.Connection, target: Path) -> Path:
    """Copy the ledger through SQLite's backup API, which is safe while it is in use."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    copy = sqlite3.connect(partial)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    partial.chmod(0o600)
    partial.replace(target)
    return target


def _apply(connection: sqlite3.Connection, script: str, version: int) -> None:
    head = f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION_ID}; PRAGMA user_version = {version};"
    try:
        connection.executescript(f"{head}\n{script}\nCOMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
