"""The connection to the server's database: its lock, its settings, its schema."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Final

import filelock

SCHEMA_VERSION: Final = 1
_LOCK_SECONDS: Final = 5.0
_PASSING: Final = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY")
"""SQLite's errors that come from the disk: the database itself may be intact."""


class StoreUnusable(Exception):
    """The folder can't be used; the message says why, and what to do."""


class StoreTooNew(StoreUnusable):
    """The database was written by a newer version of this program."""


class StoreBusy(StoreUnusable):
    """Another server uses this folder."""


class StoreDamaged(StoreUnusable):
    """The database can't be read."""


class Connection:
    """The database of one data folder, for one process at a time; its statements are in ``sql/queries.sql``.

    Args:
        data_dir: The folder, which must exist.

    Raises:
        StoreUnusable: If another server uses the folder, or the database is damaged or too new.
    """

    def __init__(self, data_dir: Path) -> None:
        self._queries = _load_queries()
        self._lock = _locked(data_dir)
        path = data_dir / "jobs.sqlite3"
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self.close()
            if getattr(error, "sqlite_errorname", "").startswith(_PASSING):
                raise StoreUnusable(
                    f"The server's database {path} can't be opened ({error}); check the disk, then start again"
                ) from error
            raise StoreDamaged(
                f"The server's database {path} can't be used ({error}); move it away to start with an empty one"
            ) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        for setting in (
            "journal_mode = WAL",
            "synchronous = FULL",  # a job that was answered with 201 survives a power failure
            "foreign_keys = ON",
            "busy_timeout = 10000",
            "secure_delete = ON",  # deleted transcripts are overwritten
        ):
            self._database.execute(f"PRAGMA {setting}")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA_VERSION:
            raise StoreTooNew(
                f"The server's database has version {version}, but this program only supports {SCHEMA_VERSION}; "
                "install a newer version of Dropscribe, or use another data folder"
            )
        if version == 0:
            schema = (resources.files(__package__) / "sql" / "schema.sql").read_text(encoding="utf-8")
            self._database.executescript(f"BEGIN;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;")

    def run(self, query: str, values: Mapping[str, object] | None = None) -> sqlite3.Cursor:
        """Run a statement by its name."""
        return self._database.execute(self._queries[query], values or {})

    def one(self, query: str, values: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - a row
        """Run a statement by its name and return its first row, or ``None``."""
        return self.run(query, values).fetchone()

    def pragma(self, name: str) -> Any:  # noqa: ANN401 - SQLite decides
        """Return the value of a PRAGMA."""
        return self._database.execute(f"PRAGMA {name}").fetchone()[0]

    def forget(self) -> None:
        """Erase deleted data from the disk, too: the write-ahead file still holds old pages."""
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk: the next call erases it
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything that runs in the block or, if it raises, nothing."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # on a full disk SQLite often rolls back itself
                self._database.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self._database.close()
        self._lock.release()


def _load_queries() -> dict[str, str]:
    text = (resources.files(__package__) / "sql" / "queries.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _locked(data_dir: Path) -> filelock.BaseFileLock:
    """Lock the folder; a previous server that is just stopping gets a moment."""
    lock = filelock.FileLock(data_dir / "lock")
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except filelock.Timeout as error:
        raise StoreBusy(f"Another server uses {data_dir}; stop it first, or use another folder") from error
    return lock
