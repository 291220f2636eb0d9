"""What every change of the ledger is made of: a transaction, a checked move, and its row in the history."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from watcher.ledger.connection import sqlite_errors
from watcher.ledger.queries import QUERIES
from watcher.ledger.reader import LedgerReader
from watcher.ledger.rows import as_text
from watcher.ledger.transitions import IllegalMove, check_move

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from watcher.models import Attempt, AttemptState, Entry, EntryState

__all__ = ["LedgerWriter"]


class LedgerWriter(LedgerReader):
    """A reader that may write. Use it from one thread at a time."""

    def __init__(
        self, connection: sqlite3.Connection, file: Path, *, checkpoint: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(connection, file)
        self._checkpoint = checkpoint or (lambda _name: None)
        self._moved: dict[int, None] = {}

    @contextmanager
    def _transaction(self, name: str) -> Iterator[None]:
        with sqlite_errors(self._file):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._checkpoint(f"before commit: {name}")
                self._connection.execute("COMMIT")
            except BaseException:
                self._moved.clear()
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._checkpoint(f"after commit: {name}")

    def take_moved(self) -> list[Entry]:
        """Return the entries that moved since this was asked last, as they are now."""
        moved, self._moved = list(self._moved), {}
        return [self.entry(entry_id) for entry_id in moved]

    def _run(self, query: str, /, **values: object) -> sqlite3.Cursor:
        # A file name need not be text, and a sentence may quote one: SQLite takes no lone surrogates.
        clean = {name: as_text(value) if isinstance(value, str) else value for name, value in values.items()}
        return self._connection.execute(QUERIES[query], clean)

    def _execute(self, query: str, /, **values: object) -> int:
        return self._run(query, **values).rowcount

    def _move(
        self,
        entry: Entry,
        target: EntryState,
        now: float,
        *,
        reason: str = "",
        fix: str = "",
        next_attempt_at: float = 0.0,
        user_request: bool = False,
    ) -> None:
        """Move an entry that still is what it was when it was read: in that state, with that attempt and that job.

        Raises:
            IllegalMove: it is not; or this move is none that there is.
        """
        check_move(entry.state, target, user_request=user_request)
        read = {"id": entry.id, "from_state": entry.state.value, "reference": entry.reference, "job_id": entry.job_id}
        values = {"to_state": target.value, "now": now, "reason": reason, "fix": fix}
        if not self._execute("move", **read, **values, next_attempt_at=next_attempt_at):
            raise IllegalMove(f"{entry.path} has gone on meanwhile: it is not {entry.state} as it was.")
        self._event(entry.id, entry.state, target, now, reason)

    def _event(self, entry_id: int, origin: EntryState | None, target: EntryState, now: float, reason: str) -> None:
        self._write_down(entry_id, origin, target, now, reason)
        self._moved[entry_id] = None

    def _note(self, entry: Entry, now: float, reason: str) -> None:
        """Add a line to an entry's history that is no move: nobody is told that it moved."""
        self._write_down(entry.id, entry.state, entry.state, now, reason)

    def _write_down(
        self, entry_id: int, origin: EntryState | None, target: EntryState, now: float, reason: str
    ) -> None:
        origin_name = origin.value if origin else None
        values = {"entry_id": entry_id, "now": now, "from_state": origin_name, "to_state": target.value}
        self._execute("insert_event", **values, reason=reason)

    def _end_attempt(self, attempt: Attempt, state: AttemptState, now: float, job_id: str | None = None) -> bool:
        """End an attempt; returns whether it was still open."""
        return self._execute("end_attempt", id=attempt.id, state=state.value, now=now, job_id=job_id) > 0
