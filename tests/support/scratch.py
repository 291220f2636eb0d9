"""Folders to try things in, and what changed in them."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def quick_folder():
    """A folder in memory where there is one: these tests wait for the disk thousands of times."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None, prefix="dropscribe-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything in a folder: which file each name stands for, and what it holds."""
    found = {}
    for path in folder.iterdir():
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        target = str(path.readlink()) if path.is_symlink() else None
        found[path.name] = (status.st_ino, status.st_mode, content, target)
    return found


def new_files(folder: Path, before: dict[str, tuple[object, ...]]) -> dict[str, bytes]:
    """The visible files that were not there before, after a check that what was there is untouched."""
    now = snapshot(folder)
    assert {name: now.get(name) for name in before} == before
    return {name: entry[2] for name, entry in now.items() if name not in before and not name.startswith(".dropscribe-")}
