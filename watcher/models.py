"""Frozen data and enums that the whole program shares. Nothing here does I/O."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "PAUSE",
    "Attempt",
    "AttemptState",
    "Engine",
    "Entry",
    "EntryKind",
    "EntryState",
    "Existing",
    "Fingerprint",
    "JobProgress",
    "MediaInfo",
    "Output",
    "OutputFormat",
    "WatchFolder",
]


PAUSE = "pause"
"""The name of the hold that a person sets: nothing is submitted until it is lifted."""


class Engine(enum.StrEnum):
    """Where jobs go: the server that Dropscribe runs itself, or Speechmatics."""

    LOCAL = "local"
    SPEECHMATICS = "speechmatics"


class EntryKind(enum.StrEnum):
    """How a recording came into the ledger: found in a watch folder, or requested with `dropscribe transcribe`.

    What was requested belongs to no watch folder: its settings are its own, and no change of the config touches it.
    """

    WATCHED = "WATCHED"
    REQUESTED = "REQUESTED"


class EntryState(enum.StrEnum):
    """The states of a recording's row in the ledger; `watcher.ledger.transitions` has the moves."""

    WAITING = "WAITING"
    SUBMITTING = "SUBMITTING"
    SUBMITTED = "SUBMITTED"
    TRANSCRIBED = "TRANSCRIBED"
    DONE = "DONE"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"
    HELD = "HELD"

    @property
    def is_active(self) -> bool:
        """Whether Dropscribe still has something to do here by itself."""
        return self in _ACTIVE

    @property
    def is_settled(self) -> bool:
        """Whether the entry has ended (it may be retried by a person's word)."""
        return self in _ENDED


_ACTIVE = frozenset(
    {EntryState.WAITING, EntryState.SUBMITTING, EntryState.SUBMITTED, EntryState.TRANSCRIBED},
)
_ENDED = frozenset({EntryState.DONE, EntryState.FAILED, EntryState.SKIPPED, EntryState.CANCELLED})


class AttemptState(enum.StrEnum):
    """How far one try to submit an entry has come.

    PREPARED: its reference is on disk, nothing can have been accepted yet. ARMED: the tail of the upload may
    have been sent, so a job may exist. ACCEPTED: the job's id is known. REFUSED: the service said that no job
    exists. ABSENT: two complete listings showed that no job exists. DROPPED: never armed, so no job exists.
    """

    PREPARED = "PREPARED"
    ARMED = "ARMED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    ABSENT = "ABSENT"
    DROPPED = "DROPPED"


class OutputFormat(enum.StrEnum):
    """The forms in which a transcript is written. The first three are the service's own bytes."""

    TXT = "txt"
    JSON_V2 = "json-v2"
    SRT = "srt"
    VTT = "vtt"
    MD = "md"

    @property
    def suffix(self) -> str:
        """The file name's ending, with its dot."""
        return ".json" if self is OutputFormat.JSON_V2 else f".{self.value}"


