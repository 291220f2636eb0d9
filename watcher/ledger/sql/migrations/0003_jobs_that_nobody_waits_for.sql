-- Version 3: jobs that nobody waits for are deleted, or taken up again, however many an entry left behind.

ALTER TABLE cleanups RENAME TO cleanups_before;
DROP INDEX cleanups_due;

-- What is left to do: a job that is to be deleted at the service ('job'), a recording to put away ('source').
CREATE TABLE cleanups (
    entry_id   INTEGER NOT NULL REFERENCES entries (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('job', 'source')),
    what       TEXT    NOT NULL,
    path       BLOB,
    account    TEXT,
    key_digest TEXT,
    config_key TEXT,
    since      REAL    NOT NULL,
    due_at     REAL    NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    reason     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (entry_id, kind, what)
) STRICT;

CREATE INDEX cleanups_due ON cleanups (due_at);

INSERT INTO cleanups (entry_id, kind, what, path, account, key_digest, since, due_at, tries, reason)
SELECT entry_id, kind, what, cleanups_before.path, cleanups_before.account, key_digest, since, due_at, tries,
       cleanups_before.reason
FROM cleanups_before JOIN entries ON entries.id = entry_id;

DROP TABLE cleanups_before;
