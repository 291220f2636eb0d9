"""What is to run in the background: the program, its options and its surroundings."""

from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from service.os_service.plan import ServiceError
from watcher.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ServiceSpec", "fill", "find_program", "template_text"]

# What decides where config and state are. A service manager starts the daemon with its own environment, so
# what the installing shell has set must go along, or the daemon would look elsewhere.
_PLACES = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")


def fill(text: str, **values: str) -> str:
    """Replace each `@{name}`; what `$`, `%` and a bare `@` mean in the files that this makes stays theirs.

    Raises:
        KeyError: the text has a placeholder without a value.
    """
    return re.sub(r"@\{(\w+)\}", lambda found: values[found[1]], text)


def template_text(name: str) -> str:
    """Read one of the templates beside this module."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What is to run in the background.

    Attributes:
        program: the `dropscribe` command, absolute, as argv.
        python: the interpreter that has Dropscribe installed, absolute.
        config_file: the config that the daemon reads.
        state_dir: ledger, token and log.
        options: global options that the person gave, e.g. `("--config", "/x.toml")`.
        environment: variables that the daemon needs to find its files.
        tray: whether the tray starts at login, too.
    """

    program: tuple[str, ...]
    python: str
    config_file: Path
    state_dir: Path
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    tray: bool = True

    def __post_init__(self) -> None:
        for text in (*self.program, *self.options, self.python, *self.environment.values()):
            if any(ord(char) < 32 or ord(char) == 127 for char in text):  # noqa: PLR2004 - ASCII's control characters
                raise UsageError(
                    f"{text!r} holds a control character, which unit files can't express.",
                    fix="Rename the folder.",
                )

    @property
    def daemon(self) -> tuple[str, ...]:
        """The daemon's argv."""
        return (*self.program, *self.options, "run")

    @property
    def icon(self) -> tuple[str, ...]:
        """The tray's argv."""
        return (*self.program, *self.options, "tray")

    @property
    def log(self) -> Path:
        """Where the daemon's output goes when the platform keeps no log of its own."""
        return self.state_dir / "dropscribe.log"

    @classmethod
    def of_this_machine(
        cls,
        *,
        config: Path | None,
        state_dir: Path | None,
        default_config: Path,
        used_state_dir: Path,
        tray: bool,
    ) -> ServiceSpec:
        """Describe this installation of Dropscribe.

        Args:
            config: what the person gave as `--config`.
            state_dir: what the person gave as `--state-dir`.
            default_config: what is read when no config was given.
            used_state_dir: the folder that is really used.
            tray: whether the tray starts at login, too.

        Raises:
            ServiceError: the `dropscribe` command isn't found.
        """
        options: list[str] = []
        if config is not None:
            options += ["--config", os.path.abspath(config)]  # noqa: PTH100 - resolve() would follow links
        if state_dir is not None:
            options += ["--state-dir", os.path.abspath(state_dir)]  # noqa: PTH100 - same
        return cls(
            program=find_program(),
            python=_windowless(sys.executable),
            config_file=config or default_config,
            state_dir=used_state_dir,
            options=tuple(options),
            environment={name: os.environ[name] for name in _PLACES if os.environ.get(name)},
            tray=tray,
        )


def find_program() -> tuple[str, ...]:
    """Find the `dropscribe` command: the one beside the interpreter, else the one on the PATH.

    Raises:
        ServiceError: there is none.
    """
    name = "dropscribe.exe" if sys.platform == "win32" else "dropscribe"
    # The interpreter's path is not resolved: in a virtual environment it is a link out of it.
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return (str(beside),)
    found = shutil.which("dropscribe")
    if found:
        return (os.path.abspath(found),)  # noqa: PTH100 - resolve() would follow links
    raise ServiceError(
        f"The `dropscribe` command is neither beside {sys.executable} nor on the PATH.",
        fix="Install Dropscribe with pipx or pip, and repeat this with the installed command.",
    )


def _windowless(python: str) -> str:
    """Choose the interpreter that opens no console window."""
    windowless = Path(python).with_name("pythonw.exe")  # there on Windows only
    return str(windowless) if windowless.is_file() else python
