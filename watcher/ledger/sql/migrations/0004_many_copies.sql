-- Version 4: whether a copy of a recording is under way is asked for each that waits, and there may be thousands.

DROP INDEX entries_by_content;
CREATE INDEX entries_by_content ON entries (sha256, config_key, state);
