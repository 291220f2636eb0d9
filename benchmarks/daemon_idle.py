"""What the daemon costs when there is nothing to do: processor, memory, disk."""

from __future__ import annotations

import time

from benchmarks._daemon import DATA, cpu_seconds, disk_bytes, drop, proportional_memory, running_daemon, wait_for

_SECONDS = 60
_IDLE_RELEASE = 2


def run() -> list[tuple[str, str, str]]:
    """Transcribe once, wait until the model is let go, then watch for a minute."""
    with running_daemon(f"[local]\nidle_release = {_IDLE_RELEASE}") as daemon:
        drop(DATA / "leisure.flac", daemon.folder / "a.flac")
        wait_for(lambda: len(daemon.tree()) == 1, 90)
        time.sleep(2)
        processes = daemon.tree()
        cpu, written = cpu_seconds(processes), disk_bytes(processes)
        time.sleep(_SECONDS)
        cpu, written = cpu_seconds(processes) - cpu, disk_bytes(processes) - written
        memory = proportional_memory(processes)
        resident = sum(process.memory_info().rss for process in processes)
    return [
        (f"idle for {_SECONDS} s: share of a core", f"{100 * cpu / _SECONDS:.2f} %", "≤ 0.2 %"),
        ("idle: memory, all processes (PSS)", f"{memory / 1e6:.0f} MB", f"≤ 80 MB (resident: {resident / 1e6:.0f} MB)"),
        ("idle: written to disk", f"{written:,} bytes", "none"),
    ]


if __name__ == "__main__":
    for row in run():
        print(*row, sep="\t")
