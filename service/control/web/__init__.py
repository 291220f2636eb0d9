"""The status page: templates, scripts and styles."""
