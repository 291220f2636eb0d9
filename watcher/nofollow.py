"""Opening files and folders below a root without following symbolic links.

A watch folder, and the folder that a config names for outputs, may themselves be reached through links: that is the
person's choice. Below them no link is followed, neither when they are scanned nor later: whoever can write to a shared
folder must not be able to send, overwrite or delete what lies elsewhere by replacing a file or a folder with a link.

On Linux and macOS each component is opened relative to its parent with O_NOFOLLOW, so nothing can be swapped between a
check and its use. Windows has no such call: there each component is checked for links and junctions, and the opened
file is compared with what was checked.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["IsALink", "folder_below", "open_below", "path_of_descriptor"]

_FILE = os.O_RDONLY
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOCTTY"):
    _FILE |= getattr(os, _flag, 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
if sys.platform == "linux":
    _FOLDER |= os.O_PATH  # needs no permission to list the folder
_BY_DESCRIPTOR = "/proc/self/fd"


class IsALink(OSError):
    """A symbolic link or junction stands where a file or folder of the watch folder belongs."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.ELOOP, "a symbolic link is in the way, and links are not followed", str(path))


def open_below(root: Path, path: Path) -> int:
    """Open a file for reading; never waits for a named pipe.

    Args:
        root: the folder down to which links may be followed.
        path: the file, below `root`.

    Returns:
        The descriptor, of whatever is there: the caller checks that it is a regular file.

    Raises:
        IsALink: the path, or a folder between it and the root, is a link.
        OSError: it can't be opened.
    """
    if sys.platform == "win32":
        return _open_checked(root, path)
    else:  # noqa: RET505 - for mypy, which checks each branch on its own platform
        with _descend(root, path.parent) as folder:
            try:
                return os.open(path.name, _FILE, dir_fd=folder)
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.EMLINK}:  # FreeBSD says EMLINK
                    raise IsALink(path) from None
                raise


@contextlib.contextmanager
def folder_below(root: Path, folder: Path, *, mkdir: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Give a path by which a folder can be used, whatever is swapped for a link meanwhile.

    On Linux it leads through an open descriptor. Elsewhere it is the folder's own path, checked for links just now.

    Args:
        root: the folder down to which links may be followed.
        folder: below `root`, or `root` itself.
        mkdir: makes a missing folder below the root; None: a missing one is an error.

    Raises:
        IsALink: the folder, or one between it and the root, is a link.
        OSError: it can't be opened or made.
    """
    if sys.platform == "win32":
        _check(root, folder, mkdir)
        yield folder
    else:
        with _descend(root, folder, mkdir) as descriptor:
            yield path_of_descriptor(descriptor) or folder


def path_of_descriptor(descriptor: int) -> Path | None:
    """The path by which an open file or folder can be opened again, whatever is at its name now; None if none does."""
    if sys.platform == "linux" and os.path.isdir(_BY_DESCRIPTOR):  # noqa: PTH112 - no Path for each call
        return Path(_BY_DESCRIPTOR, str(descriptor))
    return None


def _parts(root: Path, path: Path) -> tuple[str, ...]:
    parts = path.relative_to(root).parts
    if ".." in parts:
        raise ValueError(f"{path} leads out of {root}")
    return parts


if sys.platform == "win32":

    def _is_link(found: os.stat_result) -> bool:
        return found.st_reparse_tag in {stat.IO_REPARSE_TAG_SYMLINK, stat.IO_REPARSE_TAG_MOUNT_POINT}

    def _check(root: Path, path: Path, mkdir: Callable[[Path], None] | None = None) -> None:
        place = root
        for part in _parts(root, path):
            place /= part
            if mkdir is not None and not os.path.lexists(place):
                mkdir(place)
            if _is_link(os.lstat(place)):
                raise IsALink(place)

    def _open_checked(root: Path, path: Path) -> int:
        _check(root, path)
        found = path.lstat()
        descriptor = os.open(path, _FILE)
        opened = os.fstat(descriptor)
        if (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino):
            os.close(descriptor)
            raise IsALink(path)
        return descriptor

else:

    @contextlib.contextmanager
    def _descend(root: Path, folder: Path, mkdir: Callable[[Path], None] | None = None) -> Iterator[int]:
        """Open a folder, component by component; yields its descriptor."""
        parts = _parts(root, folder)
        descriptor = os.open(root, _FOLDER)
        try:
            place = root
            for part in parts:
                place /= part
                descriptor, above = _enter(descriptor, part, place, mkdir), descriptor
                os.close(above)
            yield descriptor
        finally:
            os.close(descriptor)

    def _enter(above: int, name: str, place: Path, mkdir: Callable[[Path], None] | None) -> int:
        try:
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
        except FileNotFoundError:
            if mkdir is None:
                raise
            with contextlib.suppress(FileExistsError):
                parent = path_of_descriptor(above)
                mkdir(parent / name if parent else place)
            return _enter(above, name, place, None)
        except OSError as error:
            # A link is ENOTDIR or ELOOP, by system; a plain file is ENOTDIR too.
            if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}:
                found = os.stat(name, dir_fd=above, follow_symlinks=False)
                if stat.S_ISLNK(found.st_mode):
                    raise IsALink(place) from None
            raise
