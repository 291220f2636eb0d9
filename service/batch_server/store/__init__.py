"""Jobs on disk: SQLite for what is known of them, files for their audio."""
