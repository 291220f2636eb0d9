"""The one error of this package that the caller handles by fetching the transcript again."""

from __future__ import annotations

from watcher.errors import DropscribeError

__all__ = ["DamagedTranscript"]


class DamagedTranscript(DropscribeError):
    """A transcript's bytes are damaged, or not in the service's format; fetch it again."""