class Existing(enum.StrEnum):
    """What to do with recordings that were in a folder before it was first watched."""

    TRANSCRIBE = "transcribe"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies a recording's content: size in bytes, mtime in ns, SHA-256 as lower-case hex."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What the probe found in a recording.

    Attributes:
        container: FFmpeg's name of the demuxer, e.g. `wav` or `mov,mp4,m4a,3gp,3g2,mj2`.
        codec: the codec of the first audio stream, e.g. `pcm_s16le`.
        duration: seconds, or None where the container doesn't say.
        channels: of the first audio stream.
        sample_rate: Hz, of the first audio stream.
        audio_streams: how many there are.
        has_video: whether there is moving picture (a cover image doesn't count).
        cut_short: whether its sound ends long before its header says.
    """

    container: str
    codec: str
    duration: float | None
    channels: int
    sample_rate: int
    audio_streams: int = 1
    has_video: bool = False
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class WatchFolder:
    """A watch folder with every setting filled in: its own, the config's, or the default.

    Attributes:
        path: absolute, with `~` expanded; not resolved through symlinks.
        engine: where its recordings are transcribed.
        transcription: the `transcription_config` of its jobs.
        settle: seconds of quiet after which a file counts as whole when the OS can't tell that it was closed.
        polling: `auto`, `always` or `never`.
        output: None: beside the recording; else the folder that mirrors the tree.
        after: `keep`, `trash`, `delete` or `move:DIR`.
        min_duration, max_duration: seconds; None: no bound.
        min_size, max_size: bytes; None: no bound.
        on_done: command to run when a transcript is ready (no shell).
        webhook: URL to call when a transcript is ready.
    """

    path: Path
    engine: Engine = Engine.LOCAL
    transcription: dict[str, Any] = field(default_factory=lambda: {"language": "en"})
    recursive: bool = True
    formats: tuple[OutputFormat, ...] = (OutputFormat.TXT, OutputFormat.JSON_V2)
    output: Path | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    settle: float = 2.0
    polling: str = "auto"
    existing: Existing = Existing.TRANSCRIBE
    after: str = "keep"
    paused: bool = False
    min_size: int | None = None
    max_size: int | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    on_done: tuple[str, ...] = ()
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One file of a transcript on disk, as it was written."""

    path: Path
    format: OutputFormat
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording's row in the ledger.

    Attributes:
        id: the row's number.
        uid: opaque name for the page and the API; says nothing about the path.
        root: the watch folder it was found in; for a requested one, the folder that holds it.
        path: the recording.
        fingerprint: of the content that was found.
        engine: where it goes.
        config: the `transcription_config` of its job.
        config_key: digest of engine and config; two entries with equal fingerprint and key are paid once.
        formats: which outputs it gets.
        current: False once other content took its path.
        media: what the probe found.
        attempts: how many attempts to submit it ended, without those that were not its fault (e.g. offline).
        next_attempt_at: unix time before which it is not tried again.
        reason: why it is in this state, in words for a person.
        fix: what the person can do, or an empty string.
        reference: of its latest attempt.
        job_id: of its job.
        account: where the latest attempt went; jobs of one account can't be seen from another.
        key_digest: of the API key that its job was submitted with; another key may not see the job.
        copy_of: the id of the entry whose transcript it shares.
        dismissed_at: unix time at which a person dismissed its failure; any move clears it.
        kind: whether it was found in a watch folder or requested.
        target: the folder that a requested one's outputs go to; None where the watch folder's settings say it.
    """

    id: int
    uid: str
    root: Path
    path: Path
    state: EntryState
    fingerprint: Fingerprint
    engine: Engine
    config: dict[str, Any]
    config_key: str
    formats: tuple[OutputFormat, ...]
    added_at: float
    changed_at: float
    current: bool = True
    media: MediaInfo | None = None
    attempts: int = 0
    next_attempt_at: float = 0.0
    reason: str = ""
    fix: str = ""
    reference: str | None = None
    job_id: str | None = None
    account: str | None = None
    key_digest: str | None = None
    submitted_at: float | None = None
    copy_of: int | None = None
    dismissed_at: float | None = None
    kind: EntryKind = EntryKind.WATCHED
    target: Path | None = None


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is.

    Attributes:
        ahead: how many jobs the server does first; None if it doesn't say.
        seconds_done: seconds of audio that are recognised; None until the job has begun.
        duration: seconds of audio in all; None if that isn't known.
    """

    ahead: int | None = None
    seconds_done: float | None = None
    duration: float | None = None

    @property
    def share(self) -> float | None:
        """The part that is done, 0 to 1; None if it isn't known."""
        if self.seconds_done is None or not self.duration:
            return None
        return min(self.seconds_done / self.duration, 1.0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to submit an entry. The job carries `reference` as `tracking.reference`.

    `key_digest` is of the API key that it was armed with: a list that another key gives proves nothing.
    """

    id: int
    entry_id: int
    reference: str
    state: AttemptState
    account: str
    prepared_at: float
    armed_at: float | None = None
    job_id: str | None = None
    key_digest: str | None = None
