-- Version 7: recordings that `dropscribe transcribe` was asked for; they belong to no watch folder.

ALTER TABLE entries ADD COLUMN kind TEXT NOT NULL DEFAULT 'WATCHED' CHECK (kind IN ('WATCHED', 'REQUESTED'));
ALTER TABLE entries ADD COLUMN target BLOB CHECK ((target IS NOT NULL) = (kind = 'REQUESTED'));

DROP INDEX entries_by_path;
CREATE UNIQUE INDEX entries_by_path ON entries (path) WHERE current = 1 AND kind = 'WATCHED';
CREATE INDEX entries_requested ON entries (path) WHERE kind = 'REQUESTED';
