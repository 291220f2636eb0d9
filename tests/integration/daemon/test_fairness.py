"""One recording is not kept waiting by a thousand in another folder; the config says which of a folder go first."""

import os

import pytest

from tests.support.daemon_bench import until, write_recording
from watcher.config import FolderConfig
from watcher.folders.fingerprint import fingerprint
from watcher.ledger import NewEntry, open_ledger
from watcher.models import Engine, EntryState, OutputFormat
from watcher.paths import StatePaths

pytestmark = pytest.mark.anyio
MANY = 1000
FORMATS = (OutputFormat.TXT, OutputFormat.JSON_V2)


def backlog(it, folder, names):
    """Put recordings into a folder and into the ledger, the first the oldest."""
    found = []
    for number, name in enumerate(names):
        path = write_recording(folder / name, name, samples=20)
        os.utime(path, ns=(10**9 * (number + 1),) * 2)
        found.append(NewEntry(folder, path, fingerprint(path), Engine.SPEECHMATICS, {"language": "en"}, FORMATS))
    paths = StatePaths(it.state)
    paths.create()
    ledger = open_ledger(paths.ledger, backups=paths.backups)
    ledger.add(found, now=1.0)
    ledger.close()


@pytest.mark.parametrize("order", ["oldest-first", "newest-first"])
async def test_folders_take_turns_and_each_keeps_its_order(bench, tmp_path, order):
    async with bench(account={"max_uploads": 1}, config={"order": order}) as it:
        other = tmp_path / "other"
        backlog(it, it.inbox, [f"{number:04}.wav" for number in range(MANY)])
        backlog(it, other, ["one.wav"])
        config = it.config(FolderConfig(path=str(it.inbox), settle=0.0), FolderConfig(path=str(other), settle=0.0))
        async with it.running(config=config):
            await until((other / "one.txt").exists)
            await until(lambda: len(it.server.jobs) >= 6)
        names = [job.data_name for job in it.server.jobs]
        assert "one.wav" in names[:2], f"it waited for others: {names[:20]}"
        assert len(names) < MANY / 2
        mine = [name for name in names if name != "one.wav"][:5]
        oldest = [f"{number:04}.wav" for number in range(5)]
        newest = [f"{number:04}.wav" for number in range(MANY - 1, MANY - 6, -1)]
        assert mine == (oldest if order == "oldest-first" else newest)
        counts = it.read(lambda ledger: ledger.counts())
        assert counts[EntryState.WAITING] > MANY / 2
