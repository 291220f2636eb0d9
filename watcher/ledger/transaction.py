"""What every change of the ledger is made of: SQL statements, checked moves, and their rows in the history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.ledger.queries import QUERIES
from watcher.ledger.rows import as_text, display_name, to_entry
from watcher.ledger.transitions import IllegalMove, check_move

if TYPE_CHECKING:
    import sqlite3

    from watcher.ledger.reader import LedgerReader
    from watcher.models import Attempt, AttemptState, Entry, EntryState

__all__ = ["Transaction"]


class Transaction:
    """A change that is committed whole or not at all; `Ledger` begins and ends it.

    Attributes:
        read: answers questions, as of this transaction.
        moved: ids of the entries that this transaction added or moved, in order.
    """

    def __init__(self, connection: sqlite3.Connection, read: LedgerReader) -> None:
        self._connection = connection
        self.read = read
        self.moved: list[int] = []

    def execute(self, query: str, /, **values: object) -> int:
        """Run a statement of `queries.sql`; returns how many rows it changed."""
        return self._run(query, values).rowcount

    def insert(self, query: str, /, **values: object) -> int:
        """Run an INSERT of `queries.sql`; returns the new row's number."""
        return int(self._run(query, values).lastrowid or 0)

    def rows(self, query: str, /, **values: object) -> list[sqlite3.Row]:
        """Run a SELECT of `queries.sql`."""
        return self._run(query, values).fetchall()

    def row(self, query: str, /, **values: object) -> sqlite3.Row | None:
        """Run a SELECT of `queries.sql`; returns its first row."""
        found = self.rows(query, **values)
        return found[0] if found else None

    def find(self, query: str, /, **values: object) -> Entry | None:
        """Run a SELECT of entries of `queries.sql`; returns the first."""
        row = self.row(query, **values)
        return to_entry(row) if row else None

    def _run(self, query: str, values: dict[str, object]) -> sqlite3.Cursor:
        # A file name need not be text, and a reason may quote one: SQLite takes no lone surrogates.
        clean = {name: as_text(value) if isinstance(value, str) else value for name, value in values.items()}
        return self._connection.execute(QUERIES[query], clean)

    def move(
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
        """Move an entry that is still as it was read: in that state, with that attempt and that job.

        Raises:
            IllegalMove: it is not, or `transitions` does not allow this move.
        """
        check_move(display_name(entry.path), entry.state, target, user_request=user_request)
        read = {"id": entry.id, "from_state": entry.state.value, "reference": entry.reference, "job_id": entry.job_id}
        values = {"to_state": target.value, "now": now, "reason": reason, "fix": fix}
        if not self.execute("move", **read, **values, next_attempt_at=next_attempt_at):
            raise IllegalMove(f"{entry.path} has changed meanwhile: it is no longer {entry.state} with the same job.")
        self.record(entry.id, entry.state, target, now, reason)

    def record(self, entry_id: int, origin: EntryState | None, target: EntryState, now: float, reason: str) -> None:
        """Add a row to an entry's history and announce the entry; `origin` is None for an entry that was added."""
        self._add_event(entry_id, origin, target, now, reason)
        self.moved.append(entry_id)

    def note(self, entry: Entry, now: float, reason: str) -> None:
        """Add a line to an entry's history that is no move; the entry is not announced."""
        self._add_event(entry.id, entry.state, entry.state, now, reason)

    def _add_event(self, entry_id: int, origin: EntryState | None, target: EntryState, now: float, reason: str) -> None:
        values = {"from_state": origin.value if origin else None, "to_state": target.value}
        self.execute("insert_event", entry_id=entry_id, now=now, **values, reason=reason)

    def end_attempt(
        self, attempt: Attempt, state: AttemptState, now: float, *, counts: bool, job_id: str | None = None
    ) -> bool:
        """End an attempt; returns whether it was still open.

        An attempt `counts` unless its entry is not to blame for its end: longer delays follow from the number.
        """
        if not self.execute("end_attempt", id=attempt.id, state=state.value, now=now, job_id=job_id):
            return False
        if counts:
            self.execute("count_attempt", id=attempt.entry_id)
        return True
