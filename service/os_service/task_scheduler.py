"""Windows: tasks that start the daemon and the tray when the user logs on.

The elements are those of the Task Scheduler Schema (http://schemas.microsoft.com/windows/2004/02/mit/task).
The Task Scheduler keeps no log and starts a task that failed again only in some cases; `supervise` does both.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from service.os_service.manager import UnitState
from service.os_service.plan import Command, FileChange, run
from service.os_service.spec import template_text
from watcher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.os_service.plan import Ran, Step
    from service.os_service.spec import ServiceSpec

__all__ = ["DAEMON", "TRAY", "WindowsTasks", "render_task", "this_user"]

DAEMON = "Dropscribe"
TRAY = "Dropscribe tray"
_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


class WindowsTasks:
    r"""The user's tasks in the Task Scheduler.

    Args:
        user: `DOMAIN\name`; a task for a named user's logon needs no administrator.
        scratch: a folder for the task's description while it is being registered.
        log: where the daemon's output goes.
        execute: runs a command.
    """

    name = "Task Scheduler"

    def __init__(self, user: str, scratch: Path, log: Path, *, execute: Callable[[tuple[str, ...]], Ran] = run) -> None:
        self._user = user
        self._scratch = scratch
        self._log = log
        self._execute = execute

    def plan_install(self, spec: ServiceSpec, *, start: bool = True) -> list[Step]:
        """Plan both tasks; `/F` replaces what an earlier version registered."""
        steps = self._register(DAEMON, self._daemon_command(spec))
        if spec.tray:
            steps += self._register(TRAY, spec.icon)
        else:
            steps += [_schtasks("/Delete", "/TN", TRAY, "/F", may_fail=True)]
        if start:
            steps += [*self.plan_stop(), *self.plan_start()]
        return steps

    def plan_uninstall(self) -> list[Step]:
        """Plan the end of both tasks."""
        steps: list[Step] = []
        for name in (DAEMON, TRAY):
            steps += [
                _schtasks("/End", "/TN", name, may_fail=True),
                _schtasks("/Delete", "/TN", name, "/F", may_fail=True),
            ]
        return steps

    def plan_start(self) -> list[Step]:
        """Plan a start."""
        return [_schtasks("/Run", "/TN", DAEMON)]

    def plan_stop(self) -> list[Step]:
        """Plan a stop. Windows ends tasks by force; the daemon is made to be killed at any instant."""
        return [_schtasks("/End", "/TN", DAEMON, may_fail=True)]

    def plan_at_login(self, *, on: bool) -> list[Step]:
        """Plan a start at logon, or none."""
        return [_schtasks("/Change", "/TN", DAEMON, "/ENABLE" if on else "/DISABLE")]

    def state(self) -> UnitState:
        """Ask the Task Scheduler, through PowerShell: the words of `schtasks` depend on Windows' language."""
        question = f"(Get-ScheduledTask -TaskName '{DAEMON}' -ErrorAction Stop).State"
        ran = self._execute(("powershell", "-NoProfile", "-NonInteractive", "-Command", question))
        installed = ran.status == 0 and bool(ran.out)
        return UnitState(
            installed=installed,
            running=ran.out == "Running",
            at_login=installed and ran.out != "Disabled",
            detail=ran.out if installed else "no such task",
        )

    def logs(self, *, lines: int, follow: bool) -> Command | Path:  # noqa: ARG002 - the file is read by the caller
        """Return the log file."""
        return self._log

    def _daemon_command(self, spec: ServiceSpec) -> tuple[str, ...]:
        return (
            spec.python,
            "-P",
            "-m",
            "service.os_service.supervisor",
            "--log",
            str(self._log),
            "--",
            *spec.daemon,
        )

    def _register(self, name: str, argv: tuple[str, ...]) -> list[Step]:
        file = self._scratch / f"{name.lower().replace(' ', '-')}-task.xml"
        text = render_task(argv, user=self._user)
        return [
            # UTF-16 with its mark is what the Task Scheduler itself writes and reads.
            FileChange(file, text.encode("utf-16"), show=text, scratch=True),
            _schtasks("/Create", "/TN", name, "/XML", str(file), "/F"),
            FileChange(file, None, scratch=True),
        ]


def render_task(argv: tuple[str, ...], *, user: str) -> str:
    """Fill in the task's template.

    Raises:
        UsageError: a path holds what the Task Scheduler takes for a variable; it knows no escape.
    """
    for word in argv:
        if re.search(r"%[^%]+%|\$\(", word):
            raise UsageError(f"{word}: the Task Scheduler takes %…% and $(…) for variables.", fix="Rename the folder.")
    ET.register_namespace("", _NAMESPACE)
    task = ET.fromstring(template_text("dropscribe-task.xml"))  # noqa: S314 - a file of this package
    for element in task.iter(f"{{{_NAMESPACE}}}UserId"):
        element.text = user
    for element in task.iter(f"{{{_NAMESPACE}}}Exec"):
        for tag, text in (("Command", argv[0]), ("Arguments", subprocess.list2cmdline(argv[1:]))):
            child = element.find(f"{{{_NAMESPACE}}}{tag}")
            if child is not None:
                child.text = text
    return '<?xml version="1.0" encoding="UTF-16"?>\n' + ET.tostring(task, encoding="unicode") + "\n"


def this_user() -> str:
    """Name the logged-on user as the Task Scheduler does."""
    domain = os.environ.get("USERDOMAIN") or os.environ.get("COMPUTERNAME") or "."
    return f"{domain}\\{os.environ.get('USERNAME', '')}"


def _schtasks(*arguments: str, may_fail: bool = False) -> Command:
    return Command(("schtasks", *arguments), may_fail=may_fail)
