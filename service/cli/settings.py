"""What every command knows: which config, which state directory, how to print."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec

from watcher.config import Config, expand, load_config
from watcher.errors import ConfigError
from watcher.paths import StatePaths, default_config_file, default_state_dir

if TYPE_CHECKING:
    import typer

__all__ = ["Settings", "live_stderr", "one_line", "print_json", "say", "settings_of", "shown"]

# Control characters, and those that turn the direction of writing: a file's name may hold them, and anybody who can
# write to a share chooses names. A terminal would obey them: hide lines, change its title, answer with typed text.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass
class Settings:
    """The global options.

    Attributes:
        config_option: `--config`, if it was given.
        state_option: `--state-dir`, if it was given.
        verbose: how often `-v` was given.
    """

    config_option: Path | None = None
    state_option: Path | None = None
    verbose: int = 0

    @property
    def config_file(self) -> Path:
        """The config file in use, whether it exists or not."""
        return self.config_option or default_config_file()

    @cached_property
    def config(self) -> Config:
        """The config, with `--state-dir` applied.

        Raises:
            ConfigError: it can't be used.
        """
        return self.apply(load_config(self.config_file, required=self.config_option is not None))

    def apply(self, config: Config) -> Config:
        """Let `--state-dir` win over the config."""
        if self.state_option is None:
            return config
        return msgspec.structs.replace(config, state_dir=str(expand(str(self.state_option))))

    @cached_property
    def config_trouble(self) -> ConfigError | None:
        """Why the config can't be used; None if it can."""
        try:
            self.config  # noqa: B018 - read for its error
        except ConfigError as error:
            return error
        return None

    @property
    def paths(self) -> StatePaths:
        """The state directory in use, as far as it can be told from a broken config too.

        A slip in the config keeps nobody from asking the daemon that runs.
        """
        if self.state_option is not None:
            return StatePaths(expand(str(self.state_option)))
        return StatePaths(_named_state_dir(self.config_file) if self.config_trouble else self.config.state_path)


def _named_state_dir(file: Path) -> Path:
    """Find the state directory in a config that can't be used, line by line; its default if it isn't said."""
    with suppress(OSError, UnicodeDecodeError):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.lstrip().startswith("["):  # the keys of a table follow
                break
            with suppress(tomllib.TOMLDecodeError):
                named = tomllib.loads(line).get("state_dir")
                if isinstance(named, str) and Path(named).expanduser().is_absolute():
                    return expand(named)
    return default_state_dir()


def settings_of(context: typer.Context) -> Settings:
    """The global options of this call."""
    found = context.find_object(Settings)
    return found or Settings()


def print_json(data: Any) -> None:  # noqa: ANN401 - any JSON-ready value
    """Print for programs."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=not _prints_unicode()) + "\n")
    sys.stdout.flush()  # what can't be printed is told, not found out at the interpreter's end


def shown(path: Path) -> str:
    """A path as text on one line, whatever its bytes."""
    return one_line(os.fsencode(path).decode("utf-8", "replace"))


def one_line(text: str) -> str:
    """Write what a terminal would obey as Python writes it in text, so that a name can't play tricks."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def live_stderr() -> TextIO:
    """A stream for the log that a progress display doesn't draw over."""
    return cast("TextIO", _LiveStderr())


class _LiveStderr:
    """Standard error as it is at each write: while a progress display is shown, the display's own.

    What bypassed the display would be drawn over.
    """

    def write(self, text: str) -> int:
        """Write text; returns its length."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Write out what is buffered."""
        sys.stderr.flush()

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return sys.stderr.isatty()


def say(text: str = "", *, error: bool = False) -> None:
    """Print lines for people; what the terminal's encoding can't show becomes a question mark.

    Lines end where the caller says so: names and messages inside `text` belong into `one_line` where a line break in
    them would mislead. All other characters that a terminal would obey are written as escapes here.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    text = "\n".join(map(one_line, text.split("\n")))
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
