"""What every command knows: which config, which state directory, how to print."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from watcher.config import Config, load_config
from watcher.paths import StatePaths, default_config_file

if TYPE_CHECKING:
    import typer

__all__ = ["Settings", "print_json", "say", "settings_of", "shown"]


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
        return msgspec.structs.replace(config, state_dir=str(self.state_option))

    @property
    def paths(self) -> StatePaths:
        """The state directory in use."""
        return StatePaths(self.config.state_path)


def settings_of(context: typer.Context) -> Settings:
    """The global options of this call."""
    found = context.find_object(Settings)
    return found or Settings()


def print_json(data: Any) -> None:  # noqa: ANN401 - any JSON-ready value
    """Print for programs."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=not _prints_unicode()) + "\n")


def shown(path: Path) -> str:
    """A path as text, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "replace")


def say(text: str = "", *, error: bool = False) -> None:
    """Print for people; what the terminal's encoding can't show becomes a question mark."""
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
