"""The option `--formats`."""

from __future__ import annotations

from watcher.errors import UsageError
from watcher.models import OutputFormat
from watcher.toml import closest

__all__ = ["parse_formats"]


def parse_formats(text: str) -> tuple[OutputFormat, ...]:
    """Read a list of formats such as `txt,srt`, each once.

    Raises:
        UsageError: one is unknown, or none was named.
    """
    known = ", ".join(OutputFormat)
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(OutputFormat):
            close = closest(name, list(OutputFormat))
            meant = f"Did you mean {close}? " if close else ""
            raise UsageError(f"--formats: there is no format {name!r}.", fix=f"{meant}Known: {known}.")
    if not names:  # transcribing, perhaps paying, and writing nothing helps nobody
        raise UsageError("--formats names no format: no transcript would be written.", fix=f"Known: {known}.")
    return tuple(dict.fromkeys(map(OutputFormat, names)))
