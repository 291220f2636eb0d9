"""Decides from a snapshot what the icon shows: picture, tooltip and menu, as data."""

from __future__ import annotations

import datetime as dt
import enum
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.tray.icons import IconState

if TYPE_CHECKING:
    from service.tray.model import Snapshot

__all__ = ["SEPARATOR", "Action", "Item", "Verb", "View", "pause_until", "view"]

_RECENT = 10
_FOLDERS = 20
_ATTENTION = 5
_LABEL = 48  # characters of a name in the menu
_TOOLTIP = 120  # Windows shows 127
_FAR = 48 * 3600.0


class Verb(enum.StrEnum):
    """What a menu item does; the comment says what its argument is."""

    OPEN_PAGE = "open-page"
    OPEN_FILE = "open-file"  # path
    OPEN_FOLDER = "open-folder"  # path
    PAUSE = "pause"  # "hour", "tomorrow" or "resumed"
    RESUME = "resume"
    DISMISS = "dismiss"  # all failed recordings
    AT_LOGIN = "at-login"  # "on" or "off"
    START = "start"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Action:
    """What happens on a click."""

    verb: Verb
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the menu.

    Attributes:
        label: plain text; the toolkit's own marks are not escaped yet.
        action: None if the line only informs.
        checked: None if it has no check mark.
        default: a click on the icon does this, too.
        children: a submenu, instead of an action.
    """

    label: str
    action: Action | None = None
    checked: bool | None = None
    default: bool = False
    children: tuple[Item, ...] = ()


SEPARATOR = Item("")


@dataclass(frozen=True, slots=True)
class View:
    """Everything that is visible of the icon."""

    icon: IconState
    count: int
    tooltip: str
    menu: tuple[Item, ...]


def view(snapshot: Snapshot | None, *, now: dt.datetime, at_login: bool | None, can_start: bool) -> View:
    """Decide what the icon shows.

    Args:
        snapshot: None while no daemon answers.
        now: local time, with its time zone.
        at_login: whether Dropscribe starts at login; None where the icon can't change that.
        can_start: whether the icon can start the daemon.
    """
    words = _words(snapshot, now)
    state = _state(snapshot)
    items = [Item(words), SEPARATOR]
    items += _down_items(can_start=can_start) if snapshot is None else _running_items(snapshot)
    items += [SEPARATOR]
    if at_login is not None:
        change = Action(Verb.AT_LOGIN, "off" if at_login else "on")
        items += [Item("Start at login", change, checked=at_login)]
    items += [Item("Hide icon" if snapshot is None else "Hide icon (Dropscribe keeps running)", Action(Verb.QUIT))]
    count = 0 if snapshot is None else snapshot.at_work
    return View(state, count, _short(f"Dropscribe: {words}", _TOOLTIP), tuple(items))


def pause_until(choice: str, now: dt.datetime) -> float | None:
    """Turn `hour`, `tomorrow` or `resumed` into unix time; tomorrow begins at midnight, local time.

    Args:
        choice: the argument of `Verb.PAUSE`.
        now: local time.
    """
    if choice == "hour":
        return now.timestamp() + 3600.0
    if choice == "tomorrow":
        # Without an offset, so that the one of that night counts: it may be the night of a clock change.
        return dt.datetime.combine(now.date() + dt.timedelta(days=1), dt.time()).timestamp()
    return None


def _state(snapshot: Snapshot | None) -> IconState:
    return IconState.DOWN if snapshot is None else IconState(snapshot.state)


def _words(snapshot: Snapshot | None, now: dt.datetime) -> str:
    if snapshot is None:
        return "not running"
    if snapshot.state == "attention":
        return _attention(snapshot)
    if snapshot.state == "paused":
        until = _when(snapshot.paused_until, now)
        waiting = f", {_many(snapshot.at_work, 'recording')} waiting" if snapshot.at_work else ""
        return f"paused{until}{waiting}"
    if snapshot.state == "working":
        return _working(snapshot)
    folders = len(snapshot.folders)
    return f"all done, watching {_many(folders, 'folder')}" if folders else "no watch folder yet"


def _attention(snapshot: Snapshot) -> str:
    if not snapshot.attention:
        return "needs you"
    more = len(snapshot.attention) - 1
    return f"needs you: {_plain(snapshot.attention[0].reason)}{f', and {more} more' if more else ''}"


def _working(snapshot: Snapshot) -> str:
    running = [entry for entry in snapshot.active if entry.progress is not None]
    if snapshot.at_work == 1 and len(running) == 1:
        return f"transcribing {_short(running[0].name, _LABEL)}, {int((running[0].progress or 0.0) * 100)} %"
    return f"transcribing {_many(snapshot.at_work, 'recording')}"


def _when(until: float | None, now: dt.datetime) -> str:
    if until is None:
        return ""
    moment = dt.datetime.fromtimestamp(until, now.tzinfo)
    if moment.date() == now.date():
        return f" until {moment:%H:%M}"
    if until - now.timestamp() < _FAR and moment.time() == dt.time() and (moment.date() - now.date()).days == 1:
        return " until tomorrow"
    return f" until {moment:%Y-%m-%d %H:%M}"


def _down_items(*, can_start: bool) -> list[Item]:
    if can_start:
        return [Item("Start Dropscribe", Action(Verb.START), default=True)]
    return [Item("To start it: dropscribe service install", Action(Verb.OPEN_PAGE), default=True)]


def _running_items(snapshot: Snapshot) -> list[Item]:
    items = [Item("Open Dropscribe", Action(Verb.OPEN_PAGE), default=True)]
    items += [
        Item(_short(f"⚠ {_plain(a.reason)}", 80), Action(Verb.OPEN_PAGE)) for a in snapshot.attention[:_ATTENTION]
    ]
    if failed := sum(item.count for item in snapshot.attention if item.kind == "failed"):
        items += [Item(f"Dismiss {_many(failed, 'failed recording')}", Action(Verb.DISMISS))]
    items += [_recent(snapshot), _folders(snapshot), _pause(snapshot)]
    return items


def _recent(snapshot: Snapshot) -> Item:
    ready = [
        Item(_short(recent.name, _LABEL), Action(Verb.OPEN_FILE, recent.outputs[0]))
        for recent in snapshot.recent[:_RECENT]
        if recent.outputs
    ]
    return Item("Recent transcripts", children=tuple(ready) or (Item("None yet"),))


def _folders(snapshot: Snapshot) -> Item:
    # Folders of the same name are shown with their paths.
    names = [Path(folder.path).name for folder in snapshot.folders]
    items = []
    for folder, name in list(zip(snapshot.folders, names, strict=True))[:_FOLDERS]:
        label = name if names.count(name) == 1 and name else folder.path
        items.append(Item(_short(label, _LABEL), Action(Verb.OPEN_FOLDER, folder.path)))
    if len(names) > _FOLDERS:
        items.append(Item(f"{len(names) - _FOLDERS} more on the page", Action(Verb.OPEN_PAGE)))
    return Item("Watch folders", children=tuple(items) or (Item("None yet: dropscribe folders add FOLDER"),))


def _pause(snapshot: Snapshot) -> Item:
    if snapshot.paused:
        return Item("Resume", Action(Verb.RESUME))
    choices = (("For an hour", "hour"), ("Until tomorrow", "tomorrow"), ("Until I resume", "resumed"))
    return Item("Pause", children=tuple(Item(label, Action(Verb.PAUSE, choice)) for label, choice in choices))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _plain(text: str) -> str:
    """Return one line without characters that reorder or hide text, which file names may contain."""
    kept = (c if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} else " " for c in text)
    return " ".join("".join(kept).split()).rstrip(".")


def _short(text: str, limit: int) -> str:
    """Shorten a long text in the middle: the end of a file name matters as much as its start."""
    text = _plain(text)
    if len(text) <= limit:
        return text or "?"
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[-(limit - 1 - head) :]}"
