"""A temporary folder for one command's copies of recordings."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["work_folder"]

_PREFIX = "dropscribe-"
_LOCK = "in-use.lock"
_NEW = 60.0
"""Seconds during which a folder may belong to a command that is just about to lock it."""


@contextmanager
def work_folder() -> Iterator[Path]:
    """Create a private temporary folder, and remove it at the end.

    Also removes folders that were left behind by a killed command or a power cut.
    """
    _remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        folder = Path(name)
        with FileLock(folder / _LOCK):
            yield folder


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of commands that are no longer running: nobody holds their locks."""
    for folder in parent.glob(f"{_PREFIX}*"):
        lock = folder / _LOCK
        with suppress(OSError, Timeout):
            mine = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
            if not mine or folder.is_symlink() or time.time() - lock.stat().st_mtime < _NEW:
                continue
            with FileLock(lock, timeout=0):
                pass
            shutil.rmtree(folder)
