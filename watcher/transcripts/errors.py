"""The one error of this package that the caller answers by fetching the transcript again."""

from __future__ import annotations

from watcher.errors import DropscribeError

__all__ = ["DamagedTranscript"]


class DamagedTranscript(DropscribeError):
    """A transcript's bytes are not what was stored, or not what the service sends; fetch it again."""
