"""Queries of the ledger. None of them writes, so they work on a read-only connection, too."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from watcher.attention import DISMISSIBLE, NEEDS_ATTENTION
from watcher.ledger.connection import sqlite_errors
from watcher.ledger.queries import QUERIES
from watcher.ledger.rows import Change, Cleanup, Hold, to_attempt, to_cleanup, to_entry
from watcher.models import Attempt, AttemptState, Engine, Entry, EntryState, Output, OutputFormat

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable, Sequence

__all__ = ["LedgerReader", "as_json_ids"]

_STEM_START = 20
"""So many characters of a recording's name are kept in every name that its outputs can get."""


class LedgerReader:
    """Answers questions about entries, attempts, outputs, holds and roots.

    Args:
        connection: an open connection.
        file: the database, for messages.
    """

    def __init__(self, connection: sqlite3.Connection, file: Path) -> None:
        self._connection = connection
        self._file = file

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _rows(self, query: str, /, **values: object) -> list[sqlite3.Row]:
        with sqlite_errors(self._file):
            return self._connection.execute(QUERIES[query], values).fetchall()

    def _row(self, query: str, /, **values: object) -> sqlite3.Row | None:
        rows = self._rows(query, **values)
        return rows[0] if rows else None

    def _entry(self, query: str, /, **values: object) -> Entry | None:
        row = self._row(query, **values)
        return to_entry(row) if row else None

    def entry(self, entry_id: int) -> Entry:
        """Return the entry with this row number; KeyError if there is none."""
        found = self._entry("entry_by_id", id=entry_id)
        if found is None:
            raise KeyError(entry_id)
        return found

    def find(self, uid: str) -> Entry | None:
        """Return the entry with this opaque id."""
        return self._entry("entry_by_uid", uid=uid)

    def at_path(self, path: Path) -> Entry | None:
        """Return the current entry of the recording that was found at `path` in a watch folder."""
        return self._entry("entry_by_path", path=os.fsencode(path))

    def latest_at_path(self, path: Path) -> Entry | None:
        """Return the current entry of the recording at `path`, watched or requested: the one that changed last."""
        return self._entry("latest_at_path", path=os.fsencode(path))

    def requests_at_path(self, path: Path) -> list[Entry]:
        """Return the current entries of the recording at `path` that were requested, oldest first."""
        return [to_entry(row) for row in self._rows("requests_at_path", path=os.fsencode(path))]

    def once_at_path(self, path: Path) -> Entry | None:
        """Return the latest entry of a recording that was at `path`, superseded ones included. Reads all rows."""
        return self._entry("entry_once_at_path", path=os.fsencode(path))

    def of_output(self, path: Path) -> Entry | None:
        """Return the entry one of whose outputs is at `path`."""
        return self._entry("entry_by_output", path=os.fsencode(path))

    def is_output(self, path: Path) -> bool:
        """Whether Dropscribe wrote the file at `path`."""
        return self._row("is_output", path=os.fsencode(path)) is not None

    def known(self, sightings: Sequence[tuple[Path, int, int]]) -> list[bool]:
        """For each (path, size, mtime_ns): is this content in the ledger already?

        A recording that could not be read has no fingerprint and stays unknown, so that it is tried again.
        """
        answers = []
        for path, size, mtime_ns in sightings:
            row = self._row("seen", path=os.fsencode(path))
            same = row is not None and (row["size"], row["mtime_ns"]) == (size, mtime_ns)
            answers.append(bool(same and row is not None and row["sha256"]))
        return answers

    def same_content_elsewhere(self, found: Sequence[tuple[Path, str]]) -> list[list[Entry]]:
        """For each (path, sha256): the current entries with this content, if the path itself has no entry yet."""
        same_content = functools.cache(self.same_content)  # thousands of copies may come at once
        return [
            same_content(sha256) if sha256 and self._row("seen", path=os.fsencode(path)) is None else []
            for path, sha256 in found
        ]

    def same_content(self, sha256: str) -> list[Entry]:
        """Return the current entries with this content, oldest first."""
        return [to_entry(row) for row in self._rows("same_content", sha256=sha256)]

    def same_job(self, entry: Entry) -> list[Entry]:
        """Return entries of the same content and config, which one job does for: itself first, then DONE ones."""
        values = {"sha256": entry.fingerprint.sha256, "config_key": entry.config_key, "id": entry.id}
        return [to_entry(row) for row in self._rows("same_job", **values)]

    def twin_in_flight(self, entry: Entry) -> Entry | None:
        """Return the entry of the same content and config that `entry` waits for."""
        values = {"sha256": entry.fingerprint.sha256, "config_key": entry.config_key, "id": entry.id}
        return self._entry("twin_in_flight", **values)

    def next_due_at(self, now: float) -> float | None:
        """Return when the next waiting entry may be tried again, if later than `now`."""
        row = self._row("next_due_at", now=now)
        return row[0] if row else None

    def is_claimable(self, engine: Engine, root: Path, now: float) -> bool:
        """Whether an entry of this folder could be claimed for this engine."""
        return self._row("claimable", engine=engine.value, root=os.fsencode(root), now=now) is not None

    def is_request_awaited(
        self, engine: Engine, now: float, later: float, attempts: int, *, ids: Collection[int] | None = None
    ) -> bool:
        """Whether a requested entry could be claimed at `later`, or waits for its next try, of which it had fewer.

        Args:
            engine: where it goes.
            now: unix time.
            later: unix time at which submission continues.
            attempts: so many tries are too many.
            ids: only these entries; None: any.
        """
        chosen = as_json_ids(ids)
        claimable = self._row("claimable_requested", engine=engine.value, now=later, ids=chosen)
        retried = self._row("retried_requested", engine=engine.value, now=now, attempts=attempts, ids=chosen)
        return claimable is not None or retried is not None

    def is_retried(self, engine: Engine, root: Path, now: float, attempts: int) -> bool:
        """Whether an entry of this folder waits for its next try, of which it had some but fewer than this."""
        values = {"engine": engine.value, "root": os.fsencode(root), "now": now, "attempts": attempts}
        return self._row("retried", **values) is not None

    def due_to_publish(self, now: float, *, limit: int = 100) -> list[Entry]:
        """Return entries whose outputs can be written now, those that wait longest first."""
        return [to_entry(row) for row in self._rows("due_to_publish", now=now, limit=limit)]

    def next_publishing_at(self, now: float) -> float | None:
        """Return when outputs that could not be written are tried again, if later than `now`."""
        row = self._row("next_publishing_at", now=now)
        return row[0] if row else None

    def latest_attempt(self, entry_id: int) -> Attempt | None:
        """Return an entry's newest attempt."""
        row = self._row("latest_attempt", entry_id=entry_id)
        return to_attempt(row) if row else None

    def open_attempts(self, state: AttemptState) -> list[Attempt]:
        """Return the attempts that are PREPARED or ARMED."""
        return [to_attempt(row) for row in self._rows("open_attempts", state=state.value)]

    def unclear_outcomes(self, attempt: Attempt) -> int:
        """How many submissions of this content to this account had an unclear outcome and yielded no known job.

        Counted since the last retry that the user asked for.
        """
        sha256 = self.entry(attempt.entry_id).fingerprint.sha256
        row = self._row("count_unclear", sha256=sha256, account=attempt.account)
        return int(row[0]) if row else 0

    def in_state(self, state: EntryState, *, limit: int = 1000, offset: int = 0) -> list[Entry]:
        """Return entries in one state, oldest first, superseded ones included."""
        return [to_entry(row) for row in self._rows("entries_in_state", state=state.value, limit=limit, offset=offset)]

    def held_until(self, now: float) -> list[Entry]:
        """Return the HELD entries that are to be tried again by themselves at `now` or earlier."""
        return [to_entry(row) for row in self._rows("held_until", now=now)]

    def with_job(self, state: EntryState) -> list[Entry]:
        """Return entries in one state whose job may still give a transcript, oldest first."""
        return [to_entry(row) for row in self._rows("with_job", state=state.value)]

    def jobs_by_account(self) -> dict[str, int]:
        """How many entries have a job, or may have one, by account."""
        return {row["account"]: int(row["number"]) for row in self._rows("jobs_by_account")}

    def submitted_to(self, account: str) -> list[Entry]:
        """Return the entries whose jobs run at this account, oldest first."""
        return [to_entry(row) for row in self._rows("submitted_to", account=account)]

    def submitted_elsewhere(self, accounts: Sequence[str]) -> list[Entry]:
        """Return the entries that have a job, or may have one, at an account that is none of these."""
        names = msgspec.json.encode(list(accounts)).decode()
        return [to_entry(row) for row in self._rows("submitted_elsewhere", accounts=names)]

    def counts(self, *, since: float = 0.0) -> dict[EntryState, int]:
        """How many current entries there are in each state, of those that came into it since this unix time."""
        rows = self._rows("count_since", since=since) if since else self._rows("count_by_state")
        found = {EntryState(row["state"]): int(row["number"]) for row in rows}
        return {state: found.get(state, 0) for state in EntryState}

    def count_attention(self) -> dict[EntryState, int]:
        """How many current entries need attention, by state; see `watcher.attention`."""
        rows = self._rows("count_attention", states=_as_json(NEEDS_ATTENTION))
        return {EntryState(row["state"]): int(row["number"]) for row in rows}

    def dismissible(self) -> list[Entry]:
        """Return the entries whose failure can be dismissed, oldest first."""
        return [to_entry(row) for row in self._rows("dismissible", states=_as_json(DISMISSIBLE))]

    def count_in_flight(self, engine: Engine) -> int:
        """How many entries of an engine may have a running job."""
        row = self._row("count_in_flight", engine=engine.value)
        return int(row[0]) if row else 0

    def entries(
        self,
        *,
        state: EntryState | None = None,
        attention: bool = False,
        root: Path | None = None,
        search: str | None = None,
        before: tuple[float, int] | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """Return a page of current entries, latest change first.

        Args:
            state: only this state.
            attention: only what needs attention; see `watcher.attention`.
            root: only this watch folder.
            search: only names that contain this text (case-insensitive for ASCII).
            before: `(changed_at, id)` of the last entry of the page before.
            limit: how many at the most.
        """
        text = None
        if search:
            escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            text = f"%{escaped}%"
        states = frozenset({state}) if state else None
        if attention:
            states = NEEDS_ATTENTION & states if states else NEEDS_ATTENTION
        rows = self._rows(
            "list_entries",
            states=_as_json(states) if states is not None else None,
            dismissed=not attention,
            root=os.fsencode(root) if root else None,
            search=text,
            before_at=before[0] if before else None,
            before_id=before[1] if before else None,
            limit=limit,
        )
        return [to_entry(row) for row in rows]

    def history(self, entry_id: int) -> list[Change]:
        """Return every move of an entry, oldest first."""
        return [
            Change(
                row["at"],
                EntryState(row["from_state"]) if row["from_state"] else None,
                EntryState(row["to_state"]),
                row["reason"],
            )
            for row in self._rows("history", entry_id=entry_id)
        ]

    def outputs(self, entry_id: int) -> tuple[Output, ...]:
        """Return the files that an entry's transcript was written to."""
        return tuple(
            Output(Path(os.fsdecode(row["path"])), OutputFormat(row["format"]), row["sha256"])
            for row in self._rows("outputs", entry_id=entry_id)
        )

    def claimed_outputs(self, entry_id: int, folder: Path, stem: str) -> list[Path]:
        """Return the outputs of other entries in `folder` whose names begin like `stem`."""
        low = os.fsencode(folder / stem[:_STEM_START])
        rows = self._rows("claimed_outputs", low=low, high=low + b"\xff", entry_id=entry_id)
        return [Path(os.fsdecode(row["path"])) for row in rows]

    def due_cleanups(self, now: float, *, kind: str | None = None, limit: int = 100) -> list[Cleanup]:
        """Return what is left to do and can be tried now, what waits longest first."""
        return [to_cleanup(row) for row in self._rows("due_cleanups", now=now, kind=kind, limit=limit)]

    def cleanups(self, entry_id: int) -> list[Cleanup]:
        """Return what is left to do for an entry."""
        return [to_cleanup(row) for row in self._rows("cleanups", entry_id=entry_id)]

    def orphaned_jobs(self, entry: Entry, account: str) -> list[Cleanup]:
        """Return the orphaned jobs at this account that `entry` could adopt, oldest first."""
        values = {"sha256": entry.fingerprint.sha256, "config_key": entry.config_key, "account": account}
        return [to_cleanup(row) for row in self._rows("orphaned_jobs", **values)]

    def next_cleanup_at(self, now: float) -> float | None:
        """Return when a cleanup that failed is tried again, if later than `now`."""
        row = self._row("next_cleanup_at", now=now)
        return row[0] if row else None

    def salt(self) -> bytes:
        """Return what digests of API keys are made with: random, and of this ledger alone."""
        row = self._row("salt")
        return bytes(row[0]) if row else b""

    def holds(self, now: float) -> list[Hold]:
        """Return the holds in force at `now`, oldest first."""
        found = [Hold(r["name"], r["since"], r["until"], r["reason"], r["fix"]) for r in self._rows("holds")]
        return [hold for hold in found if hold.until is None or hold.until > now]

    def is_new_root(self, path: Path) -> bool:
        """Whether the first scan of this watch folder has never been completed."""
        row = self._row("root", path=os.fsencode(path))
        return row is None or not row["baseline"]


def as_json_ids(ids: Collection[int] | None) -> str | None:
    """Row numbers as a query takes them."""
    return None if ids is None else msgspec.json.encode(sorted(ids)).decode()


def _as_json(states: Iterable[EntryState]) -> str:
    return msgspec.json.encode(sorted(state.value for state in states)).decode()
