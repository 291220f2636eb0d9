"""Opening, checking, migrating: what is there is never lost, and never silently made anew."""

import re
import sqlite3

import pytest

from tests.support.ledger_tools import added, claim, opened
from watcher.errors import LedgerDamaged, LedgerError, LedgerTooNew, NotWritable
from watcher.ledger import VERSION, LedgerReader, LedgerWorker, connect_readonly, migrate, open_readonly
from watcher.ledger import ledger as ledger_module
from watcher.ledger.ledger import Ledger
from watcher.models import AttemptState, EntryState


def schema(file):
    connection = sqlite3.connect(file)
    try:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
        return [(kind, name, re.sub(r"\s*([(),])\s*|\s+", r" \1 ", sql or "").split()) for kind, name, sql in rows]
    finally:
        connection.close()


def test_the_migrated_schema_is_the_fresh_one(tmp_path):
    opened(tmp_path).close()
    old = sqlite3.connect(tmp_path / "old.sqlite3")
    for name in migrate.migrations():
        old.executescript(migrate.read_sql("migrations", name))
    old.close()
    assert schema(tmp_path / "old.sqlite3") == schema(tmp_path / "ledger.sqlite3")


def test_what_the_first_version_knew_is_still_known(tmp_path):
    old = sqlite3.connect(tmp_path / "ledger.sqlite3")
    old.executescript(migrate.read_sql("migrations", migrate.migrations()[0]) + "PRAGMA user_version = 1;")
    old.execute(
        "INSERT INTO entries (uid, root, path, name, state, size, mtime_ns, sha256, engine, config, config_key, "
        "formats, added_at, changed_at, reference, account) VALUES ('uid', x'2f61', x'2f612f62', 'b', 'SUBMITTING', "
        "1, 1, 'sha', 'speechmatics', '{}', 'key', 'txt', 1, 1, 'reference', 'cloud')"
    )
    old.execute(
        "INSERT INTO attempts (entry_id, reference, state, account, prepared_at, armed_at) "
        "VALUES (1, 'reference', 'ARMED', 'cloud', 1, 2)"
    )
    old.commit()
    old.close()
    ledger = opened(tmp_path)
    [attempt] = ledger.open_attempts(AttemptState.ARMED)
    assert (attempt.reference, attempt.key_digest) == ("reference", None), "with which key is not known"
    assert ledger.entry(1).state is EntryState.SUBMITTING
    assert len(ledger.salt()) == 32
    ledger.close()
    again = opened(tmp_path)
    assert again.salt() == open_and_read_salt(tmp_path)
    again.close()


def open_and_read_salt(folder):
    reader = open_readonly(folder / "ledger.sqlite3")
    try:
        return reader.salt()
    finally:
        reader.close()


def test_an_older_ledger_is_backed_up_and_brought_to_date(tmp_path, monkeypatch):
    ledger = opened(tmp_path)
    added(ledger, "a.wav")
    ledger.close()
    steps = [*migrate.migrations(), "next.sql"]
    read = migrate.read_sql
    extra = "CREATE TABLE extra (id INTEGER PRIMARY KEY) STRICT;"
    monkeypatch.setattr(migrate, "migrations", lambda: steps)
    for module in (migrate, ledger_module):
        monkeypatch.setattr(module, "VERSION", VERSION + 1)
    monkeypatch.setattr(migrate, "read_sql", lambda *name: extra if name[-1] == "next.sql" else read(*name))
    ledger = opened(tmp_path)
    assert len(ledger.in_state(EntryState.WAITING)) == 1
    ledger.close()
    assert any(row[1] == "extra" for row in schema(tmp_path / "ledger.sqlite3"))
    backup = tmp_path / "backups" / f"ledger-v{VERSION}.sqlite3"
    assert not any(row[1] == "extra" for row in schema(backup))
    with pytest.raises(LedgerError, match="older Dropscribe"):
        open_readonly(backup)
    copy = LedgerReader(connect_readonly(backup), backup)
    assert len(copy.in_state(EntryState.WAITING)) == 1
    copy.close()


def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch):
    opened(tmp_path).close()
    before = schema(tmp_path / "ledger.sqlite3")
    read = migrate.read_sql
    broken = "CREATE TABLE extra (id INTEGER PRIMARY KEY) STRICT; CREATE TABLE extra (id INTEGER) STRICT;"
    steps = [*migrate.migrations(), "next.sql"]
    monkeypatch.setattr(migrate, "migrations", lambda: steps)
    for module in (migrate, ledger_module):
        monkeypatch.setattr(module, "VERSION", VERSION + 1)
    monkeypatch.setattr(migrate, "read_sql", lambda *name: broken if name[-1] == "next.sql" else read(*name))
    with pytest.raises(LedgerError):
        opened(tmp_path)
    assert schema(tmp_path / "ledger.sqlite3") == before


def test_a_ledger_of_a_newer_version_is_refused_untouched(tmp_path):
    opened(tmp_path).close()
    file = tmp_path / "ledger.sqlite3"
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = file.read_bytes()
    with pytest.raises(LedgerTooNew, match="newer Dropscribe"):
        opened(tmp_path)
    assert file.read_bytes() == before


