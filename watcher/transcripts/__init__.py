"""Turns the service's results into the files beside a recording.

`formats` makes the outputs' bytes, `naming` their names, `store` keeps the originals safe, `writer`
writes the outputs.
"""

from __future__ import annotations

from watcher.transcripts.errors import DamagedTranscript
from watcher.transcripts.formats import SERVICE_FORMATS, needed_originals, render, transcript_duration
from watcher.transcripts.naming import Place, first_free_stem, portable_name, stems, target_folder
from watcher.transcripts.store import TranscriptStore
from watcher.transcripts.writer import TranscriptWriter

__all__ = [
    "SERVICE_FORMATS",
    "DamagedTranscript",
    "Place",
    "TranscriptStore",
    "TranscriptWriter",
    "first_free_stem",
    "needed_originals",
    "portable_name",
    "render",
    "stems",
    "target_folder",
    "transcript_duration",
]
