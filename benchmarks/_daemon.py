"""A real daemon in a real process, for benchmarks."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(__file__).parents[1] / "tests" / "data"


@dataclass
class RunningDaemon:
    """A daemon with its folders."""

    process: subprocess.Popen[bytes]
    folder: Path
    state: Path

    def tree(self) -> list[psutil.Process]:
        """The daemon and all its children."""
        daemon = psutil.Process(self.process.pid)
        return [daemon, *daemon.children(recursive=True)]


@contextmanager
def running_daemon(config: str = "") -> Iterator[RunningDaemon]:
    """Run `dropscribe run` on a folder of its own, and stop it afterwards."""
    with tempfile.TemporaryDirectory(prefix="dropscribe-bench-") as name:
        root = Path(name)
        folder, state = root / "Recordings", root / "state"
        folder.mkdir()
        file = root / "config.toml"
        file.write_text(f"{config}\n[dashboard]\nport = 0\n[[folders]]\npath = {json.dumps(str(folder))}\n")
        command = [sys.executable, "-m", "service.cli.app", "--config", str(file), "--state-dir", str(state), "run"]
        with (root / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(__file__).parents[1])
            try:
                wait_for((state / "control.json").exists, 60)
                yield RunningDaemon(process, folder, state)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    """Wait until a condition holds; returns the seconds that it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError
        time.sleep(0.005)
    return time.monotonic() - began


def drop(source: Path, target: Path, *, seconds: float = 120) -> float:
    """Copy a recording in; returns the seconds from the end of the copy until its transcript is there."""
    data = source.read_bytes()
    with target.open("wb") as file:
        file.write(data)
    return wait_for(target.with_suffix(".json").exists, seconds)


def disk_bytes(processes: list[psutil.Process]) -> int:
    """Bytes that these processes caused to be written to disk."""
    total = 0
    for process in processes:
        text = Path(f"/proc/{process.pid}/io").read_text()
        total += int(dict(line.split(": ") for line in text.splitlines())["write_bytes"])
    return total


def proportional_memory(processes: list[psutil.Process]) -> int:
    """Bytes of memory of these processes, what they share counted once (PSS)."""
    return sum(process.memory_full_info().pss for process in processes)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Seconds of processor time."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)
