"""Between rows of the ledger and the models of the program."""

from __future__ import annotations

import enum
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from watcher.models import (
    Attempt,
    AttemptState,
    Engine,
    Entry,
    EntryKind,
    EntryState,
    Fingerprint,
    MediaInfo,
    OutputFormat,
)

if TYPE_CHECKING:
    import sqlite3

__all__ = [
    "Change",
    "Cleanup",
    "Hold",
    "JobOutcome",
    "NewEntry",
    "as_text",
    "config_key",
    "display_name",
    "from_new",
    "to_attempt",
    "to_cleanup",
    "to_entry",
]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A recording that is to enter the ledger. `state` is WAITING, or SKIPPED or FAILED with a reason.

    `target` is the folder that the outputs of a requested one go to.
    """

    root: Path
    path: Path
    fingerprint: Fingerprint
    engine: Engine
    config: dict[str, Any]
    formats: tuple[OutputFormat, ...]
    media: MediaInfo | None = None
    state: EntryState = EntryState.WAITING
    reason: str = ""
    fix: str = ""
    kind: EntryKind = EntryKind.WATCHED
    target: Path | None = None


class JobOutcome(enum.StrEnum):
    """What is known about the job of an entry that fails or is held.

    UNDECIDED: it exists or may exist, and may still give a transcript. NOT_CREATED: the upload made no job.
    NO_TRANSCRIPT: it gives no transcript (any more), so a retry submits the recording again.
    """

    UNDECIDED = "UNDECIDED"
    NOT_CREATED = "NOT_CREATED"
    NO_TRANSCRIPT = "NO_TRANSCRIPT"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of an entry's history."""

    at: float
    origin: EntryState | None
    target: EntryState
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Why submission is stopped for now. `name` is e.g. `pause`, `disk` or `key:ACCOUNT`."""

    name: str
    since: float
    until: float | None
    reason: str
    fix: str = field(default="")


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Something left to do for an entry, as soon as it is possible.

    Attributes:
        entry_id: the entry's row number.
        kind: `job`: delete a job at the service; `source`: dispose of the recording as `after` says.
        what: the job's id, or `after`.
        path: `source`: where the recording was. None for a job.
        account: `job`: where the job is. None for a recording.
        key_digest: `job`: of the API key that it was submitted with; None if that is not known.
        since: unix time at which it was left.
        tries: how often it failed.
        reason: why it failed last.
    """

    entry_id: int
    kind: Literal["job", "source"]
    what: str
    path: Path | None
    account: str | None
    key_digest: str | None
    since: float
    tries: int
    reason: str


def config_key(engine: Engine, config: dict[str, Any]) -> str:
    """Digest engine and `transcription_config`: entries with equal content and key share one transcript."""
    canonical = msgspec.json.encode([engine.value, config], order="deterministic")
    return hashlib.sha256(canonical).hexdigest()[:32]


def display_name(path: Path) -> str:
    """The file's name as text, whatever its bytes."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def as_text(text: str) -> str:
    """A text as UTF-8 can hold it: what stands for undecodable bytes of a file name is replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def to_entry(row: sqlite3.Row) -> Entry:
    """Make the model of a row of `entries`."""
    media = msgspec.json.decode(row["media"], type=MediaInfo) if row["media"] else None
    return Entry(
        id=row["id"],
        uid=row["uid"],
        root=Path(os.fsdecode(row["root"])),
        path=Path(os.fsdecode(row["path"])),
        state=EntryState(row["state"]),
        fingerprint=Fingerprint(row["size"], row["mtime_ns"], row["sha256"]),
        engine=Engine(row["engine"]),
        config=msgspec.json.decode(row["config"]),
        config_key=row["config_key"],
        formats=tuple(OutputFormat(name) for name in row["formats"].split()),
        added_at=row["added_at"],
        changed_at=row["changed_at"],
        current=bool(row["current"]),
        media=media,
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        reason=row["reason"],
        fix=row["fix"],
        reference=row["reference"],
        job_id=row["job_id"],
        account=row["account"],
        key_digest=row["key_digest"],
        submitted_at=row["submitted_at"],
        copy_of=row["copy_of"],
        dismissed_at=row["dismissed_at"],
        kind=EntryKind(row["kind"]),
        target=Path(os.fsdecode(row["target"])) if row["target"] is not None else None,
    )


def to_attempt(row: sqlite3.Row) -> Attempt:
    """Make the model of a row of `attempts`."""
    return Attempt(
        id=row["id"],
        entry_id=row["entry_id"],
        reference=row["reference"],
        state=AttemptState(row["state"]),
        account=row["account"],
        prepared_at=row["prepared_at"],
        armed_at=row["armed_at"],
        job_id=row["job_id"],
        key_digest=row["key_digest"],
    )


def to_cleanup(row: sqlite3.Row) -> Cleanup:
    """Make the model of a row of `cleanups`."""
    return Cleanup(
        entry_id=row["entry_id"],
        kind=row["kind"],
        what=row["what"],
        path=Path(os.fsdecode(row["path"])) if row["path"] is not None else None,
        account=row["account"],
        key_digest=row["key_digest"],
        since=row["since"],
        tries=row["tries"],
        reason=row["reason"],
    )


def from_new(new: NewEntry) -> dict[str, object]:
    """Make the columns of a new row."""
    return {
        "root": os.fsencode(new.root),
        "path": os.fsencode(new.path),
        "name": display_name(new.path),
        "state": new.state.value,
        "size": new.fingerprint.size,
        "mtime_ns": new.fingerprint.mtime_ns,
        "sha256": new.fingerprint.sha256,
        "engine": new.engine.value,
        "config": msgspec.json.encode(new.config).decode(),
        "config_key": config_key(new.engine, new.config),
        "formats": " ".join(new.formats),
        "media": msgspec.json.encode(new.media).decode() if new.media else None,
        "reason": new.reason,
        "fix": new.fix,
        "kind": new.kind.value,
        "target": os.fsencode(new.target) if new.target else None,
    }
