"""A process that watches folders and says what it sees, for tests that stop it, limit it or mount under it.

Standard output: one JSON object per line, `{"settled": path}` or `{"status": [...]}` whenever that changes.
Standard input: shell commands to run inside the process's namespaces; each is answered with `{"ran": status}`.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from watcher import logs
from watcher.clock import SystemClock
from watcher.folders import FolderWatch, Settled, StabilityPolicy
from watcher.models import WatchFolder
from watcher.timings import FolderTimings


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main(folders):
    logs.configure()
    known = set()

    async def is_known(sightings):
        return [(seen.path, seen.size, seen.mtime_ns) in known for seen in sightings]

    watch = FolderWatch(
        [WatchFolder(Path(folder), settle=0.3) for folder in folders],
        clock=SystemClock(),
        known=is_known,
        rescan=300.0,
        policy=StabilityPolicy(incomplete=3.0),
        timings=FolderTimings(poll=0.2),
    )

    async def take():
        async for item in watch:
            if isinstance(item, Settled):
                known.add((item.path, item.size, item.mtime_ns))
                say(settled=os.fspath(item.path))

    async def tell():
        before = None
        while True:
            now = [
                {"watching": s.watching, "why": s.why, "fix": s.fix, "problems": s.problems, "scanned": s.last_scan}
                for s in watch.status()
            ]
            if now != before:
                say(status=now)
                before = now
            await asyncio.sleep(0.05)

    async def obey():
        while line := await asyncio.to_thread(sys.stdin.readline):
            done = await asyncio.to_thread(subprocess.run, line, shell=True, check=False)  # noqa: S604 - the test's own words
            say(ran=done.returncode)
        os._exit(0)

    await asyncio.gather(watch.run(), take(), tell(), obey())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
