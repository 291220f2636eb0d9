"""The global options of a command: which config and which state directory it uses."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from watcher.config import Config, expand, load_config
from watcher.errors import ConfigError
from watcher.paths import StatePaths, default_config_file, default_state_dir

if TYPE_CHECKING:
    import typer

__all__ = ["Settings", "settings_of"]


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
        """The config file in use; it need not exist."""
        return self.config_option or default_config_file()

    @cached_property
    def config(self) -> Config:
        """The config, with `--state-dir` applied.

        Raises:
            ConfigError: it can't be used.
        """
        return self.apply(load_config(self.config_file, required=self.config_option is not None))

    def apply(self, config: Config) -> Config:
        """Apply `--state-dir`, which overrides the config."""
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
        """The state directory in use, even if the config is broken, so that commands still reach the daemon."""
        if self.state_option is not None:
            return StatePaths(expand(str(self.state_option)))
        return StatePaths(_named_state_dir(self.config_file) if self.config_trouble else self.config.state_path)


def _named_state_dir(file: Path) -> Path:
    """Read `state_dir` from a config that can't be parsed as a whole; the default if it isn't set."""
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
