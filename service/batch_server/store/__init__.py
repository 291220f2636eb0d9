"""Jobs on disk: a SQLite database, and files for their audio."""
