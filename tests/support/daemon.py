"""The real command in a real process, for acceptance tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.waiting import PATIENCE, until

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"


def environment(home: Path) -> dict[str, str]:
    """An environment without the developer's own settings, keys and display."""
    keep = {key: value for key, value in os.environ.items() if key in {"PATH", "LANG", "PYTHONPATH", "SYSTEMROOT"}}
    return {
        **keep,
        "HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "LC_ALL": "C.UTF-8",
    }


class Command:
    """`dropscribe` with a home, a config and a state directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "Recordings"
        self.state = root / "state"
        self.config = root / "home" / ".config" / "dropscribe" / "config.toml"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self._daemons: list[subprocess.Popen[bytes]] = []

    def line(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "service.cli.app", "--state-dir", str(self.state), *map(str, arguments)]

    def run(self, *arguments: object, stdin: str = "", seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.line(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            cwd=ROOT,
            env=environment(self.root / "home"),
        )

    def json(self, *arguments: object) -> Any:
        """Run a command with `--json`; returns what it printed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self) -> subprocess.Popen[bytes]:
        """Watch the folder with the defaults; returns when the daemon answers."""
        return self._start("run", self.folder)

    def start_with_config(self) -> subprocess.Popen[bytes]:
        """Watch what the config names; returns when the daemon answers."""
        return self._start("--config", self.config, "run")

    def ask(self, path: str) -> Any:
        """Ask the daemon's control API."""
        control = json.loads((self.state / "control.json").read_text())
        return httpx.get(control["url"] + path, headers={"Authorization": f"Bearer {control['token']}"}).json()

    def _start(self, *arguments: object) -> subprocess.Popen[bytes]:
        (self.state / "control.json").unlink(missing_ok=True)
        with (self.root / "daemon.log").open("ab") as log:
            daemon = subprocess.Popen(
                self.line(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=environment(self.root / "home"),
            )
        self._daemons.append(daemon)
        until(lambda: (self.state / "control.json").exists() or daemon.poll() is not None, what="the daemon")
        assert daemon.poll() is None, self.log()
        return daemon

    def count(self, state: str) -> int:
        """How many entries the ledger has in a state; much quicker than `status`, so that no moment is missed."""
        if not (self.state / "ledger.sqlite3").exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"file:{self.state}/ledger.sqlite3?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("SELECT count(*) FROM entries WHERE state = ?", [state]).fetchone()[0])

    def log(self) -> str:
        """What the daemons logged."""
        return (self.root / "daemon.log").read_text(encoding="utf-8")

    def close(self) -> None:
        """Stop every daemon that was started, and check that nothing of theirs is left."""
        trees = []
        for daemon in self._daemons:
            if daemon.poll() is None:
                trees += psutil.Process(daemon.pid).children(recursive=True)
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(30)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait(30)
                    raise
        _, alive = psutil.wait_procs(trees, timeout=15)
        for process in alive:
            process.kill()
        assert not alive, f"left behind: {alive}"


def other_bytes(flac: Path, number: int) -> bytes:
    """The same sound in other bytes: a padding block is put behind FLAC's first metadata block."""
    data = flac.read_bytes()
    first = 4 + 4 + int.from_bytes(data[5:8], "big")
    return data[:first] + bytes([1]) + number.to_bytes(3, "big") + bytes(number) + data[first:]
