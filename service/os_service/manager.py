"""The interface of the platforms' service managers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.os_service.plan import Command, Step
    from service.os_service.spec import ServiceSpec

__all__ = ["ServiceManager", "UnitState", "missing_program"]


@dataclass(frozen=True, slots=True)
class UnitState:
    """The state of the daemon, as the service manager reports it.

    Attributes:
        installed: whether the manager knows it.
        running: whether the manager has it running.
        at_login: whether it starts at login; None where the manager can't tell.
        pid: of the running daemon, where the manager says it.
        detail: in the manager's own words.
        missing: the program that it would start, if that isn't there any more.
    """

    installed: bool
    running: bool
    at_login: bool | None
    pid: int | None = None
    detail: str = ""
    missing: Path | None = None

    @property
    def fix(self) -> str:
        """What a person can do where the program was removed; else empty."""
        if self.missing is None:
            return ""
        return (
            f"Its program, {self.missing}, or the Python that runs it, was removed. "
            "Install Dropscribe again, then: dropscribe service install. "
            "To remove what is left of the service: dropscribe service uninstall"
        )


class ServiceManager(Protocol):
    """One platform's service manager. The `plan_*` methods only read; `steps.apply` does what they return."""

    name: str

    def plan_install(self, spec: ServiceSpec, *, start: bool = True) -> list[Step]:
        """Plan what makes the daemon start at login, and (with `start`) run now."""

    def plan_uninstall(self) -> list[Step]:
        """Plan what stops the daemon and removes everything that `plan_install` wrote."""

    def plan_start(self) -> list[Step]:
        """Plan what starts the installed daemon."""

    def plan_stop(self) -> list[Step]:
        """Plan what stops the daemon until it is started again."""

    def plan_at_login(self, *, on: bool) -> list[Step]:
        """Plan what makes the installed daemon start at login, or not any more; it keeps running."""

    def state(self) -> UnitState:
        """Ask the manager.

        Raises:
            ServiceError: it can't be asked.
        """

    def logs(self, *, lines: int, follow: bool) -> Command | Path:
        """Return the command that shows the daemon's log, or else the file that holds it."""


def missing_program(argv: Sequence[str]) -> Path | None:
    """Return the first of the programs that a service starts which isn't there; None if they are.

    Args:
        argv: the service's command; with a supervisor, the daemon's own command comes after `--`.
    """
    words = list(argv)
    programs = [words[:1], words[words.index("--") + 1 :][:1] if "--" in words else []]
    for program in (Path(name) for found in programs for name in found):
        if program.is_absolute() and not program.exists():
            return program
    return None
