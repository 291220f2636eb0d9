"""The end of a log file, and what is added to it."""

from __future__ import annotations

import os
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["follow", "tail"]

_BLOCK = 65536


def tail(file: Path, lines: int) -> str:
    """Return the last lines of a file, without reading more of it than needed.

    Raises:
        OSError: it can't be read.
    """
    with file.open("rb") as log:
        return _last_lines(log, lines).decode("utf-8", "replace")


def follow(file: Path, lines: int, *, wait: Callable[[], None] = lambda: time.sleep(0.5)) -> Iterator[str]:
    """Yield the last lines and then what is added; when the file is replaced, the new one from its beginning.

    Args:
        file: the log.
        lines: how many of its last lines come first.
        wait: called whenever there is nothing new.

    Raises:
        OSError: it can't be read at the beginning.
    """
    log: IO[bytes] = file.open("rb")
    try:
        yield _last_lines(log, lines).decode("utf-8", "replace")
        while True:
            if added := log.read(_BLOCK):
                yield added.decode("utf-8", "replace")
            elif replaced := _replacement(file, log):
                log.close()
                log = replaced
            else:
                wait()
    finally:
        log.close()


def _last_lines(log: IO[bytes], lines: int) -> bytes:
    """Read backwards until enough line breaks were seen; leaves the file at its end."""
    end = position = log.seek(0, 2)
    kept = b""
    while position > 0 and kept.count(b"\n") <= lines:
        position = max(0, position - _BLOCK)
        log.seek(position)
        kept = log.read(min(_BLOCK, end - position - len(kept))) + kept
    log.seek(end)
    return b"".join(kept.splitlines(keepends=True)[-lines:]) if lines else b""


def _replacement(file: Path, log: IO[bytes]) -> IO[bytes] | None:
    """Open the file anew if its name leads to another one now, or if it was cut."""
    try:
        now, then = file.stat(), os.fstat(log.fileno())
    except FileNotFoundError:
        return None
    if (now.st_ino, now.st_dev) == (then.st_ino, then.st_dev) and now.st_size >= log.tell():
        return None
    return file.open("rb")
