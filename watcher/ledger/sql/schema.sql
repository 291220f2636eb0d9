-- The ledger, as a fresh one is made. `migrations/` brings an older one to the same schema.
-- Paths are blobs: a file name is bytes and need not be text. Times are unix seconds, UTC.

CREATE TABLE entries (
    id              INTEGER PRIMARY KEY,
    uid             TEXT    NOT NULL UNIQUE,
    root            BLOB    NOT NULL,
    path            BLOB    NOT NULL,
    name            TEXT    NOT NULL,
    current         INTEGER NOT NULL DEFAULT 1 CHECK (current IN (0, 1)),
    state           TEXT    NOT NULL CHECK (state IN ('WAITING', 'SUBMITTING', 'SUBMITTED', 'TRANSCRIBED', 'DONE',
                                                      'FAILED', 'SKIPPED', 'CANCELLED', 'HELD')),
    size            INTEGER NOT NULL,
    mtime_ns        INTEGER NOT NULL,
    sha256          TEXT    NOT NULL,
    engine          TEXT    NOT NULL,
    config          TEXT    NOT NULL,
    config_key      TEXT    NOT NULL,
    formats         TEXT    NOT NULL,
    media           TEXT,
    added_at        REAL    NOT NULL,
    changed_at      REAL    NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at REAL    NOT NULL DEFAULT 0,
    reason          TEXT    NOT NULL DEFAULT '',
    fix             TEXT    NOT NULL DEFAULT '',
    reference       TEXT,
    job_id          TEXT,
    account         TEXT,
    submitted_at    REAL,
    copy_of         INTEGER REFERENCES entries (id),
    key_digest      TEXT,
    dismissed_at    REAL,
    kind            TEXT    NOT NULL DEFAULT 'WATCHED' CHECK (kind IN ('WATCHED', 'REQUESTED')),
    target          BLOB CHECK ((target IS NOT NULL) = (kind = 'REQUESTED'))
) STRICT;

-- A recording in a watch folder has one current entry; it may have been requested several times, in several ways.
CREATE UNIQUE INDEX entries_by_path ON entries (path) WHERE current = 1 AND kind = 'WATCHED';
CREATE INDEX entries_requested ON entries (path) WHERE kind = 'REQUESTED';
CREATE INDEX entries_by_content ON entries (sha256, config_key, state);
CREATE INDEX entries_by_state ON entries (state, engine, root, mtime_ns);
CREATE INDEX entries_by_change ON entries (changed_at);
CREATE INDEX entries_due ON entries (state, next_attempt_at) WHERE state IN ('WAITING', 'TRANSCRIBED');

CREATE TABLE attempts (
    id           INTEGER PRIMARY KEY,
    entry_id     INTEGER NOT NULL REFERENCES entries (id),
    reference    TEXT    NOT NULL UNIQUE,
    state        TEXT    NOT NULL CHECK (state IN ('PREPARED', 'ARMED', 'ACCEPTED', 'REFUSED', 'ABSENT', 'DROPPED')),
    account      TEXT    NOT NULL,
    prepared_at  REAL    NOT NULL,
    armed_at     REAL,
    ended_at     REAL,
    job_id       TEXT,
    key_digest   TEXT,
    unclear_at   REAL
) STRICT;

CREATE INDEX attempts_by_entry ON attempts (entry_id);
CREATE INDEX attempts_unclear ON attempts (entry_id) WHERE unclear_at IS NOT NULL;
CREATE INDEX attempts_open ON attempts (state) WHERE state IN ('PREPARED', 'ARMED');

CREATE TABLE events (
    id         INTEGER PRIMARY KEY,
    entry_id   INTEGER NOT NULL REFERENCES entries (id),
    at         REAL    NOT NULL,
    from_state TEXT,
    to_state   TEXT    NOT NULL,
    reason     TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX events_by_entry ON events (entry_id);

CREATE TABLE outputs (
    entry_id INTEGER NOT NULL REFERENCES entries (id),
    format   TEXT    NOT NULL,
    path     BLOB    NOT NULL,
    sha256   TEXT    NOT NULL,
    PRIMARY KEY (entry_id, format)
) STRICT;

CREATE INDEX outputs_by_path ON outputs (path);

CREATE TABLE holds (
    name   TEXT PRIMARY KEY,
    since  REAL NOT NULL,
    until  REAL,
    reason TEXT NOT NULL,
    fix    TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE roots (
    path             BLOB PRIMARY KEY,
    first_watched_at REAL NOT NULL,
    baseline         INTEGER NOT NULL DEFAULT 0 CHECK (baseline IN (0, 1))
) STRICT;

-- What the digests of API keys are made with: alone, they don't tell whether a ledger was used with a certain key.
CREATE TABLE salt (value BLOB NOT NULL) STRICT;
INSERT INTO salt (value) VALUES (randomblob(32));

-- What is left to do: delete a job at the service ('job', `what` is its id), or dispose of a recording ('source', `what`
-- is `after`). An adoptable job still serves an entry with this content and config, instead of a new one.
CREATE TABLE cleanups (
    entry_id   INTEGER NOT NULL REFERENCES entries (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('job', 'source')),
    what       TEXT    NOT NULL,
    path       BLOB CHECK ((path IS NOT NULL) = (kind = 'source')),
    account    TEXT CHECK ((account IS NOT NULL) = (kind = 'job')),
    key_digest TEXT,
    config_key TEXT    NOT NULL,
    adoptable  INTEGER NOT NULL DEFAULT 0 CHECK (adoptable IN (0, 1) AND (kind = 'job' OR NOT adoptable)),
    since      REAL    NOT NULL,
    due_at     REAL    NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    reason     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (entry_id, kind, what)
) STRICT;

CREATE INDEX cleanups_due ON cleanups (due_at);
