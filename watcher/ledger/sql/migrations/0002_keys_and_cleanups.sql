-- Version 2: with which key a job was submitted, and what is left to do once a transcript is safe.

ALTER TABLE entries ADD COLUMN key_digest TEXT;
ALTER TABLE attempts ADD COLUMN key_digest TEXT;

-- What the digests of API keys are made with: alone, they don't tell whether a ledger was used with a certain key.
CREATE TABLE salt (value BLOB NOT NULL) STRICT;
INSERT INTO salt (value) VALUES (randomblob(32));

-- What is left to do once a transcript is safe: the job at the service ('job'), the recording ('source').
CREATE TABLE cleanups (
    entry_id INTEGER NOT NULL REFERENCES entries (id),
    kind     TEXT    NOT NULL CHECK (kind IN ('job', 'source')),
    what     TEXT    NOT NULL,
    path     BLOB,
    account  TEXT,
    since    REAL    NOT NULL,
    due_at   REAL    NOT NULL,
    tries    INTEGER NOT NULL DEFAULT 0,
    reason   TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (entry_id, kind)
) STRICT;

CREATE INDEX cleanups_due ON cleanups (due_at);
