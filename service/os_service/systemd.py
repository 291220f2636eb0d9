"""Linux: a systemd user unit for the daemon, and an XDG autostart entry for the tray.

The rules for escaping are those of systemd.service(5), "Command lines", and of the Desktop Entry
Specification 1.5, "The Exec key".
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from service.os_service.manager import UnitState, missing_program
from service.os_service.plan import Command, FileChange, ServiceError, hint, read, run, sealed
from service.os_service.spec import fill, template_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from service.os_service.plan import Ran, Step
    from service.os_service.spec import ServiceSpec

__all__ = ["UNIT", "Systemd", "config_home", "desktop_exec", "quote", "render_autostart", "render_unit"]

UNIT = "dropscribe.service"
_PLAIN_WORD = re.compile(r"[\w@+,./:=-]+", re.ASCII)
_COMMENT = ("# ", "")
_NOT_FOUND = frozenset({"203", "127"})
"""Exit statuses of systemd and of a shell that could not execute the program."""


class Systemd:
    """The user's own systemd manager.

    Args:
        config_home: the user's `~/.config`.
        execute: runs a command.
    """

    name = "systemd"

    def __init__(self, config_home: Path, *, execute: Callable[[tuple[str, ...]], Ran] = run) -> None:
        self.unit = config_home / "systemd" / "user" / UNIT
        self.autostart = config_home / "autostart" / "dropscribe-tray.desktop"
        self._execute = execute

    def plan_install(self, spec: ServiceSpec, *, start: bool = True) -> list[Step]:
        """Plan the unit, its activation, and the tray's autostart entry."""
        unit = FileChange(self.unit, render_unit(spec).encode())
        changed = read(self.unit) != unit.content
        tray = FileChange(self.autostart, render_autostart(spec).encode() if spec.tray else None)
        steps: list[Step] = [
            # First of all a question, so that nothing is written where no manager is there to read it.
            _systemctl("show", "--property=Version"),
            unit,
            *([tray] if spec.tray or read(self.autostart) is not None else []),
            _systemctl("daemon-reload"),
            _systemctl("enable", UNIT),
        ]
        if start:
            steps += [_systemctl("reset-failed", UNIT, may_fail=True)]
            steps += [_systemctl("restart" if changed else "start", UNIT)]
        return steps

    def plan_uninstall(self) -> list[Step]:
        """Plan the unit's end. Without a running manager the files go all the same."""
        steps: list[Step] = []
        unit_there = read(self.unit) is not None
        if unit_there:
            steps += [_systemctl("disable", "--now", UNIT, may_fail=True), FileChange(self.unit, None)]
        if read(self.autostart) is not None:
            steps += [FileChange(self.autostart, None)]
        if unit_there:
            steps += [
                _systemctl("daemon-reload", may_fail=True),
                _systemctl("reset-failed", UNIT, may_fail=True),
            ]
        return steps

    def plan_start(self) -> list[Step]:
        """Plan a start; an earlier failure is forgotten."""
        return [_systemctl("reset-failed", UNIT, may_fail=True), _systemctl("start", UNIT)]

    def plan_stop(self) -> list[Step]:
        """Plan a stop."""
        return [_systemctl("stop", UNIT)]

    def plan_at_login(self, *, on: bool) -> list[Step]:
        """Plan a start at login, or none."""
        return [_systemctl("enable" if on else "disable", UNIT)]

    def state(self) -> UnitState:
        """Ask systemd.

        Raises:
            ServiceError: its user manager can't be reached.
        """
        names = (
            "LoadState",
            "ActiveState",
            "SubState",
            "MainPID",
            "Result",
            "ExecMainStatus",
            "ExecStart",
        )
        command = _systemctl("show", UNIT, f"--property={','.join(names)}")
        ran = self._execute(command.argv)
        if ran.status != 0:
            said = ran.err or ran.out
            raise ServiceError(f"systemd's user manager did not answer: {said}.", fix=hint("systemctl", said))
        facts = dict(line.partition("=")[::2] for line in ran.out.splitlines())
        # Asked apart: `show` answers this from a cache that `disable` doesn't always renew.
        at_login = self._execute(_systemctl("is-enabled", UNIT).argv).out == "enabled"
        return _state(facts, at_login=at_login)

    def logs(self, *, lines: int, follow: bool) -> Command | Path:
        """Return the journal's command."""
        more = ("--follow",) if follow else ("--no-pager",)
        return Command(
            ("journalctl", "--user", f"--user-unit={UNIT}", "--quiet", "--output=cat", f"--lines={lines}", *more)
        )


