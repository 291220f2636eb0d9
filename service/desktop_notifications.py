"""Shows desktop notifications: transcripts are ready, or the user is needed.

Transcripts that finish close together share one notification. Without a desktop (no D-Bus session, a headless
machine) Dropscribe works without them, and logs that once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from watcher.attention import NEEDS_ATTENTION
from watcher.clock import SystemClock
from watcher.logs import get_logger
from watcher.models import EntryState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from watcher.clock import Clock
    from watcher.config import NotificationsConfig
    from watcher.control import Control
    from watcher.events import Event, EventBus

    Problems = Callable[[], Awaitable[Iterable[Mapping[str, Any]]]]

__all__ = ["DesktopSender", "Grouper", "Message", "Notifications", "Sender", "current_problems", "notify_once"]

_QUIET = 3.0  # seconds without another transcript after which the group is shown
_LONGEST = 15.0  # seconds after which a group is shown even if more keep coming
_NAMED = 3  # names in one notification
_AGAIN = 3600.0  # seconds before the same problem is shown again
_LOOK = 60.0  # seconds between two checks for problems without an event
_TRY_AGAIN = 300.0  # seconds before the next try after the desktop took no message
_SEND_LIMIT = 10.0  # seconds for the desktop to take a notification

log = get_logger("notifications")


@dataclass(frozen=True, slots=True)
class Message:
    """One notification; `urgent` ones stay until they are seen, where the desktop supports that."""

    title: str
    text: str
    urgent: bool = False


class Sender(Protocol):
    """Where notifications go."""

    async def send(self, message: Message) -> bool:
        """Show a message; return whether the desktop took it. Never raises for what the desktop does."""


@dataclass(slots=True)
class Grouper:
    """Decides what is shown and when. Reads no clock and does no I/O; `now` is monotonic time in seconds."""

    _ready: list[str] = field(default_factory=list)
    _stopped: list[tuple[str, str]] = field(default_factory=list)
    _told: dict[tuple[str, str], float] = field(default_factory=dict)
    _active: set[tuple[str, str]] = field(default_factory=set)
    _first: float = 0.0
    _last: float = 0.0

    def entry(self, data: Mapping[str, Any], now: float) -> None:
        """Record an `entry` event: an entry changed its state."""
        state, name = str(data.get("state", "")), _name(data)
        if state != EntryState.DONE and state not in NEEDS_ATTENTION:
            return
        if self.due_at() is None:
            self._first = now
        self._last = now
        if state == EntryState.DONE:
            self._ready.append(name)
        else:
            self._stopped.append((name, _advice(data)))

    def problems(self, active: Iterable[Mapping[str, Any]], now: float) -> list[Message]:
        """Compare the current problems with those shown before, and return messages for the new ones.

        A problem that ended and came back is shown again only after an hour, so that a flapping network doesn't flood
        the desktop.

        Args:
            active: the problems, each with `name`, `reason` and `fix`.
            now: monotonic time in seconds.
        """
        found = {(str(p.get("name", "")), str(p.get("reason", ""))): p for p in active}
        messages = []
        for key, problem in found.items():
            told = self._told.get(key)
            if key not in self._active and (told is None or now - told >= _AGAIN):
                self._told[key] = now
                messages.append(Message("Dropscribe needs you", _advice(problem) or key[0], urgent=True))
        self._active = set(found)
        self._told = {key: at for key, at in self._told.items() if key in found or now - at < _AGAIN}
        return messages

    def due_at(self) -> float | None:
        """When `take` will return messages; None if no group is open."""
        if not self._ready and not self._stopped:
            return None
        return min(self._last + _QUIET, self._first + _LONGEST)

    def take(self, now: float) -> list[Message]:
        """Close the group if it is due, and return its messages."""
        due = self.due_at()
        if due is None or now < due:
            return []
        messages = [*_ready_message(self._ready), *_stopped_message(self._stopped)]
        self._ready, self._stopped = [], []
        return messages


class Notifications:
    """Turns the daemon's events into desktop notifications.

    Args:
        settings: which notifications are wanted; a function is called each time, so that config changes apply at once.
        sender: shows them; the desktop by default.
        clock: for grouping.
    """

    def __init__(
        self,
        settings: NotificationsConfig | Callable[[], NotificationsConfig],
        *,
        sender: Sender | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings if callable(settings) else lambda: settings
        self._grouper = Grouper()
        self._sender = sender or DesktopSender()
        self._clock = clock or SystemClock()

    async def follow(self, control: Control) -> None:
        """Notify of what happens in a running daemon; an observer of `service.host.Host`."""
        first = True

        async def problems() -> list[Mapping[str, Any]]:
            nonlocal first
            found = current_problems(await control.snapshot(), first=first)
            first = False
            return found

        await self.run(control.bus, problems)

    async def run(self, bus: EventBus, problems: Problems | None = None) -> None:
        """Notify until cancelled, or until the bus is closed.

        Args:
            bus: its `entry` events are shown; every event, and a timer, triggers a check for problems.
            problems: returns the current problems, see `Grouper.problems`; without it only entries are shown.
        """
        with bus.subscribe() as events:
            coming = asyncio.ensure_future(anext(events))
            try:
                if problems is not None:
                    await self._send(self._grouper.problems(await problems(), self._clock.monotonic()))
                while await self._step(coming, problems):
                    if coming.done():
                        coming = asyncio.ensure_future(anext(events))
            finally:
                coming.cancel()

    async def _step(self, coming: asyncio.Future[Event], problems: Problems | None) -> bool:
        """Wait for the next event or until a group is due; return whether there may be more."""
        await asyncio.wait({coming}, timeout=self._patience())
        kind = "look"
        if coming.done():
            try:
                event = coming.result()
            except StopAsyncIteration:
                return False
            kind = event.kind
            if kind == "entry":
                self._grouper.entry(event.data, self._clock.monotonic())
        messages = self._grouper.take(self._clock.monotonic())
        if (
            problems is not None and kind != "progress"
        ):  # these come many times a second, and nothing is in the way then
            messages += self._grouper.problems(await problems(), self._clock.monotonic())
        await self._send(messages)
        return True

    async def _send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if self._is_wanted(message):
                await self._sender.send(message)

    def _is_wanted(self, message: Message) -> bool:
        settings = self._settings()
        return settings.attention if message.urgent else settings.transcripts

    def _patience(self) -> float:
        due = self._grouper.due_at()
        return _LOOK if due is None else min(_LOOK, max(0.0, due - self._clock.monotonic()))


def current_problems(snapshot: Mapping[str, Any], *, first: bool = False) -> list[Mapping[str, Any]]:
    """List what needs attention and was not shown because of an `entry` event.

    Args:
        snapshot: from `watcher.control.Control.snapshot`.
        first: nothing was shown yet, so recordings from before that need attention are included.
    """
    return [item for item in snapshot["attention"] if first or item["kind"] not in {"failed", "held"}]


class DesktopSender:
    """Sends through desktop-notifier, which is imported when the first message is sent.

    If the desktop takes no message, it is tried again later, because the desktop may start after the daemon.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._notifier: Any = None
        self._off_until = 0.0
        self._said = False

    async def send(self, message: Message) -> bool:
        """Show a message; return whether the desktop took it."""
        if self._clock.monotonic() < self._off_until:
            return False
        try:
            async with asyncio.timeout(_SEND_LIMIT):
                await self._send(message)
        except Exception as error:  # noqa: BLE001 - D-Bus, the desktop, a missing library: none may hurt the daemon
            self._off_until = self._clock.monotonic() + _TRY_AGAIN
            if not self._said:
                log.info("notifications are off", why=_why(error), fix="They need a desktop session.")
            self._said = True
            await self.close()
            return False
        self._said = False
        return True

    async def close(self) -> None:
        """Disconnect from the desktop's bus."""
        notifier, self._notifier = self._notifier, None
        bus = getattr(getattr(notifier, "_backend", None), "bus", None)
        if bus is not None:
            with contextlib.suppress(Exception):
                bus.disconnect()

    async def _send(self, message: Message) -> None:
        if sys.platform == "linux" and not _has_session_bus():
            raise ConnectionError("no D-Bus session")
        # It logs a traceback for each failed message; one line, once, is enough.
        logging.getLogger("desktop_notifier").setLevel(logging.CRITICAL + 1)
        from desktop_notifier import DesktopNotifier, Notification, Urgency  # noqa: PLC0415 - slow, often not needed

        if self._notifier is None:
            self._notifier = DesktopNotifier(app_name="Dropscribe", app_icon=None)
        dispatched = False

        def on_dispatched() -> None:
            nonlocal dispatched
            dispatched = True

        notification = Notification(
            message.title,
            _escape(message.text) if sys.platform == "linux" else message.text,
            urgency=Urgency.Critical if message.urgent else Urgency.Normal,
            on_dispatched=on_dispatched,
        )
        await self._notifier.send_notification(notification)
        if not dispatched:
            raise ConnectionError("the desktop took no notification")


