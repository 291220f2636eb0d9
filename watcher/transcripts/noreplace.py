"""Renaming that never replaces: each platform's own call for it."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["rename"]

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1  # renameat2(2), linux/fs.h
_RENAME_EXCL = 4  # renamex_np(2), macOS sys/stdio.h


def rename(source: Path, target: Path) -> None:
    """Rename a file unless something stands at the target.

    Raises:
        FileExistsError: the target is taken.
        OSError: EINVAL where the file system can't do it, ENOSYS where the system can't; or another failure.
    """
    if sys.platform == "win32":
        source.rename(target)  # MoveFile without MOVEFILE_REPLACE_EXISTING: fails if the target exists
    elif sys.platform == "darwin":
        _call("renamex_np", os.fsencode(source), os.fsencode(target), ctypes.c_uint(_RENAME_EXCL))
    else:
        here = ctypes.c_int(_AT_FDCWD)
        flags = ctypes.c_uint(_RENAME_NOREPLACE)
        _call("renameat2", here, os.fsencode(source), here, os.fsencode(target), flags)


if sys.platform != "win32":

    def _call(name: str, *arguments: object) -> None:
        function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
        if function is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        function.restype = ctypes.c_int
        if function(*arguments) != 0:
            code = ctypes.get_errno()
            paths = [os.fsdecode(value) for value in arguments if isinstance(value, bytes)]
            raise OSError(code, os.strerror(code), paths[0], None, paths[1])
