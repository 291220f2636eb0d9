"""The errors of Dropscribe.

    DropscribeError
    ├── UsageError                 the command line asks for something that doesn't exist        exit 2
    ├── UnusableError              the program can't start with what it was given                exit 78
    │   ├── ConfigError            the config names the file and line
    │   ├── LedgerError            the ledger can't be used as it is
    │   │   ├── LedgerTooNew       written by a newer version
    │   │   ├── NoLedger           nothing was ever recorded in it
    │   │   └── LedgerDamaged      fails SQLite's integrity check
    │   │       └── LedgerLost     missing or empty, although it was used
    │   └── AlreadyRunning         another daemon has this state directory
    ├── RecordingError             one recording can't go on; the others can
    │   ├── NotARecording          no audio in it, or not media at all
    │   ├── BrokenMedia            media, but damaged or cut short
    │   ├── LimitExceeded          takes more time or memory to open than any recording needs
    │   ├── TooLarge               more than the service takes, even when only its sound is sent
    │   ├── Unreadable             the file can't be read
    │   │   └── ReadTimeout        nor within the time that it may take: a slow disk, or a busy machine
    │   └── SourceChanged          the file is not what it was when it was found
    ├── DamagedTranscript          what was stored or fetched is no good: fetch it again     (watcher.transcripts)
    ├── OutputError                a transcript can't be written
    │   ├── NoSpace                disk full or quota reached
    │   └── NotWritable            no permission, read-only file system, folder gone
    ├── EngineUnavailable          the engine can't be reached or started now
    └── InternalError              Dropscribe itself failed; no recording is to blame

Code decides by class, never by message. A message says what happened and to which file; `fix` says what the
person can do about it.
"""

from __future__ import annotations

import errno
from typing import ClassVar

__all__ = [
    "AlreadyRunning",
    "BrokenMedia",
    "ConfigError",
    "DropscribeError",
    "EngineUnavailable",
    "InternalError",
    "LedgerDamaged",
    "LedgerError",
    "LedgerLost",
    "LedgerTooNew",
    "LimitExceeded",
    "NoLedger",
    "NoSpace",
    "NotARecording",
    "NotWritable",
    "OutputError",
    "ReadTimeout",
    "RecordingError",
    "SourceChanged",
    "TooLarge",
    "Unreadable",
    "UnusableError",
    "UsageError",
    "describe_os_error",
    "sentences",
]


def sentences(*parts: str) -> str:
    """Join what is said of one thing, leaving out what is empty; what others said may lack its full stop."""
    said = [part.strip() for part in parts if part.strip()]
    ended = (part if part.endswith((".", "!", "?", ":", ";")) else f"{part}." for part in said[:-1])
    return " ".join([*ended, *said[-1:]])


class DropscribeError(Exception):
    """The base of all errors that Dropscribe raises on purpose.

    Args:
        message: what happened, and to which file.
        fix: what the person can do about it.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return sentences(self.message, self.fix)


class UsageError(DropscribeError):
    """The command line asks for something that doesn't exist."""

    exit_status = 2


class UnusableError(DropscribeError):
    """The program can't start with what it was given; `EX_CONFIG` of sysexits(3)."""

    exit_status = 78


class ConfigError(UnusableError):
    """The config can't be used.

    Args:
        message: what is wrong.
        file: the config file.
        line: the line in it, from 1; None where there is none.
        fix: what the person can do about it.
    """

    def __init__(self, message: str, *, file: object = None, line: int | None = None, fix: str = "") -> None:
        where = f"{file}{f', line {line}' if line else ''}: " if file else ""
        super().__init__(f"{where}{message}", fix=fix)
        self.file = file
        self.line = line


class LedgerError(UnusableError):
    """The ledger can't be used as it is; it was left untouched."""


class LedgerTooNew(LedgerError):
    """The ledger was written by a newer version of Dropscribe."""


class LedgerDamaged(LedgerError):
    """The ledger fails SQLite's integrity check, or is no database at all."""


class LedgerLost(LedgerDamaged):
    """The ledger is missing or empty, and other files show that it was used."""


class NoLedger(LedgerError):
    """There is no ledger yet, or one in which nothing was ever recorded."""


class AlreadyRunning(UnusableError):
    """Another daemon has this state directory."""


class RecordingError(DropscribeError):
    """One recording can't go on; the others can."""


class NotARecording(RecordingError):
    """The file holds no audio, or is no media at all."""


class BrokenMedia(RecordingError):
    """The file is media, but damaged or cut short."""


class LimitExceeded(RecordingError):
    """Opening the file takes more time or memory than any recording needs."""


class TooLarge(RecordingError):
    """The service doesn't take so many bytes, even when only the sound is sent."""


class Unreadable(RecordingError):
    """The file can't be read."""


class ReadTimeout(Unreadable):
    """Reading the file took too long, with the processor hardly used: a slow disk or share, or a busy machine."""


class SourceChanged(RecordingError):
    """The file is not what it was when it was found."""


class OutputError(DropscribeError):
    """A transcript can't be written."""


class NoSpace(OutputError):
    """The disk is full, or a quota is reached."""


class NotWritable(OutputError):
    """The output folder can't be written to: permission, a read-only file system, or it is gone."""


class EngineUnavailable(DropscribeError):
    """The engine can't be reached or started now; it is tried again."""


class InternalError(DropscribeError):
    """Dropscribe itself failed: a mistake in it, or a broken installation. No recording is to blame."""

    def __init__(
        self, message: str, *, fix: str = "Update Dropscribe, or install it again; its log says more."
    ) -> None:
        super().__init__(message, fix=fix)


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def describe_os_error(error: OSError, *, doing: str) -> OutputError:
    """Turn what the OS said while writing into an error that a person can act on.

    Args:
        error: what the OS raised.
        doing: what was tried, with the file's name, e.g. `"write /a/b.txt"`.
    """
    if error.errno in _NO_SPACE:
        return NoSpace(
            f"Could not {doing}: the disk is full.",
            fix="Free some space; a running Dropscribe then continues automatically.",
        )
    why = error.strerror or str(error)
    return NotWritable(
        f"Could not {doing}: {why}.", fix="Make the folder writable; a running Dropscribe then continues automatically."
    )
