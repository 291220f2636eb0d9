"""The running daemon's address, and whether it is alive."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Control", "is_alive", "read_control"]

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Control(msgspec.Struct, frozen=True):
    """The control file: where the daemon listens, the token it wants, and its process number."""

    url: str
    token: str
    pid: int

    def __repr__(self) -> str:  # a token has no place in a log
        return f"Control(url={self.url!r}, pid={self.pid})"


def read_control(file: Path) -> Control | None:
    """Read the control file; None when there is none, or none that can be trusted.

    An address other than this machine's own would get the token, so it is refused.
    """
    try:
        control = msgspec.json.decode(file.read_bytes(), type=Control)
        parts = urlsplit(control.url)
        trusted = parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.username is None
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    return control if trusted else None


def is_alive(control: Control) -> bool:
    """Whether a process with the daemon's number exists; a daemon that was killed leaves its file behind."""
    alive = True
    if sys.platform != "win32":  # there, kill() would end it
        try:
            os.kill(control.pid, 0)
        except ProcessLookupError:
            alive = False
        except (PermissionError, OverflowError):
            alive = True
    return alive
