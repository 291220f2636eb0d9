-- Version 8: whether a left job may be adopted is a column of its own; each kind of cleanup has what it needs.

ALTER TABLE cleanups RENAME TO cleanups_before;
DROP INDEX cleanups_due;

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

INSERT INTO cleanups (entry_id, kind, what, path, account, key_digest, config_key, adoptable, since, due_at, tries,
                      reason)
SELECT b.entry_id, b.kind, b.what, iif(b.kind = 'source', coalesce(b.path, e.path), NULL),
       iif(b.kind = 'job', coalesce(b.account, e.account, ''), NULL), b.key_digest,
       coalesce(b.config_key, e.config_key), b.kind = 'job' AND b.config_key IS NOT NULL, b.since, b.due_at, b.tries,
       b.reason
FROM cleanups_before AS b JOIN entries AS e ON e.id = b.entry_id;

DROP TABLE cleanups_before;
