"""What needs a person's attention, and the one word for the whole. Pure.

This is the only definition. The page, the tray icon, `dropscribe status`, notifications and the service manager's
status line show what it returns; the ledger counts the recordings that `NEEDS_ATTENTION` names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watcher.models import PAUSE, EntryState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "ATTENTION",
    "DISMISSIBLE",
    "NEEDS_ATTENTION",
    "attention",
    "entry_needs_attention",
    "is_paused",
    "overall_state",
]

ATTENTION = "attention"
"""What people type in place of a state to choose the recordings that need attention."""

NEEDS_ATTENTION = frozenset({EntryState.FAILED, EntryState.HELD})
"""States in which a current recording needs attention, unless it was dismissed."""

DISMISSIBLE = frozenset({EntryState.FAILED})
"""States that can be dismissed. A HELD recording may have been paid for: only retry or cancel settles it."""


def entry_needs_attention(state: EntryState, *, dismissed_at: float | None, current: bool = True) -> bool:
    """Whether a recording needs attention: it failed or is held, and was not dismissed or replaced."""
    return current and state in NEEDS_ATTENTION and dismissed_at is None


def is_paused(holds: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the person paused everything."""
    return any(hold["name"] == PAUSE for hold in holds)


def attention(
    recordings: Mapping[EntryState, int],
    holds: Iterable[Mapping[str, Any]] = (),
    folders: Iterable[Mapping[str, Any]] = (),
    config_problem: str = "",
) -> list[dict[str, Any]]:
    """List what needs attention, most important first.

    What a person chose (a pause, a paused folder) and what Dropscribe retries by itself needs none.

    Args:
        recordings: how many recordings need attention, by state; see `LedgerReader.count_attention`.
        holds: as JSON; see `describe_hold`.
        folders: as JSON, with `path`, `state`, `reason`, `fix` and `problems`.
        config_problem: why the config can't be used or isn't in force; may be empty.

    Returns:
        JSON-ready items: `kind` (`config`, `hold`, `folder`, `held` or `failed`), `name`, `reason`, `fix` and `count`,
        the number of recordings for the last two kinds.
    """
    items = [_item("config", "config", config_problem)] if config_problem else []
    items += [_item("hold", hold["name"], hold["reason"], hold["fix"]) for hold in holds if hold["name"] != PAUSE]
    for folder in folders:
        if folder["state"] == "unavailable":
            items.append(_item("folder", folder["path"], f"{folder['path']}: {folder['reason']}", folder["fix"]))
        elif folder.get("problems"):
            items.append(_item("folder", folder["path"], " ".join(folder["problems"])))
    if held := recordings.get(EntryState.HELD, 0):
        reason = "1 recording needs your decision." if held == 1 else f"{held:,} recordings need your decision."
        items.append(_item("held", "held", reason, "dropscribe jobs --state held", held))
    if failed := recordings.get(EntryState.FAILED, 0):
        reason = "1 recording failed." if failed == 1 else f"{failed:,} recordings failed."
        fix = "Retry or dismiss: dropscribe jobs --state attention"
        items.append(_item("failed", "failed", reason, fix, failed))
    return items


def overall_state(counts: Mapping[EntryState, int], *, needs_attention: bool, paused: bool) -> str:
    """One word for the whole: `attention`, `paused`, `working` or `idle`; the first that is true."""
    if needs_attention:
        return "attention"
    if paused:
        return "paused"
    return "working" if any(counts[state] for state in EntryState if state.is_active) else "idle"


def _item(kind: str, name: str, reason: str, fix: str = "", count: int = 0) -> dict[str, Any]:
    return {"kind": kind, "name": name, "reason": reason, "fix": fix, "count": count}