def config_home() -> Path:
    """The folder for the user's settings by the XDG base directory specification."""
    named = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".config"


def render_unit(spec: ServiceSpec) -> str:
    """Fill in the unit's template."""
    program, *arguments = _startable(spec.daemon)
    command = " ".join([quote(f":{program}"), *(quote(argument) for argument in arguments)])
    text = fill(template_text("dropscribe.service"), command=command, environment=_environment(spec.environment))
    return sealed(text, comment=_COMMENT)


def render_autostart(spec: ServiceSpec) -> str:
    """Fill in the template of the tray's autostart entry."""
    command = desktop_exec(_with_environment(spec.icon, spec.environment))
    text = fill(template_text("dropscribe-tray.desktop"), command=command)
    return sealed(text, comment=_COMMENT)


def quote(word: str) -> str:
    """Quote one word of a unit file. `$` is not touched: see the colon in the template."""
    word = word.replace("%", "%%")
    if _PLAIN_WORD.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def desktop_exec(argv: tuple[str, ...]) -> str:
    """Write argv as the value of an `Exec` key.

    The value is unescaped twice: as a string of the key file, and then as a command line.
    """
    words = []
    for word in argv:
        text = word.replace("%", "%%")
        if not _PLAIN_WORD.fullmatch(word):
            text = '"' + re.sub(r'(["`$\\])', r"\\\1", text) + '"'
        words.append(text.replace("\\", "\\\\"))
    return " ".join(words)


def _startable(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Go by a shell where systemd would refuse the program's path: it takes no quotes or backslashes in it."""
    if re.search(r"[\"'\\]", argv[0]):
        return ("/bin/sh", "-c", 'exec "$0" "$@"', *argv)
    return argv


def _environment(variables: Mapping[str, str]) -> str:
    return "".join(f"Environment={quote(f'{name}={value}')}\n" for name, value in sorted(variables.items()))


def _with_environment(argv: tuple[str, ...], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Give a command variables where the format can't: by env(1)."""
    if not variables:
        return argv
    return ("env", *(f"{name}={value}" for name, value in sorted(variables.items())), *argv)


def _systemctl(*arguments: str, may_fail: bool = False) -> Command:
    return Command(("systemctl", "--user", *arguments), may_fail=may_fail)


def _state(facts: Mapping[str, str], *, at_login: bool) -> UnitState:
    active, sub = facts.get("ActiveState", ""), facts.get("SubState", "")
    pid = int(facts.get("MainPID", "0") or 0)
    detail = f"{active} ({sub})" if sub else active
    failed = facts.get("Result", "success") != "success"
    if failed:
        detail += f", last result: {facts['Result']}, exit status {facts.get('ExecMainStatus', '?')}"
    missing = _missing(facts.get("ExecStart", ""), facts.get("ExecMainStatus", "") if failed else "")
    return UnitState(
        installed=facts.get("LoadState") == "loaded",
        running=active in {"active", "activating", "reloading", "deactivating"} and pid != 0,
        at_login=at_login,
        pid=pid or None,
        detail=detail,
        missing=missing,
    )


def _missing(exec_start: str, failed_with: str) -> Path | None:
    """Return the unit's program if it, or the interpreter that its first line names, is not there any more."""
    found = re.match(r"\{ path=(.*?) ; argv\[\]=", exec_start)
    if found is None:
        return None
    return Path(found[1]) if failed_with in _NOT_FOUND else missing_program([found[1]])
