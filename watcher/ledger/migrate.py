"""Bringing a ledger to the present schema, with a backup before each step."""

from __future__ import annotations

import sqlite3
from importlib import resources
from typing import TYPE_CHECKING

from watcher.errors import LedgerTooNew
from watcher.ledger.connection import damaged, sqlite_errors
from watcher.ledger.queries import read_sql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["VERSION", "back_up", "check_version", "create_schema", "migrate", "migrations"]

_APPLICATION_ID = 0x44524F50  # "DROP": lets file(1) and us tell a ledger from another database


def migrations() -> list[str]:
    """The migrations' file names, in order: number N brings a ledger from version N - 1 to N."""
    folder = resources.files(__package__).joinpath("sql", "migrations")
    return sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))


VERSION = len(migrations())


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the schema in an empty database, in one transaction."""
    _apply(connection, read_sql("schema.sql"), 0, VERSION)


def migrate(connection: sqlite3.Connection, file: Path, backups: Path) -> None:
    """Make the schema in an empty database, or bring an older ledger to it.

    Each step is one transaction. Before the first one an older ledger is copied into `backups`.
    """
    version = check_version(connection, file)
    with sqlite_errors(file):
        if version == 0:
            create_schema(connection)
        elif version < VERSION:
            back_up(connection, backups / f"ledger-v{version}.sqlite3")
            for number, name in enumerate(migrations()[version:], version + 1):
                _apply(connection, read_sql("migrations", name), number - 1, number)


def check_version(connection: sqlite3.Connection, file: Path) -> int:
    """Return the version of a ledger's schema; 0 for an empty database.

    Raises:
        LedgerTooNew: a newer version of Dropscribe wrote it; nothing was touched.
        LedgerDamaged: it is no database, or one that is not a ledger.
    """
    with sqlite_errors(file):
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if version > VERSION:
        raise LedgerTooNew(
            f"The ledger {file} was made by a newer Dropscribe: schema {version}, and this is {VERSION}.",
            fix="Update Dropscribe, or name another directory with --state-dir. Nothing was changed.",
        )
    if version == 0 and tables:
        raise damaged(file, "it is a database of another program")
    if version and "entries" not in tables:
        raise damaged(file, "its table of recordings is missing")
    return version


def back_up(connection: sqlite3.Connection, target: Path) -> Path:
    """Copy the ledger through SQLite's backup API, which is safe while it is in use."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = target.with_suffix(".partial")
    for rest in (partial, partial.with_name(f"{partial.name}-journal")):  # of a copy that was broken off
        rest.unlink(missing_ok=True)
    copy = sqlite3.connect(partial)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    partial.chmod(0o600)
    partial.replace(target)
    return target


def _apply(connection: sqlite3.Connection, script: str, origin: int, target: int) -> None:
    """Run a script in one transaction, unless another process was quicker."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == origin:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {target}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """Split a script whose statements end at the end of a line; `executescript` would commit in its middle."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
