"""What an installation does, as data: files to write or remove, commands to run. `--dry-run` prints it.

A file that Dropscribe writes ends with a checksum of itself. So a later run can tell whether a person edited
it, and then leaves it alone.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from watcher.errors import DropscribeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "Command",
    "EditedByHand",
    "FileChange",
    "Ran",
    "ServiceError",
    "Step",
    "apply",
    "describe",
    "hint",
    "read",
    "run",
    "sealed",
    "was_edited",
]

_SEAL = re.compile(rb"^(?:# |<!-- )dropscribe-checksum: ([0-9a-f]{64})(?: -->)?\n\Z", re.MULTILINE)
_TIMEOUT = 90.0  # seconds; systemd waits up to the unit's own limits


class ServiceError(DropscribeError):
    """The platform's service manager failed."""


class EditedByHand(ServiceError):
    """A file that Dropscribe wrote was edited since, so it was left unchanged."""

    exit_status: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file to write, or, with `content` None, to remove.

    Attributes:
        path: absolute.
        content: its bytes.
        show: the content as text for people, where it is not UTF-8.
        scratch: a file that only exists while the steps run; nobody can have edited it.
    """

    path: Path
    content: bytes | None
    show: str | None = None
    scratch: bool = False

    @property
    def text(self) -> str:
        """The content, to be shown."""
        return self.show if self.show is not None else (self.content or b"").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Command:
    """A command to run, without a shell.

    Attributes:
        argv: the program and its arguments.
        may_fail: its failure changes nothing for the steps after it.
    """

    argv: tuple[str, ...]
    may_fail: bool = False

    def __str__(self) -> str:
        return shlex.join(self.argv)


Step = FileChange | Command


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: exit status, standard output and standard error."""

    status: int
    out: str
    err: str


def sealed(text: str, *, comment: tuple[str, str]) -> str:
    """Add the checksum line that `was_edited` looks for.

    Args:
        text: the file's text, ending with a line break.
        comment: what opens and closes a comment in the file's format.
    """
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text}{comment[0]}dropscribe-checksum: {digest}{comment[1]}\n"


def was_edited(content: bytes) -> bool:
    """Whether a file is no longer what Dropscribe wrote, or never was."""
    seal = _SEAL.search(content)
    return seal is None or hashlib.sha256(content[: seal.start()]).hexdigest().encode() != seal[1]


def read(path: Path) -> bytes | None:
    """Read a file; None where there is none.

    Raises:
        ServiceError: it is there and can't be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ServiceError(f"{path} can't be read: {error.strerror}.", fix="Check its permissions.") from None


def describe(steps: Iterable[Step]) -> str:
    """Say exactly what `apply` would do, files with their content."""
    parts: list[str] = []
    for step in steps:
        if isinstance(step, Command):
            parts.append(f"Run:    {step}")
        elif step.content is None:
            parts.append(f"Remove: {step.path}")
        else:
            body = "\n".join(f"    {line}".rstrip() for line in step.text.splitlines())
            parts.append(f"Write:  {step.path}\n{body}")
    return "\n".join(parts)


def run(argv: tuple[str, ...], *, timeout: float = _TIMEOUT) -> Ran:
    """Run a command to its end and return what it said.

    Raises:
        ServiceError: it isn't installed, or doesn't come to an end.
    """
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs of the platform, no shell
            argv, capture_output=True, text=True, errors="replace", timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise ServiceError(f"'{argv[0]}' isn't on this machine.", fix=_without(argv[0])) from None
    except OSError as error:
        raise ServiceError(f"'{argv[0]}' can't be run: {error.strerror}.", fix=_without(argv[0])) from None
    except subprocess.TimeoutExpired:
        raise ServiceError(
            f"`{shlex.join(argv)}` did not finish within {timeout:.0f} seconds.",
            fix="For details: dropscribe service logs",
        ) from None
    return Ran(done.returncode, done.stdout.strip(), done.stderr.strip())


def apply(
    steps: Iterable[Step],
    *,
    force: bool = False,
    execute: Callable[[tuple[str, ...]], Ran] = run,
) -> list[Path]:
    """Do the steps, in order.

    Args:
        steps: what to do.
        force: also replace or remove files that a person edited.
        execute: runs a command; for tests of platforms that aren't at hand.

    Returns:
        The files that were written or removed; files that were right already are not among them.

    Raises:
        EditedByHand: before anything was done.
        ServiceError: a command failed; steps after it were not done.
    """
    todo = list(steps)
    if not force:
        for step in todo:
            if isinstance(step, FileChange):
                _refuse_edited(step)
    changed: list[Path] = []
    for step in todo:
        if isinstance(step, Command):
            _execute(step, execute)
        elif _change(step):
            changed.append(step.path)
    return changed


def _execute(command: Command, execute: Callable[[tuple[str, ...]], Ran]) -> None:
    ran = execute(command.argv)
    if ran.status == 0 or command.may_fail:
        return
    said = (ran.err or ran.out or f"exit status {ran.status}").rstrip(".")
    raise ServiceError(f"`{command}` failed: {said}.", fix=hint(command.argv[0], said))


def _refuse_edited(step: FileChange) -> None:
    there = None if step.scratch else read(step.path)
    if there is None or there == step.content or not was_edited(there):
        return
    raise EditedByHand(
        f"{step.path} was edited, so Dropscribe did not change it.",
        fix="Move your changes elsewhere (for systemd: `systemctl --user edit dropscribe`) and remove the "
        "file, or run the command again with --force.",
    )


def _change(step: FileChange) -> bool:
    if read(step.path) == step.content:
        return False
    try:
        if step.content is None:
            step.path.unlink(missing_ok=True)
        else:
            _write(step.path, step.content)
    except OSError as error:
        verb = "removed" if step.content is None else "written"
        raise ServiceError(
            f"{step.path} can't be {verb}: {error.strerror}.", fix="Check the permissions of its folder."
        ) from None
    return True


def _write(path: Path, content: bytes) -> None:
    """Write so that a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if sys.platform != "win32":
            Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _without(program: str) -> str:
    if program in {"systemctl", "journalctl"}:
        return "Without systemd, add `dropscribe run` to the programs that your session starts."
    return ""


def hint(program: str, said: str) -> str:
    """Say what a person can do when one of the platform's programs failed.

    Args:
        program: its name.
        said: what it printed.
    """
    if program == "systemctl" and ("connect to bus" in said.lower() or "not been booted" in said):
        return (
            "systemd's user manager isn't running here. Log in as yourself, not through su or sudo; on a "
            "machine without a desktop run `sudo loginctl enable-linger $USER` first. "
            "Or run `dropscribe run` yourself."
        )
    return "For details: dropscribe service logs"
