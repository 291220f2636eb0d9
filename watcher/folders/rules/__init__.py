"""Which files are recordings: extensions, patterns, and settings that files in a folder override."""
