-- The server's jobs. Times are microseconds since 1970 in UTC.

CREATE TABLE jobs (
    id          TEXT    PRIMARY KEY,
    owner       TEXT    NOT NULL,             -- whose key submitted it
    reference   TEXT,                         -- tracking.reference, which makes a repeated submission harmless
    created     INTEGER NOT NULL UNIQUE,      -- each in a millisecond of its own, so that paging is exact
    data_name   TEXT    NOT NULL,
    config      BLOB    NOT NULL,             -- the JobConfig as it was received, JSON
    status      TEXT    NOT NULL CHECK (status IN ('running', 'done', 'rejected', 'deleted', 'expired')),
    duration    REAL,                         -- seconds of audio, known once it was decoded
    crashes     INTEGER NOT NULL DEFAULT 0,   -- workers that died over this job
    errors      BLOB,                         -- JobDetailError[], JSON
    log         TEXT    NOT NULL DEFAULT '',  -- what happened to the job, line by line
    finished    INTEGER                       -- when it reached a status other than running
) STRICT;

CREATE INDEX jobs_by_age ON jobs (owner, created);
CREATE INDEX jobs_by_status ON jobs (status, created);
CREATE UNIQUE INDEX jobs_by_reference ON jobs (owner, reference)
    WHERE reference IS NOT NULL AND status NOT IN ('deleted', 'expired');

CREATE TABLE transcripts (
    job_id      TEXT    PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    json_v2     BLOB    NOT NULL              -- the RetrieveTranscriptResponse; txt and srt are made from it
) STRICT;

-- What was processed, kept when jobs are deleted: the source of GET /v2/usage.
CREATE TABLE usage (
    job_id      TEXT    PRIMARY KEY,
    owner       TEXT    NOT NULL,
    day         TEXT    NOT NULL,             -- YYYY-MM-DD in UTC
    language    TEXT    NOT NULL,
    operating_point TEXT NOT NULL,
    duration    REAL    NOT NULL              -- seconds
) STRICT;

CREATE INDEX usage_by_day ON usage (owner, day);

-- Notifications that are still to be sent; `number` is their place in the config's notification_config.
CREATE TABLE notifications (
    job_id      TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    PRIMARY KEY (job_id, number)
) STRICT;
