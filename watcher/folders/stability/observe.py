"""Observes a candidate: its size and times, whether it has a writer, whether its container is complete. Blocking."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from watcher.errors import Unreadable
from watcher.folders.fingerprint import open_recording, unreadable
from watcher.folders.model import Sighting
from watcher.folders.stability.containers import is_complete
from watcher.folders.stability.decide import Observation
from watcher.folders.stability.open_files import open_for_writing

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["observe"]


def observe(path: Path) -> Observation:
    """Observe a file once. Never blocks on a pipe, follows a symbolic link or raises an OSError."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Observation(None)
    except OSError as error:
        return Observation(None, problem=str(unreadable(path, error)))
    if not stat.S_ISREG(found.st_mode):
        return Observation(None)
    try:
        with open_recording(path) as descriptor:
            written = open_for_writing(descriptor)
            # After the lease, to include everything written before it.
            found = os.fstat(descriptor)
            complete = is_complete(descriptor, found.st_size)
    except Unreadable as error:
        return Observation(Sighting.of(path, found), problem=str(error))
    except OSError as error:
        return Observation(Sighting.of(path, found), problem=str(unreadable(path, error)))
    return Observation(Sighting.of(path, found), has_writer=written, complete=complete)
