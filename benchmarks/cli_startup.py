"""How long a person waits for the command: whole processes, beside bare Python and another well-known command line.

The ratios hold on a busy machine too; the milliseconds are of the quickest run, since everything else only adds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.dashboard import Running

if TYPE_CHECKING:
    from collections.abc import Iterator

_RUNS = 15


def run() -> Iterator[tuple[str, str, str]]:
    """Yield each figure with its goal."""
    dropscribe = [sys.executable, "-m", "service.cli.app"]
    with tempfile.TemporaryDirectory() as root, Running.start(Path(root)) as running:
        there = [*dropscribe, "--state-dir", str(running.paths.root)]
        gone = [*dropscribe, "--state-dir", str(Path(root) / "nothing")]
        asked = {
            "python -c pass": ([sys.executable, "-c", "pass"], ""),
            "pip --version": ([sys.executable, "-m", "pip", "--version"], ""),
            "pip --help": ([sys.executable, "-m", "pip", "--help"], ""),
            "dropscribe status, answered by the daemon": ([*there, "status"], "≤ 200 ms"),
            "dropscribe status, without a daemon or ledger": ([*gone, "status"], "≤ 200 ms"),
            "dropscribe --help": ([*dropscribe, "--help"], "≤ 300 ms"),
            "dropscribe status --help": ([*dropscribe, "status", "--help"], "≤ 300 ms"),
        }
        best = _best([command for command, _ in asked.values()])
    pip = best[1]
    for (what, (_, goal)), seconds in zip(asked.items(), best, strict=True):
        yield what, f"{seconds * 1000:.0f} ms", f"{goal:<8}   {seconds / pip:.2f} of pip --version"


def _best(commands: list[list[str]]) -> list[float]:
    """The quickest of several runs of each command in seconds, in turns, so that all meet the same machine."""
    best = [float("inf")] * len(commands)
    for _ in range(_RUNS):
        for number, command in enumerate(commands):
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            best[number] = min(best[number], time.perf_counter() - began)
    return best
