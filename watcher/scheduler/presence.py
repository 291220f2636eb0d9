"""Whether a recording is still there; a whole folder that is gone says nothing about what was in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.models import Entry

__all__ = ["exists", "has_left"]


def exists(path: Path) -> bool:
    """Whether something is at this path; where that can't be told, it counts as there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def has_left(entry: Entry) -> bool:
    """Whether a recording is not at its path any more, though its watch folder is there."""
    return os.path.isdir(entry.root) and not exists(entry.path)  # noqa: PTH112 - Path.is_dir raises on some errors
