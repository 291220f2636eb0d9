"""A large ledger: start with 100,000 entries done, and a backlog of 100,000 that can't be submitted now."""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks._client import MEGABYTE, Row, measured, peak_memory, show
from watcher import logs
from watcher.config import Config, FolderConfig
from watcher.daemon import Daemon
from watcher.errors import EngineUnavailable
from watcher.ledger import NewEntry, open_ledger
from watcher.models import Engine, Fingerprint, OutputFormat
from watcher.paths import StatePaths
from watcher.scheduler import Account
from watcher.speechmatics import AsyncClient

ENTRIES = 100_000
WATCHED_FOR = 20.0
DONE = """
INSERT INTO events (entry_id, at, from_state, to_state) SELECT id, 2, 'WAITING', 'DONE' FROM entries;
INSERT INTO outputs (entry_id, format, path, sha256)
    SELECT id, 'txt', CAST(path || '.txt' AS BLOB), sha256 FROM entries;
UPDATE entries SET state = 'DONE', changed_at = id;
"""


class Offline:
    """A connector to a service that can't be reached."""

    async def connect(self) -> AsyncClient:
        """Fail, as without a network."""
        raise EngineUnavailable("There is no network.")

    def in_use(self, *, busy: bool) -> None:
        """Nothing to start or let go."""


def fill(root: Path, *, done: bool) -> None:
    """Make a ledger with many entries, waiting or done."""
    (root / "inbox").mkdir()
    paths = StatePaths(root / "state")
    paths.create()
    ledger = open_ledger(paths.ledger, backups=paths.backups)
    for first in range(0, ENTRIES, 2000):
        ledger.add([_entry(root / "inbox", number) for number in range(first, first + 2000)], now=1.0)
        ledger.take_moved()
    if done:
        ledger._connection.executescript(f"BEGIN; {DONE} COMMIT;")  # noqa: SLF001 - move by move would take an hour
    ledger.close()


def _entry(inbox: Path, number: int) -> NewEntry:
    path = inbox / f"{number % 1000:03}" / f"a recording with a usual name {number}.wav"
    fingerprint = Fingerprint(1000 + number, number, f"{number:064x}")
    formats = (OutputFormat.TXT, OutputFormat.JSON_V2)
    return NewEntry(inbox, path, fingerprint, Engine.SPEECHMATICS, {"language": "en"}, formats)


async def start(root: Path, seconds: float) -> dict[str, float]:
    """Start the daemon, run it for a while, and say how long and how much it took."""
    logs.configure(stream=(root / "daemon.log").open("w"))
    folder = FolderConfig(path=str(root / "inbox"))
    config = Config(engine=Engine.SPEECHMATICS, state_dir=str(root / "state"), folders=(folder,))
    account = Account(Engine.SPEECHMATICS, "benchmark", Offline(), max_uploads=4)
    daemon = Daemon(config, [account])
    began = time.perf_counter()
    task = asyncio.create_task(daemon.run())
    control = await daemon.ready()
    counts = (await control.snapshot())["counts"]
    ready = time.perf_counter() - began
    await asyncio.sleep(2)
    early = peak_memory()
    await asyncio.sleep(seconds)
    late = peak_memory()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return {"ready": ready, "early": early, "late": late, "entries": float(sum(counts.values()))}


def run() -> list[Row]:
    """Each in a child process, whose memory is counted."""
    rows: list[Row] = []
    for title, done in (("done", True), ("waiting, offline", False)):
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder), done=done)
            found = measured("benchmarks.scheduler_scale", folder, str(0.0 if done else WATCHED_FOR))
        if "failed" in found:
            rows.append((f"{ENTRIES:,} entries {title}", str(found["failed"]), ""))
            continue
        name = f"{int(found['entries']):,} entries {title}"
        rows.append((f"{name}: start to the first full answer", f"{found['ready']:.2f} s", "goal 5 s"))
        rows.append((f"{name}: peak memory", f"{found['late'] / MEGABYTE:.0f} MB", "goal 150 MB"))
        if not done:
            growth = (found["late"] - found["early"]) / MEGABYTE
            rows.append((f"{name}: growth of the peak in {WATCHED_FOR:g} s", f"{growth:.1f} MB", "goal: flat"))
    return rows


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(asyncio.run(start(Path(sys.argv[2]), float(sys.argv[3])))))
    else:
        show(run())
