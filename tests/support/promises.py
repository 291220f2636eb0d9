"""The promises that hold after every run, whatever went wrong in it."""

import collections
import hashlib
import sqlite3
from pathlib import Path

from watcher.ledger import LedgerReader, check_integrity, config_key, connect_readonly
from watcher.models import Engine, EntryState

ENDED = {EntryState.DONE, EntryState.HELD, EntryState.FAILED, EntryState.SKIPPED, EntryState.CANCELLED}
NEEDS_REASON = ENDED - {EntryState.DONE}


def fingerprints(*folders):
    """SHA-256 of every file below some folders, to compare with later."""
    found = {}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                found[path] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def read_entries(ledger_file):
    """Every row of `entries`, superseded ones included."""
    connection = connect_readonly(ledger_file)
    try:
        check_integrity(connection, ledger_file, thorough=True)
        reader = LedgerReader(connection, ledger_file)
        return [reader.entry(row[0]) for row in connection.execute("SELECT id FROM entries ORDER BY id")]
    finally:
        connection.close()


def assert_promises(jobs, ledger_file, *, sources, ended=True, retried=(), put_away=None):
    """Hold a state directory and what the oracle billed against what is promised.

    Args:
        jobs: every job that the fault server ever created.
        ledger_file: the ledger.
        sources: `fingerprints` of the recordings (and of people's own files) from before the run.
        ended: whether every entry must have come to its end.
        retried: digests that a person asked to submit again; they may be billed twice.
        put_away: where `after` puts recordings, by their paths; None: they are deleted.
    """
    put_away = put_away or {}
    changed = {path for path, digest in sources.items() if path not in put_away and _digest(path) != digest}
    assert not changed, f"touched: {changed}"
    entries = read_entries(ledger_file)
    _assert_put_away({path: sources[path] for path in put_away}, put_away, entries)
    _assert_history(ledger_file, entries)
    billed = collections.Counter(
        (job["sha256"], config_key(Engine.SPEECHMATICS, job["config"]["transcription_config"]))
        for job in map(_plain, jobs)
    )
    twice = {key: number for key, number in billed.items() if number > 1 and key[0] not in retried}
    assert not twice, f"billed twice: {twice}"
    if ended:
        left = [(str(entry.path), entry.state, entry.reason) for entry in entries if entry.state not in ENDED]
        assert not left, f"not at their end: {left}"
    mute = [(str(e.path), e.state) for e in entries if e.state in NEEDS_REASON and not e.reason]
    assert not mute, f"ended without a reason: {mute}"
    present = {entry.path for entry in entries if entry.current}
    recordings = {path for path in sources if path.suffix in {".wav", ".mp3"}}
    assert recordings <= present, f"lost: {recordings - present}"
    _assert_outputs(ledger_file, entries)


def _assert_put_away(digests, places, entries):
    """A recording is whole at its old place or its new one; it leaves the old one only if it is DONE."""
    done = {entry.path for entry in entries if entry.state is EntryState.DONE}
    for path, digest in digests.items():
        if path.exists():
            assert _digest(path) == digest, f"touched: {path}"
            assert path not in done, f"{path} was not put away"
            continue
        assert path in done, f"{path} was put away, but has no transcript"
        target = places[path]
        assert target is None or _digest(target) == digest, f"{path} is not whole at {target}"


def _assert_history(ledger_file, entries):
    """Each entry's rows in `events` lead, move by move, to the state that it is in."""
    connection = sqlite3.connect(f"file:{ledger_file}?mode=ro", uri=True)
    try:
        for entry in entries:
            moves = connection.execute(
                "SELECT from_state, to_state FROM events WHERE entry_id = ? ORDER BY id", (entry.id,)
            ).fetchall()
            state = None
            for origin, target in moves:
                assert origin == state, f"{entry.path}: a move from {origin}, though it was {state}"
                state = target
            assert state == entry.state.value, f"{entry.path}: its history ends in {state}, not in {entry.state}"
    finally:
        connection.close()


def _assert_outputs(ledger_file, entries):
    """What is DONE has all of its outputs; each stands where the ledger says, unless a person changed it."""
    connection = connect_readonly(ledger_file)
    try:
        reader = LedgerReader(connection, ledger_file)
        claimed = collections.Counter()
        for entry in entries:
            outputs = reader.outputs(entry.id)
            if entry.state is EntryState.DONE:
                assert {output.format for output in outputs} == set(entry.formats), f"{entry.path}: outputs missing"
            for output in outputs:
                claimed[output.path] += 1
                assert output.path.exists(), f"{entry.path}: {output.path.name} is not there"
        assert max(claimed.values(), default=1) == 1, f"claimed twice: {claimed.most_common(3)}"
    finally:
        connection.close()


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _plain(job):
    return job if isinstance(job, dict) else {"sha256": job.sha256, "config": job.config}
