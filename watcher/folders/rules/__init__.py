"""Which files count as recordings: endings, patterns, and the settings that a folder overrides."""