@pytest.mark.parametrize("damage", ["garbage", "a torn page"])
def test_a_damaged_ledger_is_refused_untouched(tmp_path, damage):
    ledger = opened(tmp_path)
    for number in range(50):
        added(ledger, f"{number}.wav")
    ledger.close()
    file = tmp_path / "ledger.sqlite3"
    whole = file.read_bytes()
    file.write_bytes(b"no database" * 500 if damage == "garbage" else whole[:8192] + bytes(4096) + whole[12288:])
    before = file.read_bytes()
    with pytest.raises(LedgerDamaged, match="damaged"):
        opened(tmp_path)
    assert file.read_bytes() == before


def test_the_ledger_is_its_owners_alone_and_durable(tmp_path):
    ledger = opened(tmp_path)
    assert (tmp_path / "ledger.sqlite3").stat().st_mode & 0o777 == 0o600
    asked = {
        name: ledger._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert asked == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    ledger.close()


def test_there_is_no_ledger_to_read_yet(tmp_path):
    with pytest.raises(LedgerError, match="no ledger"):
        open_readonly(tmp_path / "ledger.sqlite3")


def test_another_programs_lock_is_a_passing_trouble(tmp_path):
    ledger = opened(tmp_path)
    other = sqlite3.connect(tmp_path / "ledger.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger._connection.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(NotWritable):
        added(ledger, "a.wav")
    other.execute("ROLLBACK")
    other.close()
    added(ledger, "a.wav")
    ledger.close()


def test_a_failure_before_the_commit_leaves_no_trace_and_nobody_is_told(tmp_path):
    def break_off(name):
        if name == "before commit: claim":
            raise KeyboardInterrupt

    ledger = opened(tmp_path, checkpoint=break_off)
    entry = added(ledger, "a.wav")
    ledger.take_moved()
    with pytest.raises(KeyboardInterrupt):
        claim(ledger)
    assert ledger.entry(entry.id).state is EntryState.WAITING
    assert ledger.latest_attempt(entry.id) is None
    assert ledger.take_moved() == []
    ledger.close()


@pytest.mark.anyio
async def test_the_worker_tells_of_moves_after_the_commit_and_completes_what_it_began(tmp_path):
    import asyncio
    import threading

    moved = []
    going, go = threading.Event(), threading.Event()
    ledger = opened(tmp_path)
    added(ledger, "a.wav")
    entry, _ = claim(ledger)
    ledger.take_moved()
    worker = LedgerWorker(ledger, on_moved=moved.extend)

    def slow_end(ledger):
        going.set()
        go.wait(60)
        return ledger.hold(entry, now=2.0, reason="slow")

    task = asyncio.create_task(worker(slow_end))
    await asyncio.to_thread(going.wait, 60)
    task.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await worker(Ledger.entry, entry.id)).state is EntryState.HELD
    await asyncio.sleep(0)
    assert [each.state for each in moved] == [EntryState.HELD]
    await worker.close()


@pytest.mark.anyio
async def test_a_call_that_ends_while_the_worker_is_closed_breaks_nothing(tmp_path):
    """What was moved is told or not told; the loop must not be given nothing to call."""
    import asyncio
    import threading

    ledger = opened(tmp_path)
    taken, closing = threading.Event(), threading.Event()
    take_moved = ledger.take_moved

    def slow_take():
        taken.set()
        closing.wait(60)
        return take_moved()

    ledger.take_moved = slow_take
    trouble = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
    worker = LedgerWorker(ledger, on_moved=lambda _: None)
    adding = asyncio.create_task(worker(lambda ledger: added(ledger, "a.wav")))
    await asyncio.to_thread(taken.wait, 60)
    ended = asyncio.create_task(worker.close())
    await asyncio.sleep(0)
    closing.set()
    await asyncio.gather(adding, ended)
    await asyncio.sleep(0)
    assert trouble == []


def test_what_version_seven_left_to_do_is_still_left(tmp_path):
    old = sqlite3.connect(tmp_path / "ledger.sqlite3")
    for name in migrate.migrations()[:7]:
        old.executescript(migrate.read_sql("migrations", name))
    old.execute("PRAGMA user_version = 7")
    old.execute(
        "INSERT INTO entries (id, uid, root, path, name, state, size, mtime_ns, sha256, engine, config, config_key, "
        "formats, added_at, changed_at, account) VALUES (1, 'uid', x'2f61', x'2f612f62', 'b', 'CANCELLED', 1, 1, "
        "'sha', 'speechmatics', '{}', 'key', 'txt', 1, 1, 'cloud')"
    )
    old.executemany(
        "INSERT INTO cleanups (entry_id, kind, what, path, account, config_key, since, due_at, tries, reason) "
        "VALUES (1, ?, ?, ?, ?, ?, 1, 1, 2, 'offline')",
        [
            ("job", "orphan", None, "cloud", "key"),
            ("job", "fetched", None, "cloud", None),
            ("source", "trash", b"/a/b", None, None),
        ],
    )
    old.commit()
    old.close()
    ledger = opened(tmp_path)
    left = {cleanup.what: cleanup for cleanup in ledger.due_cleanups(9.0)}
    assert set(left) == {"orphan", "fetched", "trash"}
    assert [job.what for job in ledger.orphaned_jobs(ledger.entry(1), "cloud")] == ["orphan"]
    assert (str(left["trash"].path), left["trash"].account, left["trash"].tries) == ("/a/b", None, 2)
    assert (left["fetched"].path, left["fetched"].account, left["fetched"].reason) == (None, "cloud", "offline")
    ledger.close()
