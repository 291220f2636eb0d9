"""Ledgers and entries for the ledger's own tests."""

from pathlib import Path

from watcher.ledger import NewEntry, open_ledger
from watcher.models import Engine, EntryState, Fingerprint, OutputFormat

ROOT = Path("/watched")
CONFIG = {"language": "en"}
CLOUD = "speechmatics https://example"


def opened(folder, **more):
    return open_ledger(folder / "ledger.sqlite3", backups=folder / "backups", **more)


def new(name, sha="", *, root=ROOT, engine=Engine.SPEECHMATICS, mtime_ns=1, **more):
    more.setdefault("config", CONFIG)
    more.setdefault("formats", (OutputFormat.TXT,))
    digest = Fingerprint(10, mtime_ns, sha or f"sha of {name}")
    return NewEntry(root=root, path=root / name, fingerprint=digest, engine=engine, **more)


def added(ledger, name, sha="", *, now=1.0, **more):
    [(entry, is_new)] = ledger.add([new(name, sha, **more)], now=now)
    assert is_new
    return entry


def claim(ledger, *, root=ROOT, engine=Engine.SPEECHMATICS, now=100.0, reference=None, reusable=None, **more):
    claim.count += 1
    return ledger.claim(
        engine,
        root,
        account=CLOUD,
        reference=reference or f"reference {claim.count}",
        now=now,
        reusable=reusable or (lambda _entry, _twin, _owner: False),
        **more,
    )


claim.count = 0


def submitted(ledger, *, job_id="job", now=100.0):
    _entry, attempt = claim(ledger, now=now)
    ledger.arm(attempt, now=now, key="key")
    return ledger.accept(attempt, job_id, now=now, key="key")


def done(ledger, **more):
    entry = submitted(ledger, **more)
    entry = ledger.transcribed(entry, now=101.0)
    return ledger.done(entry, (), now=102.0)


def states(ledger):
    return {entry.path.name: entry.state for state in EntryState for entry in ledger.in_state(state)}
