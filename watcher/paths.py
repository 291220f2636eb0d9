"""Where Dropscribe keeps its own files, by the customs of each platform."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

__all__ = ["StatePaths", "default_config_file", "default_state_dir"]

_APP = "dropscribe"


def default_config_file() -> Path:
    """The config that is read when none is named: `config.toml` in the user's config folder."""
    return Path(platformdirs.user_config_dir(_APP, appauthor=False)) / "config.toml"


def default_state_dir() -> Path:
    """The folder for ledger, token and the local server's jobs when the config names none."""
    return Path(platformdirs.user_state_dir(_APP, appauthor=False))


@dataclass(frozen=True, slots=True)
class StatePaths:
    """The files in a state directory."""

    root: Path

    @property
    def ledger(self) -> Path:
        """The SQLite database of all entries."""
        return self.root / "ledger.sqlite3"

    @property
    def backups(self) -> Path:
        """Copies of the ledger from before each migration."""
        return self.root / "backups"

    @property
    def transcripts(self) -> Path:
        """The service's own bytes of every transcript, kept until and after they are published."""
        return self.root / "transcripts"

    @property
    def prepared(self) -> Path:
        """Audio extracted from recordings that the service can't take as they are."""
        return self.root / "prepared"

    @property
    def local_server(self) -> Path:
        """Jobs, audio and log of the embedded server."""
        return self.root / "local-server"

    @property
    def lock(self) -> Path:
        """Held by the one daemon that uses this directory."""
        return self.root / "daemon.lock"

    @property
    def transcribe_lock(self) -> Path:
        """Held by a `dropscribe transcribe` that uses this directory, or wants to: daemons wait for it."""
        return self.root / "transcribe.lock"

    @property
    def control(self) -> Path:
        """Address and token of the running daemon's control API (JSON, mode 0600)."""
        return self.root / "control.json"

    @property
    def log(self) -> Path:
        """The daemon's log when it runs in the background."""
        return self.root / "dropscribe.log"

    def create(self) -> None:
        """Make the directory and its folders, for the user alone (0700)."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.name == "posix":
            self.root.chmod(0o700)
        for folder in (self.transcripts, self.prepared, self.local_server):
            folder.mkdir(exist_ok=True, mode=0o700)