async def notify_once(title: str, text: str) -> bool:
    """Show one message, e.g. from the tray; return whether the desktop took it."""
    sender = DesktopSender()
    try:
        return await sender.send(Message(title, text))
    finally:
        await sender.close()


def _has_session_bus() -> bool:
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return bool(runtime) and Path(str(runtime), "bus").exists()


def _ready_message(names: list[str]) -> list[Message]:
    if not names:
        return []
    if len(names) == 1:
        return [Message("Transcript ready", names[0])]
    return [Message(f"{len(names)} transcripts are ready", _list(names))]


def _stopped_message(failed: list[tuple[str, str]]) -> list[Message]:
    if not failed:
        return []
    if len(failed) == 1:
        name, advice = failed[0]
        return [Message("Dropscribe needs you", f"{name}: {advice}" if advice else name, urgent=True)]
    names = _list(name for name, _ in failed)
    return [Message(f"{len(failed)} recordings need you", names, urgent=True)]


def _list(names: Iterable[str]) -> str:
    named = list(names)
    more = len(named) - _NAMED
    return ", ".join(named[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _name(data: Mapping[str, Any]) -> str:
    return str(data.get("name") or Path(str(data.get("path", ""))).name or "a recording")


def _advice(data: Mapping[str, Any]) -> str:
    return " ".join(part for part in (str(data.get("reason") or ""), str(data.get("fix") or "")) if part)


def _escape(text: str) -> str:
    """The body may be read as markup: Desktop Notifications Specification, "Markup"."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _why(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
