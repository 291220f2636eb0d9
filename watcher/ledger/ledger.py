"""The ledger: every recording that was found, and what became of it. The one writer.

Every move of an entry is one transaction, and leaves one row in `events`.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from watcher.attention import DISMISSIBLE
from watcher.errors import LedgerError
from watcher.ledger.connection import check_integrity, connect, connect_readonly, make_durable, no_ledger
from watcher.ledger.create import create_if_missing, refuse_if_used
from watcher.ledger.migrate import VERSION, check_version, migrate
from watcher.ledger.reader import LedgerReader
from watcher.ledger.rows import JobOutcome, NewEntry, as_text, config_key, display_name, from_new, to_entry
from watcher.ledger.submitting import REPLACED, Submitting
from watcher.ledger.transitions import IllegalMove
from watcher.models import AttemptState, Entry, EntryState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence
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
        checkpoint: called with a name around each step and commit; tests stop the process there.

    Raises:
        LedgerTooNew: a newer version wrote it.
        LedgerDamaged: it fails SQLite's check, or is empty although it was used; it is left as it is.
        OutputError: the disk is full or can't be written to; the next start goes on.
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


class Ledger(Submitting):
    """Reads and moves entries. Use it from one thread at a time."""

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
        if present and same and (new.fingerprint.sha256 or present.reason == as_text(new.reason)):
            # Without a digest (it could not be read), the same complaint is not written down twice.
            size, mtime_ns = new.fingerprint.size, new.fingerprint.mtime_ns
            self._execute("touch", id=present.id, size=size, mtime_ns=mtime_ns)
            return self.entry(present.id), False
        if present:
            self._supersede(present, now)
        return self._insert(new, now), True

    def _insert(self, new: NewEntry, now: float) -> Entry:
        uid = secrets.token_urlsafe(12)
        entry_id = int(self._run("insert_entry", **from_new(new), uid=uid, now=now).lastrowid or 0)
        self._event(entry_id, None, new.state, now, new.reason)
        return self.entry(entry_id)

    def request(self, new: NewEntry, *, now: float) -> tuple[Entry, bool]:
        """Add a recording that belongs to no watch folder, or take up the entry of the same request.

        The same request is one for the same content at the same path, with the same settings and target. One that has
        ended is tried again, at no cost where that is possible; one that is HELD stays so, since it may cost again.

        Returns:
            The entry, and whether it was DONE before.
        """
        with self._transaction("request"):
            same = None
            for old in self.requests_at_path(new.path):
                if old.fingerprint.sha256 != new.fingerprint.sha256:
                    self._supersede(old, now)
                elif _asks_for(old) == (config_key(new.engine, new.config), new.formats, new.target):
                    same = old
            if same is None:
                return self._insert(new, now), False
            size, mtime_ns = new.fingerprint.size, new.fingerprint.mtime_ns
            self._execute("touch", id=same.id, size=size, mtime_ns=mtime_ns)
            if same.state.is_settled:
                self._retry(same, now, reason=new.reason)
            elif same.state in {_S.WAITING, _S.TRANSCRIBED}:
                values = {"reason": new.reason, "fix": "", "next_attempt_at": 0.0}
                self._execute("annotate", id=same.id, state=same.state.value, **values)
                self._execute("reset_attempts", id=same.id)
            return self.entry(same.id), same.state is _S.DONE

    def _supersede(self, entry: Entry, now: float) -> None:
        """Other content took the entry's path. A job that may be running is still seen to its end."""
        if entry.state is _S.WAITING:
            self._move(entry, _S.CANCELLED, now, reason=REPLACED)
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

    def look_again(self, entry: Entry, *, now: float, reason: str) -> Entry:
        """A recording that could not be read or looked into is to be found again by a scan, as if it were new."""
        with self._transaction("look again"):
            self._note(entry, now, reason)
            self._execute("supersede", id=entry.id, now=now)
            return self.entry(entry.id)

    # After the job

    def fail(
        self, entry: Entry, *, now: float, reason: str, fix: str = "", job: JobOutcome = JobOutcome.UNDECIDED
    ) -> Entry:
        """The recording can't be transcribed: → FAILED.

        Args:
            entry: as it was read last.
            now: unix time.
            reason: why, in words for the user.
            fix: what the user can do.
            job: what is known about the entry's job.
        """
        with self._transaction("fail"):
            return self._end(entry, _S.FAILED, now, reason, fix=fix, job=job)

    def hold(
        self,
        entry: Entry,
        *,
        now: float,
        reason: str,
        fix: str = "",
        job: JobOutcome = JobOutcome.UNDECIDED,
        retry_at: float = 0.0,
    ) -> Entry:
        """Going on could cost money or lose something: → HELD until the user decides, or until `retry_at`.

        Args:
            entry: as it was read last.
            now: unix time.
            reason: why, in words for the user.
            fix: what the user can do.
            job: what is known about the entry's job.
            retry_at: unix time at which Dropscribe tries again by itself; 0 leaves it to the user.
        """
        with self._transaction("hold"):
            return self._end(entry, _S.HELD, now, reason, fix=fix, job=job, retry_at=retry_at)

    def withdraw(self, entry: Entry, *, now: float, reason: str) -> Entry:
        """The recording left its path, or its folder excludes it now, and no job exists: → CANCELLED.

        The entry gives up its path: whatever is found there next is a new recording.
        """
        with self._transaction("withdraw"):
            self._end(entry, _S.CANCELLED, now, reason, job=JobOutcome.NOT_CREATED)
            self._execute("supersede", id=entry.id, now=now)
            return self.entry(entry.id)

    def discard(self, entry: Entry, *, now: float, reason: str) -> Entry:
        """Other content took the recording's place, so its transcript is not written: TRANSCRIBED → CANCELLED."""
        with self._transaction("discard"):
            return self._end(entry, _S.CANCELLED, now, reason, job=JobOutcome.UNDECIDED)

    def _end(
        self,
        entry: Entry,
        target: EntryState,
        now: float,
        reason: str,
        *,
        job: JobOutcome,
        fix: str = "",
        retry_at: float = 0.0,
    ) -> Entry:
        if job is JobOutcome.NOT_CREATED and (attempt := self.latest_attempt(entry.id)):
            self._end_attempt(attempt, AttemptState.REFUSED, now)
        self._move(entry, target, now, reason=reason, fix=fix, next_attempt_at=retry_at)
        if job is JobOutcome.NO_TRANSCRIPT:
            self._execute("forget_job", id=entry.id, job_id=None)
        return self.entry(entry.id)

    def transcribed(self, entry: Entry, *, now: float, delete_job: bool = False) -> Entry:
        """The transcript is stored safely, under the entry's own uid: SUBMITTED → TRANSCRIBED.

        Args:
            entry: as it was read last.
            now: unix time.
            delete_job: whether its job is now to be deleted at the service.
        """
        with self._transaction("transcribed"):
            self._move(entry, _S.TRANSCRIBED, now)
            if delete_job and entry.job_id:
                values = {"account": entry.account, "key": entry.key_digest}
                self._delete_job_later(entry, entry.job_id, now, **values, is_wanted=False)
            self._execute("note_copy", id=entry.id, copy_of=None)
            return self.entry(entry.id)

    def annotate(self, entry: Entry, *, reason: str, fix: str = "", next_attempt_at: float = 0.0) -> None:
        """Say why an entry stays in its state for now; no move, so no event."""
        with self._transaction("annotate"):
            values = {"reason": reason, "fix": fix, "next_attempt_at": next_attempt_at}
            self._execute("annotate", id=entry.id, state=entry.state.value, **values)

    def fetch_again(self, entry: Entry, owner: Entry, *, now: float, reason: str) -> Entry:
        """What is stored doesn't do: TRANSCRIBED → SUBMITTED, to be fetched from the job of `owner` at no cost.

        That job is kept at the service until then; `owner` is the entry itself, or the one it is a copy of.
        """
        with self._transaction("fetch again"):
            self._move(entry, _S.SUBMITTED, now, reason=reason)
            values = {"job_id": owner.job_id, "account": owner.account, "key_digest": owner.key_digest}
            self._execute("note_job", id=entry.id, **values, now=now)
            self._execute("drop_cleanup", entry_id=owner.id, kind="job", what=owner.job_id)
            return self.entry(entry.id)

    def try_again(self, entry: Entry, *, now: float, reason: str) -> Entry:
        """What was HELD because Dropscribe itself failed is tried again: HELD → WAITING. No job of it exists."""
        with self._transaction("try again"):
            self._move(entry, _S.WAITING, now, reason=reason)
            return self.entry(entry.id)

    def track_again(self, entry: Entry, *, now: float, reason: str) -> Entry:
        """Its job can be asked for again: HELD → SUBMITTED."""
        with self._transaction("track again"):
            self._move(entry, _S.SUBMITTED, now, reason=reason)
            return self.entry(entry.id)

    def done(self, entry: Entry, outputs: Sequence[Output], *, now: float, after: str = "keep") -> Entry:
        """Every output is on disk: TRANSCRIBED → DONE.

        Args:
            entry: as it was read last.
            outputs: what was written.
            now: unix time.
            after: what is now to be done with the recording.
        """
        with self._transaction("done"):
            self._put_outputs(entry.id, outputs)
            if after != "keep":
                self._dispose_later(entry, after, now)
            self._move(entry, _S.DONE, now, reason=entry.reason if entry.copy_of else "")
            return self.entry(entry.id)

    def record_outputs(self, entry_id: int, outputs: Sequence[Output]) -> None:
        """Outputs followed their recording: remember where they are now."""
        with self._transaction("record outputs"):
            self._put_outputs(entry_id, outputs)

    def _put_outputs(self, entry_id: int, outputs: Sequence[Output]) -> None:
        for output in outputs:
            path = os.fsencode(output.path)
            values = {"format": output.format.value, "path": path, "sha256": output.sha256}
            self._execute("put_output", entry_id=entry_id, **values)

    # User requests

    def cancel(self, entry: Entry, *, now: float, reason: str) -> Entry:
        """The user gives the recording up: → CANCELLED. Its job is deleted at the service as soon as possible.

        An upload that may have made a job stays ARMED: the job is looked for, and then deleted.
        """
        with self._transaction("cancel"):
            self._move(entry, _S.CANCELLED, now, reason=reason, user_request=True)
            self._abandon_job(entry, now, is_wanted=True)
            return self.entry(entry.id)

    def retry(
        self, entry: Entry, *, now: float, reason: str, again: NewSettings | None = None, resume: bool = False
    ) -> Entry:
        """Try an ended or held entry again, at no cost where that is possible.

        DONE → TRANSCRIBED, which publishes what is stored. HELD, with a job that can be asked: → SUBMITTED. CANCELLED
        while a job may exist: → SUBMITTING, which looks for it. All else: → WAITING; what was HELD is then submitted
        anew, and what was CANCELLED asks first for the job that it had.

        Args:
            entry: as it was read last.
            now: unix time.
            reason: who asked, in words.
            again: settings of its folder as they are now; None keeps those it was added with.
            resume: whether the job that it has, if any, can be asked now.

        Raises:
            IllegalMove: it is at work already, or not at its path any more.
        """
        with self._transaction("retry"):
            self._retry(entry, now, reason=reason, again=again, resume=resume)
            return self.entry(entry.id)

    def _retry(
        self, entry: Entry, now: float, *, reason: str, again: NewSettings | None = None, resume: bool = False
    ) -> None:
        attempt = self.latest_attempt(entry.id)
        target = _target_of_retry(entry, attempt, resume=resume)
        if target is _S.WAITING and not entry.current:
            raise IllegalMove(f"{entry.path} is not what it was: what is there now has an entry of its own.")
        if attempt and target is _S.WAITING:
            self._end_attempt(attempt, AttemptState.DROPPED, now)
        self._move(entry, target, now, reason=reason, user_request=True)
        if target is _S.WAITING:
            self._abandon_job(entry, now, is_wanted=entry.state is not _S.HELD)
        if again and target is _S.WAITING:
            self._reconfigure(entry, again)
        self._execute("reset_attempts", id=entry.id)
        self._execute("reset_unclear", sha256=entry.fingerprint.sha256)

    def dismiss(self, entry: Entry | None = None, *, now: float) -> list[Entry]:
        """Stop asking for attention for a failed entry, or for all of them; returns those that changed.

        It is no move: the entry stays FAILED, and the next move clears `dismissed_at`.

        Raises:
            IllegalMove: this entry has not failed.
        """
        if entry and entry.state not in DISMISSIBLE:
            decide = "retry it or cancel it" if entry.state is _S.HELD else "only failed recordings can be dismissed"
            raise IllegalMove(f"{display_name(entry.path)} is {entry.state.lower()}: {decide}.")
        with self._transaction("dismiss"):
            found = [entry] if entry else self.dismissible()
            changed = [e for e in found if self._execute("dismiss", id=e.id, state=e.state.value, now=now)]
            for each in changed:
                self._note(each, now, "You dismissed it.")
            return [self.entry(each.id) for each in changed]

    def _abandon_job(self, entry: Entry, now: float, *, is_wanted: bool) -> None:
        """Nobody waits for the job of an entry any more, if it has one."""
        if entry.job_id:
            values = {"account": entry.account, "key": entry.key_digest}
            self._delete_job_later(entry, entry.job_id, now, **values, is_wanted=is_wanted)
            self._execute("forget_job", id=entry.id, job_id=None)

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

    # What the config says now

    def follow_engine(self, root: Path, engine: Engine) -> int:
        """Let a folder's waiting entries go where the folder goes now; returns how many had to change."""
        values = {"root": os.fsencode(root), "engine": engine.value}
        if not self._rows("waiting_with_other_engine", **values):
            return 0
        with self._transaction("follow engine"):
            rows = self._rows("waiting_with_other_engine", **values)
            for row in rows:
                key = config_key(engine, msgspec.json.decode(row["config"]))
                self._execute("change_engine", id=row["id"], engine=engine.value, config_key=key)
            return len(rows)

    def cancel_unwatched(self, roots: Collection[Path], *, now: float, limit: int = 500) -> int:
        """Cancel waiting entries of folders that are not watched any more; returns how many (at most `limit`).

        Should such a folder be watched again, what is in it is found anew.
        """
        hexed = msgspec.json.encode([os.fsencode(root).hex().upper() for root in roots]).decode()
        found = [to_entry(row) for row in self._rows("waiting_elsewhere", roots=hexed, limit=limit)]
        if not found:
            return 0
        with self._transaction("cancel unwatched"):
            for entry in found:
                self._move(entry, _S.CANCELLED, now, reason="Its folder is not watched any more.")
                self._execute("supersede", id=entry.id, now=now)
            return len(found)


def _asks_for(entry: Entry) -> tuple[str, tuple[OutputFormat, ...], Path | None]:
    return entry.config_key, entry.formats, entry.target


def _target_of_retry(entry: Entry, attempt: Attempt | None, *, resume: bool) -> EntryState:
    if entry.state is _S.DONE:
        return _S.TRANSCRIBED
    if entry.state is _S.CANCELLED and attempt and attempt.state is AttemptState.ARMED:
        return _S.SUBMITTING
    if resume and entry.job_id and entry.state is _S.HELD:
        return _S.SUBMITTED
    return _S.WAITING
