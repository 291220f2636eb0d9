"""What the client's benchmarks share: the scripted server as a process of its own, and measured children."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Row = tuple[str, str, str]
"""(what, ours, the other's or the goal)"""

MEGABYTE = 1_000_000


@contextlib.contextmanager
def scripted_server(**settings: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - the server's settings
    """The fault server, without faults: its URL and its control URL."""
    command = [sys.executable, "-m", "tests.support.fault_server", "--settings", json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or not (line := process.stdout.readline()):
                raise RuntimeError("The scripted server did not start.")
            said = json.loads(line)
            yield said["url"], said["control"]
        finally:
            process.terminate()


def ask(url: str) -> Any:  # noqa: ANN401 - JSON
    """What a control endpoint says."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - our own loopback server
        return json.load(answer)


def measured(module: str, *arguments: str) -> dict[str, Any]:
    """Run a part of a benchmark in a child process and read what it measured about itself."""
    command = [sys.executable, "-m", module, "--child", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    if ran.returncode:
        return {"failed": ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else "no reason given"}
    result: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return result


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes."""
    with contextlib.suppress(OSError):
        # Unlike getrusage, this does not count what the parent held when it forked (man 5 proc, VmHWM).
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # noqa: PLC0415 - there is none on Windows

    factor = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds since then."""
        return time.perf_counter() - self._began


def show(rows: list[Row]) -> None:
    """Print rows as a table."""
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
