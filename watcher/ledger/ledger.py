"""The ledger: every recording that was found, and what became of it. The one writer.

Every move of an entry is one transaction, and leaves one row in `events`.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from watcher.ledger.connection import check_integrity, connect, connect_readonly, sqlite_errors
from watcher.ledger.migrate import migrate
from watcher.ledger.queries import QUERIES
from watcher.ledger.reader import LedgerReader
from watcher.ledger.rows import NewEntry, config_key, display_name, from_new
from watcher.ledger.transitions import IllegalMove, check_move
from watcher.models import AttemptState, Entry, EntryState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from watcher.models import Attempt, Engine, Output, OutputFormat

    NewSettings = tuple[Engine, dict[str, Any], tuple[OutputFormat, ...]]

__all__ = ["Ledger", "open_ledger", "open_readonly"]

_S = EntryState


def open_ledger(file: Path, *, backups: Path, checkpoint: Callable[[str], None] | None = None) -> Ledger:
    """Open the ledger for the daemon; make it where there is none, migrate it where it is older.

    Args:
        file: the database.
        backups: where copies from before a migration go.
        checkpoint: called with a name around each commit; tests stop the process there.

    Raises:
        LedgerTooNew: a newer version wrote it.
        LedgerDamaged: it fails SQLite's check; it is left as it is.
    """
    connection = connect(file)
    try:
        check_integrity(connection, file)
        migrate(connection, file, backups)
    except BaseException:
        connection.close()
        raise
    return Ledger(connection, file, checkpoint=checkpoint)


def open_readonly(file: Path) -> LedgerReader:
    """Open the ledger just for reading, with or without a daemon running."""
    return LedgerReader(connect_readonly(file), file)


class Ledger(LedgerReader):
    """Reads and moves entries. Use it from one thread at a time."""

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

    def _execute(self, query: str, /, **values: object) -> int:
        return self._connection.execute(QUERIES[query], values).rowcount

    def _move(
        self,
        entry: Entry,
        target: EntryState,
        now: float,
        *,
        reason: str = "",
        fix: str = "",
        next_attempt_at: float = 0.0,
        by_person: bool = False,
    ) -> None:
        check_move(entry.state, target, by_person=by_person)
        values = {"id": entry.id, "from_state": entry.state.value, "to_state": target.value, "now": now}
        moved = self._execute("move", **values, reason=reason, fix=fix, next_attempt_at=next_attempt_at)
        if not moved:
            raise IllegalMove(f"{entry.path} is not {entry.state} any more.")
        self._event(entry.id, entry.state, target, now, reason)

    def _event(self, entry_id: int, origin: EntryState | None, target: EntryState, now: float, reason: str) -> None:
        origin_name = origin.value if origin else None
        values = {"entry_id": entry_id, "now": now, "from_state": origin_name, "to_state": target.value}
        self._execute("insert_event", **values, reason=reason)
        self._moved[entry_id] = None

    # What was found

    def add(self, found: Sequence[NewEntry], *, now: float) -> list[tuple[Entry, bool]]:
        """Add recordings, in one transaction. Content that its path's entry already has is not added again.

        Returns:
            For each, its entry and whether it is new.
        """
        with self._transaction("add"):
            return [self._add(new, now) for new in found]

    def _add(self, new: NewEntry, now: float) -> tuple[Entry, bool]:
        present = self.at_path(new.path)
        same = present is not None and present.fingerprint.sha256 == new.fingerprint.sha256
        if present and same and (new.fingerprint.sha256 or present.reason == new.reason):
            # Without a digest (it could not be read), the same complaint is not written down twice.
            size, mtime_ns = new.fingerprint.size, new.fingerprint.mtime_ns
            self._execute("touch", id=present.id, size=size, mtime_ns=mtime_ns)
            return self.entry(present.id), False
        if present:
            self._supersede(present, now)
        uid = secrets.token_urlsafe(12)
        cursor = self._connection.execute(QUERIES["insert_entry"], {**from_new(new), "uid": uid, "now": now})
        entry_id = int(cursor.lastrowid or 0)
        self._event(entry_id, None, new.state, now, new.reason)
        return self.entry(entry_id), True

    def _supersede(self, entry: Entry, now: float) -> None:
        """Other content took the entry's path. A job that may be running is still seen to its end."""
        if entry.state is _S.WAITING:
            self._move(entry, _S.CANCELLED, now, reason="Other content took its place before it was submitted.")
        self._execute("supersede", id=entry.id, now=now)

    def relocate(self, entry_id: int, *, root: Path, path: Path, size: int, mtime_ns: int, now: float) -> Entry:
        """The recording was renamed or moved: its entry follows."""
        with self._transaction("relocate"):
            entry = self.entry(entry_id)
            if (there := self.at_path(path)) and there.id != entry_id:
                self._supersede(there, now)
            places = {"root": os.fsencode(root), "path": os.fsencode(path), "name": display_name(path)}
            self._execute("relocate", id=entry_id, size=size, mtime_ns=mtime_ns, **places)
            self._event(entry_id, entry.state, entry.state, now, f"Moved from {display_name(entry.path)}.")
            return self.entry(entry_id)

    # Submitting

    def claim(
        self,
        engine: Engine,
        root: Path,
        *,
        account: str,
        reference: str,
        now: float,
        stored: Callable[[str], bool],
        newest_first: bool = False,
    ) -> tuple[Entry, Attempt | None] | None:
        """Take the next waiting entry of a folder.

        It becomes SUBMITTING with a prepared attempt; or TRANSCRIBED, with no attempt, where the transcript of
        the same content and config is stored already. An entry is passed over while another of the same
        content and config has a job, or may have one.

        Args:
            engine: of the folder.
            root: the folder.
            account: where the job would go.
            reference: a fresh one for the attempt.
            now: unix time.
            stored: says whether the transcript of the entry with this uid is stored.
            newest_first: take the newest recording instead of the oldest.
        """
        with self._transaction("claim"):
            query = "claimable_newest" if newest_first else "claimable"
            entry = self._entry(query, engine=engine.value, root=os.fsencode(root), now=now)
            if entry is None:
                return None
            twin = self.transcript_twin(entry)
            if twin and stored(twin.uid):
                self._move(entry, _S.TRANSCRIBED, now, reason=f"Same content as {display_name(twin.path)}.")
                self._execute("note_copy", id=entry.id, copy_of=twin.id)
                return self.entry(entry.id), None
            self._move(entry, _S.SUBMITTING, now)
            self._execute("start_attempt", entry_id=entry.id, reference=reference, account=account, now=now)
            self._execute("note_attempt", entry_id=entry.id, reference=reference, account=account)
            return self.entry(entry.id), self.latest_attempt(entry.id)

    def arm(self, attempt: Attempt, *, now: float) -> None:
        """From here on a job may exist: commit that before the tail of the upload is sent."""
        with self._transaction("arm"):
            if not self._execute("arm_attempt", id=attempt.id, now=now):
                raise IllegalMove(f"Attempt {attempt.reference} is not PREPARED any more.")

    def accept(self, attempt: Attempt, job_id: str, *, now: float, reason: str = "") -> Entry:
        """The service has the job: SUBMITTING (or HELD) → SUBMITTED."""
        with self._transaction("accept"):
            entry = self.entry(attempt.entry_id)
            self._end(attempt, AttemptState.ACCEPTED, now, job_id)
            self._execute("note_job", id=entry.id, job_id=job_id, now=now)
            self._move(entry, _S.SUBMITTED, now, reason=reason)
            return self.entry(entry.id)

    def give_back(
        self,
        attempt: Attempt,
        ended: AttemptState,
        *,
        now: float,
        next_attempt_at: float,
        reason: str,
        fix: str = "",
        counts: bool = True,
    ) -> Entry:
        """No job exists: SUBMITTING → WAITING, to be tried again from `next_attempt_at` on.

        Args:
            attempt: the one that ended.
            ended: REFUSED, ABSENT or DROPPED.
            now: unix time.
            next_attempt_at: unix time.
            reason: why, in words for a person.
            fix: what the person can do, if anything.
            counts: False where it was no fault of the recording's, such as being offline.
        """
        with self._transaction("give back"):
            entry = self.entry(attempt.entry_id)
            self._end(attempt, ended, now, None)
            self._move(entry, _S.WAITING, now, reason=reason, fix=fix, next_attempt_at=next_attempt_at)
            if not counts:
                self._execute("uncount", id=entry.id)
            return self.entry(entry.id)

    def _end(self, attempt: Attempt, state: AttemptState, now: float, job_id: str | None) -> None:
        self._execute("end_attempt", id=attempt.id, state=state.value, now=now, job_id=job_id)

    # After the job

    def end(
        self,
        entry: Entry,
        target: EntryState,
        *,
        now: float,
        reason: str,
        fix: str = "",
        ended: AttemptState | None = None,
        by_person: bool = False,
        gone: bool = False,
    ) -> Entry:
        """Move an entry to FAILED, HELD, SKIPPED or CANCELLED, with a reason that a person can act on.

        Args:
            entry: as it was read last.
            target: the state.
            now: unix time.
            reason: why.
            fix: what the person can do.
            ended: what became of its open attempt, if it has one; an ARMED one stays so unless it is said.
            by_person: whether a person asked for it.
            gone: whether the recording is not at its path any more: whatever comes there next is new.
        """
        with self._transaction(f"end {target.value}"):
            attempt = self.latest_attempt(entry.id)
            if ended and attempt:
                self._end(attempt, ended, now, None)
            self._move(entry, target, now, reason=reason, fix=fix, by_person=by_person)
            if gone:
                self._execute("supersede", id=entry.id, now=now)
            return self.entry(entry.id)

    def transcribed(self, entry: Entry, *, now: float) -> Entry:
        """The transcript is stored safely: SUBMITTED → TRANSCRIBED."""
        with self._transaction("transcribed"):
            self._move(entry, _S.TRANSCRIBED, now)
            return self.entry(entry.id)

    def annotate(self, entry: Entry, *, reason: str, fix: str = "", next_attempt_at: float = 0.0) -> None:
        """Say why an entry stays in its state for now; no move, so no event."""
        with self._transaction("annotate"):
            values = {"reason": reason, "fix": fix, "next_attempt_at": next_attempt_at}
            self._execute("annotate", id=entry.id, state=entry.state.value, **values)

    def fetch_again(self, entry: Entry, *, now: float, reason: str) -> Entry:
        """What was stored is damaged: TRANSCRIBED → SUBMITTED, to be fetched from the job once more."""
        with self._transaction("fetch again"):
            self._move(entry, _S.SUBMITTED, now, reason=reason)
            return self.entry(entry.id)

    def done(self, entry: Entry, outputs: Sequence[Output], *, now: float) -> Entry:
        """Every output is on disk: TRANSCRIBED → DONE."""
        with self._transaction("done"):
            self._put_outputs(entry.id, outputs)
            self._move(entry, _S.DONE, now, reason=entry.reason if entry.copy_of else "")
            return self.entry(entry.id)

    def moved_outputs(self, entry_id: int, outputs: Sequence[Output]) -> None:
        """Outputs followed their recording: remember where they are now."""
        with self._transaction("moved outputs"):
            self._put_outputs(entry_id, outputs)

    def _put_outputs(self, entry_id: int, outputs: Sequence[Output]) -> None:
        for output in outputs:
            path = os.fsencode(output.path)
            values = {"format": output.format.value, "path": path, "sha256": output.sha256}
            self._execute("put_output", entry_id=entry_id, **values)

    # A person's word

    def retry(self, entry: Entry, *, now: float, reason: str, again: NewSettings | None = None) -> Entry:
        """FAILED, SKIPPED, CANCELLED or HELD → WAITING; DONE → TRANSCRIBED, which publishes what is stored.

        Args:
            entry: as it was read last.
            now: unix time.
            reason: who asked, in words.
            again: settings of its folder as they are now; None keeps those it was added with.
        """
        with self._transaction("retry"):
            target = _S.TRANSCRIBED if entry.state is _S.DONE else _S.WAITING
            attempt = self.latest_attempt(entry.id)
            if attempt and target is _S.WAITING:
                self._end(attempt, AttemptState.DROPPED, now, None)
            if again and target is _S.WAITING:
                self._reconfigure(entry, again)
            self._execute("forgive", id=entry.id)
            self._move(entry, target, now, reason=reason, by_person=True)
            return self.entry(entry.id)

    def _reconfigure(self, entry: Entry, again: NewSettings) -> None:
        engine, config, formats = again
        self._execute(
            "reconfigure",
            id=entry.id,
            engine=engine.value,
            config=msgspec.json.encode(config).decode(),
            config_key=config_key(engine, config),
            formats=" ".join(formats),
        )

    def hold(self, name: str, *, now: float, reason: str, fix: str = "", until: float | None = None) -> None:
        """Stop submission, or say anew why it is stopped."""
        with self._transaction("hold"):
            self._execute("put_hold", name=name, now=now, until=until, reason=reason, fix=fix)

    def unhold(self, name: str) -> bool:
        """Let submission go on; returns whether that hold was there."""
        with self._transaction("unhold"):
            return self._execute("drop_hold", name=name) > 0

    # Watch folders

    def watch_root(self, path: Path, *, now: float) -> None:
        """Remember that this folder is watched."""
        with self._transaction("watch root"):
            self._execute("put_root", path=os.fsencode(path), now=now)

    def finish_baseline(self, path: Path) -> None:
        """The first scan of this folder is complete: what comes from now on is new."""
        with self._transaction("finish baseline"):
            self._execute("finish_baseline", path=os.fsencode(path))
