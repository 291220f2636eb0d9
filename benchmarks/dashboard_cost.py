"""What the control API adds to the daemon: memory, and work while nothing happens; and the client's own start."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEASURE = """
import asyncio, json, sys
from contextlib import AsyncExitStack
from pathlib import Path
import psutil
import service.host, service.desktop_notifications

memory = lambda: psutil.Process().memory_info().rss / 1e6
daemon = memory()
from service.control.server import serve_dashboard
import uvicorn.protocols.http.h11_impl
loaded = memory() - daemon
from service.control.client import ControlClient
from tests.support.dashboard import Plant

async def wakes(seconds):
    loop, calls = asyncio.get_running_loop(), 0
    once = loop._run_once
    def counted():
        nonlocal calls
        calls += 1
        once()
    loop._run_once = counted
    await asyncio.sleep(seconds)
    loop._run_once = once
    return calls / seconds

async def main(root):
    async with AsyncExitStack() as stack:
        plant = Plant(root)
        control = await plant.start(stack)
        for number in range(20):
            await plant.found(f"{number}.wav")
        await asyncio.sleep(3)
        without = await wakes(4)
        before = memory()
        await stack.enter_async_context(serve_dashboard(control, plant.paths, 0))
        serving = memory() - before
        within = await wakes(4)
        client = ControlClient.from_state(plant.paths)
        stream = client.events()
        await asyncio.to_thread(next, stream)
        for _ in range(50):
            await asyncio.to_thread(client.status)
            await asyncio.to_thread(client.entries)
        used = memory() - before
        await asyncio.to_thread(stream.close)
        found = {"started": loaded + serving, "used": loaded + used, "wakes": within - without}
        print(json.dumps(found))

asyncio.run(main(Path(sys.argv[1])))
"""

_ASK = """
from pathlib import Path
from service.control.client import ControlClient
from watcher.paths import StatePaths
client = ControlClient.from_state(StatePaths(Path({root!r})))
assert client.status()["pid"]
"""


def run() -> Iterator[tuple[str, str, str]]:
    """Yield each figure with its goal."""
    with tempfile.TemporaryDirectory() as root:
        done = subprocess.run([sys.executable, "-c", _MEASURE, root], check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    yield "memory that the control API adds: just started", f"{found['started']:.1f} MB", ""
    yield "memory that it adds: after 100 requests and a listener", f"{found['used']:.1f} MB", ""
    yield "wake-ups of the event loop that it adds, idle", f"{found['wakes']:.1f} / s", ""
    yield "a program that asks for the status, start to end", _ask(), "≤ 200 ms"


def _ask() -> str:
    from pathlib import Path  # noqa: PLC0415 - with the next, only for this figure

    from tests.support.dashboard import Running  # noqa: PLC0415 - it loads the daemon, which is measured above

    times = []
    with tempfile.TemporaryDirectory() as root, Running.start(Path(root)) as running:
        program = _ASK.format(root=str(running.paths.root))
        for _ in range(9):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            times.append(time.perf_counter() - began)
    return f"{statistics.median(times) * 1000:.0f} ms"
