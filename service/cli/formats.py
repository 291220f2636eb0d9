"""Parses the option `--formats`."""

from __future__ import annotations

from watcher.errors import UsageError
from watcher.models import OutputFormat
from watcher.toml import closest

__all__ = ["parse_formats"]


def parse_formats(text: str) -> tuple[OutputFormat, ...]:
    """Parse a list of formats such as `txt,srt`; duplicates are dropped.

    Raises:
        UsageError: one is unknown, or the list is empty.
    """
    known = ", ".join(OutputFormat)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(OutputFormat):
            close = closest(name, list(OutputFormat))
            meant = f"Did you mean {close}? " if close else ""
            raise UsageError(f"--formats: unknown format {name!r}.", fix=f"{meant}Known: {known}.")
    if not names:  # it would be transcribed, perhaps paid for, and not written
        raise UsageError("--formats is empty, so no transcript would be written.", fix=f"Known: {known}.")
    return tuple(dict.fromkeys(map(OutputFormat, names)))
