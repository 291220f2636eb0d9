"""Prints for people and for programs, safely on any terminal."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["live_stderr", "one_line", "print_json", "say", "shown"]

# Control characters, and characters that change the direction of writing. Anybody who can write to a share chooses
# file names, and a terminal obeys what is in them: it hides lines, changes its title, or sends text back as typed.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def print_json(data: Any) -> None:  # noqa: ANN401 - any JSON-ready value
    """Print JSON, for programs."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=not _prints_unicode()) + "\n")
    sys.stdout.flush()  # so that a full disk is an error here, not a traceback at exit


def shown(path: Path) -> str:
    """Format a path for a terminal: on one line, whatever its bytes."""
    return one_line(os.fsencode(path).decode("utf-8", "replace"))


def one_line(text: str) -> str:
    """Escape control characters, so that a file's name can't control the terminal."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def live_stderr() -> TextIO:
    """Return a stream for the log that works together with a progress display."""
    return cast("TextIO", _LiveStderr())


class _LiveStderr:
    """Looks up `sys.stderr` at each write: a progress display replaces it, and would draw over anything else."""

    def write(self, text: str) -> int:
        """Write text; returns its length."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """Write out what is buffered."""
        sys.stderr.flush()

    def isatty(self) -> bool:
        """Whether a person reads it."""
        return sys.stderr.isatty()


def say(text: str = "", *, error: bool = False) -> None:
    """Print text for people. Characters that the terminal's encoding can't show become question marks.

    Control characters are escaped, except line breaks. Pass names and messages through `one_line` first where a line
    break in them would mislead.
    """
    stream = sys.stderr if error else sys.stdout
    encoding = stream.encoding or "utf-8"
    text = "\n".join(map(one_line, text.split("\n")))
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _prints_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
