"""What every command knows: which config, which state directory, how to print."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import msgspec

from watcher.config import Config, expand, load_config
from watcher.paths import StatePaths, default_config_file

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

    @property
    def paths(self) -> StatePaths:
        """The state directory in use; with `--state-dir` it is known though the config is broken."""
        if self.state_option is not None:
            return StatePaths(expand(str(self.state_option)))
        return StatePaths(self.config.state_path)


def settings_of(context: typer.Context) -> Settings:
    """The global options of this call."""
    found = context.find_object(Settings)
    return found or Settings()


def print_json(data: Any) -> None:  # noqa: ANN401 - any JSON-ready value
    """Print for programs."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=not _prints_unicode()) + "\n")


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
