"""What the control API says about the daemon: as much of it as the tray shows."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["ActiveEntry", "Attention", "Folder", "Hold", "Recent", "Snapshot"]


class Hold(msgspec.Struct, frozen=True):
    """Why submission is stopped for now."""

    name: str
    reason: str = ""
    fix: str = ""
    since: float | None = None
    until: float | None = None


class Attention(msgspec.Struct, frozen=True):
    """Something that needs attention; see `watcher.attention.attention`."""

    kind: str
    reason: str = ""
    fix: str = ""
    count: int = 0


class Folder(msgspec.Struct, frozen=True):
    """A watch folder."""

    path: str
    engine: str | None = None
    state: str = ""
    reason: str = ""
    fix: str = ""


class ActiveEntry(msgspec.Struct, frozen=True):
    """A recording at work."""

    uid: str
    name: str = ""
    state: str = ""
    progress: float | None = None
    reason: str = ""


class Recent(msgspec.Struct, frozen=True):
    """A recording whose transcript is ready; `done_at` is unix time."""

    uid: str
    name: str = ""
    outputs: tuple[str, ...] = ()
    done_at: float | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """One moment of the daemon. Fields that a newer daemon adds are passed over.

    Attributes:
        paused_until: unix time; None: until somebody resumes, if it is paused at all.
        counts: entries by state.
        paused: whether it is paused, whatever else needs attention.
        attention: what needs attention, most important first.
    """

    state: Literal["idle", "working", "paused", "attention"]
    pid: int | None = None
    paused_until: float | None = None
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    paused: bool = False
    attention: tuple[Attention, ...] = ()
    holds: tuple[Hold, ...] = ()
    folders: tuple[Folder, ...] = ()
    active: tuple[ActiveEntry, ...] = ()
    recent: tuple[Recent, ...] = ()

    @property
    def at_work(self) -> int:
        """How many recordings are on their way."""
        return sum(self.counts.get(name, 0) for name in ("WAITING", "SUBMITTING", "SUBMITTED", "TRANSCRIBED"))
