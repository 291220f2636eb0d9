"""macOS: launchd agents for the daemon and the tray.

The keys are those of launchd.plist(5), the commands those of launchctl(1).
launchd starts a failed job again whatever its exit status was, and keeps no log; `supervise` does both.
"""

from __future__ import annotations

import plistlib
import re
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from service.os_service.manager import UnitState, missing_program
from service.os_service.plan import Command, FileChange, read, run, sealed
from service.os_service.spec import template_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.os_service.plan import Ran, Step
    from service.os_service.spec import ServiceSpec

__all__ = ["DAEMON", "TRAY", "Launchd", "render_daemon", "render_tray"]

DAEMON = "app.dropscribe.daemon"
TRAY = "app.dropscribe.tray"


class Launchd:
    """The user's launchd.

    Args:
        agents: `~/Library/LaunchAgents`.
        uid: the user's number; names the user's domain.
        log: where the daemon's output goes.
        execute: runs a command.
    """

    name = "launchd"

    def __init__(self, agents: Path, uid: int, log: Path, *, execute: Callable[[tuple[str, ...]], Ran] = run) -> None:
        self.daemon = agents / f"{DAEMON}.plist"
        self.tray = agents / f"{TRAY}.plist"
        self._domain = f"gui/{uid}"
        self._log = log
        self._execute = execute

    def plan_install(self, spec: ServiceSpec, *, start: bool = True) -> list[Step]:
        """Plan both agents. A loaded agent is taken out first, or launchd would keep the old one."""
        steps: list[Step] = [FileChange(self.daemon, render_daemon(spec).encode())]
        if spec.tray or read(self.tray) is not None:
            steps += [FileChange(self.tray, render_tray(spec).encode() if spec.tray else None)]
        steps += [self._launchctl("enable", f"{self._domain}/{DAEMON}", may_fail=True)]
        if start:
            steps += [*self.plan_stop(), self._launchctl("bootstrap", self._domain, str(self.daemon))]
            if spec.tray:
                steps += [
                    self._launchctl("bootout", f"{self._domain}/{TRAY}", may_fail=True),
                    self._launchctl("bootstrap", self._domain, str(self.tray), may_fail=True),
                ]
        return steps

    def plan_uninstall(self) -> list[Step]:
        """Plan the end of both agents."""
        steps: list[Step] = []
        for label, file in ((DAEMON, self.daemon), (TRAY, self.tray)):
            if read(file) is not None:
                steps += [self._launchctl("bootout", f"{self._domain}/{label}", may_fail=True)]
                steps += [FileChange(file, None)]
        return steps

    def plan_start(self) -> list[Step]:
        """Plan a start: load the agent if it isn't, and start it."""
        return [
            self._launchctl("bootstrap", self._domain, str(self.daemon), may_fail=True),
            self._launchctl("kickstart", f"{self._domain}/{DAEMON}"),
        ]

    def plan_stop(self) -> list[Step]:
        """Plan a stop until the next start or login."""
        return [self._launchctl("bootout", f"{self._domain}/{DAEMON}", may_fail=True)]

    def plan_at_login(self, *, on: bool) -> list[Step]:
        """Plan a start at login, or none."""
        return [self._launchctl("enable" if on else "disable", f"{self._domain}/{DAEMON}")]

    def state(self) -> UnitState:
        """Ask launchd."""
        agent = read(self.daemon)
        installed = agent is not None
        ran = self._execute(("launchctl", "print", f"{self._domain}/{DAEMON}"))
        off = self._execute(("launchctl", "print-disabled", self._domain))
        disabled = re.search(rf'"{re.escape(DAEMON)}" => (?:true|disabled)', off.out) is not None
        pid = re.search(r"^\s*pid = (\d+)$", ran.out, re.MULTILINE)
        state = re.search(r"^\s*state = (.+)$", ran.out, re.MULTILINE)
        return UnitState(
            installed=installed,
            running=pid is not None,
            at_login=installed and not disabled,
            pid=int(pid[1]) if pid else None,
            detail=state[1].strip() if state else "not loaded",
            missing=missing_program(_command_of(agent)) if agent is not None else None,
        )

    def logs(self, *, lines: int, follow: bool) -> Command | Path:  # noqa: ARG002 - the file is read by the caller
        """Return the log file."""
        return self._log

    def _launchctl(self, *arguments: str, may_fail: bool = False) -> Command:
        return Command(("launchctl", *arguments), may_fail=may_fail)


def render_daemon(spec: ServiceSpec) -> str:
    """Fill in the daemon's agent."""
    # -P keeps the current folder off the module path: a file in it must not run as code.
    argv = (spec.python, "-P", "-m", "service.os_service.supervisor", "--log", str(spec.log), "--", *spec.daemon)
    return _render("dropscribe.plist", argv, spec)


def render_tray(spec: ServiceSpec) -> str:
    """Fill in the tray's agent."""
    return _render("dropscribe-tray.plist", spec.icon, spec)


def _render(template: str, argv: tuple[str, ...], spec: ServiceSpec) -> str:
    values: dict[str, Any] = plistlib.loads(template_text(template).encode())
    values["ProgramArguments"] = list(argv)
    values["EnvironmentVariables"] = dict(spec.environment)
    text = plistlib.dumps(values, sort_keys=False).decode()
    return sealed(text, comment=("<!-- ", " -->"))


def _command_of(agent: bytes) -> list[str]:
    """Return what an agent starts; empty if it was edited into something else."""
    try:
        found = plistlib.loads(agent)["ProgramArguments"]
    except (ValueError, KeyError, TypeError, plistlib.InvalidFileException, ExpatError):
        return []
    return [str(word) for word in found]
