"""A new ledger is whole or absent, whenever its first start is killed; a lost one is never replaced by an empty one."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from tests.support.ledger_tools import added, opened
from tests.support.small_disks import fill, mounted
from watcher.errors import LedgerDamaged, LedgerLost, NoLedger, NoSpace
from watcher.ledger import VERSION, check_integrity, connect_readonly, open_readonly

STEPS = (
    "create: empty file",
    "create: schema",
    "create: synced",
    "create: renamed",
    "open: durable",
    "open: migrated",
)


def die_at(folder, step):
    """Open a new ledger in a process of its own, which ends without a trace of cleaning up at one step."""
    program = (
        "import os, sys\n"
        "from tests.support.ledger_tools import opened\n"
        "from pathlib import Path\n"
        "opened(Path(sys.argv[1]), checkpoint=lambda name: name == sys.argv[2] and os._exit(9))\n"
    )
    return subprocess.run([sys.executable, "-c", program, folder, step], check=False).returncode


def assert_usable(folder):
    ledger = opened(folder)
    added(ledger, "a.wav")
    ledger.close()
    connection = connect_readonly(folder / "ledger.sqlite3")
    try:
        check_integrity(connection, folder / "ledger.sqlite3", thorough=True)
        assert connection.execute("PRAGMA user_version").fetchone()[0] == VERSION
    finally:
        connection.close()
    assert [path.name for path in folder.glob("*.new*")] == ["ledger.sqlite3.new.lock"]
    assert (folder / "ledger.sqlite3").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", STEPS)
def test_a_first_start_that_is_killed_does_not_stop_the_next(tmp_path, step):
    assert die_at(tmp_path, step) == 9
    exists = (tmp_path / "ledger.sqlite3").exists()
    assert exists is (STEPS.index(step) >= STEPS.index("create: renamed"))
    if exists:
        open_readonly(tmp_path / "ledger.sqlite3").close()
    else:
        with pytest.raises(NoLedger):
            open_readonly(tmp_path / "ledger.sqlite3")
    assert_usable(tmp_path)


def write_nothing(file):
    file.touch()


def write_header(file):
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    assert file.stat().st_size


def write_unfinished(file):
    """What a process that dies within its first transaction leaves: a header, and frames that no commit closes."""
    program = (
        "import os, sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('PRAGMA journal_mode=WAL')\n"
        "connection.execute('PRAGMA cache_size=1')\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "connection.execute('CREATE TABLE entries (id)')\n"
        "connection.execute('INSERT INTO entries SELECT randomblob(9000) FROM json_each(\\'[1,2,3,4,5,6,7,8]\\')')\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, file], check=False).returncode == 9
    assert file.with_name(f"{file.name}-wal").stat().st_size


@pytest.mark.parametrize("write", [write_nothing, write_header, write_unfinished])
def test_an_empty_ledger_that_was_never_used_becomes_a_ledger(tmp_path, write):
    write(tmp_path / "ledger.sqlite3")
    with pytest.raises(NoLedger):
        open_readonly(tmp_path / "ledger.sqlite3")
    assert_usable(tmp_path)


@pytest.mark.parametrize("ledger", [None, write_nothing, write_header])
@pytest.mark.parametrize("sign", ["backups/ledger-v1.sqlite3", "transcripts/ab/abc"])
def test_a_ledger_that_was_used_is_never_made_anew(tmp_path, ledger, sign):
    (tmp_path / sign).parent.mkdir(parents=True)
    (tmp_path / sign).write_bytes(b"kept")
    file = tmp_path / "ledger.sqlite3"
    if ledger:
        ledger(file)
    before = file.read_bytes() if ledger else None
    for use in (lambda: opened(tmp_path), lambda: open_readonly(file)):
        with pytest.raises(LedgerLost, match=sign.split("/")[0]) as caught:
            use()
        assert "again" in caught.value.fix
        assert (file.read_bytes() if file.exists() else None) == before


@pytest.mark.parametrize("ledger", [None, write_nothing])
def test_commits_that_lie_beside_an_empty_ledger_are_not_thrown_away(tmp_path, ledger):
    file = tmp_path / "ledger.sqlite3"
    wal = tmp_path / "ledger.sqlite3-wal"
    wal.write_bytes(b"frames" * 1000)
    if ledger:
        ledger(file)
    with pytest.raises(LedgerLost, match="-wal is there"):
        opened(tmp_path)
    assert wal.read_bytes() == b"frames" * 1000


@pytest.mark.parametrize(
    ("version", "statement"),
    [(0, "CREATE TABLE theirs (id)"), (VERSION, "CREATE TABLE theirs (id)"), (VERSION, "SELECT 1")],
    ids=["another program's", "a ledger without recordings", "a version without tables"],
)
def test_what_is_no_ledger_is_left_alone(tmp_path, version, statement):
    file = tmp_path / "ledger.sqlite3"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
    before = file.read_bytes()
    for use in (lambda: opened(tmp_path), lambda: open_readonly(file)):
        with pytest.raises(LedgerDamaged, match=r"another program|is missing"):
            use()
    assert file.read_bytes() == before


def test_many_first_starts_at_once_make_one_ledger(tmp_path):
    start = threading.Barrier(6)
    troubles = []

    def add(number):
        start.wait(60)
        try:
            ledger = opened(tmp_path)
            added(ledger, f"{number}.wav")
            ledger.close()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            troubles.append(error)

    threads = [threading.Thread(target=add, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    ledger = opened(tmp_path)
    assert sum(ledger.counts().values()) == 6
    ledger.close()


@pytest.mark.parametrize("room", [0, 1 << 12, 3 << 12, 8 << 12, 16 << 12, 24 << 12])
def test_a_first_start_on_a_full_disk_does_not_stop_a_later_one(tmp_path, room):
    with mounted(tmp_path / "state", "size=1m") as state:
        spare = state / "spare"
        spare.write_bytes(os.urandom(room))
        filler = fill(state)
        spare.unlink()
        with contextlib.suppress(NoSpace):  # with more room it succeeds
            opened(state).close()
        filler.unlink()
        assert_usable(state)
