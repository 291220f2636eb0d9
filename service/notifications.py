"""Tells the desktop that transcripts are ready, and when a person is needed.

Transcripts that come close together make one notification. Where the desktop takes none (no D-Bus session, a
headless machine) Dropscribe goes on without, and says so once in its log.
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

from watcher.clock import SystemClock
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watcher.clock import Clock
    from watcher.config import NotificationsConfig
    from watcher.events import Event, EventBus

__all__ = ["DesktopSender", "Grouper", "Message", "Notifications", "Sender", "notify_once"]

_QUIET = 3.0  # seconds without another transcript after which the group is told
_LONGEST = 15.0  # seconds after which a group is told although more keep coming
_NAMED = 3  # names in one notification
_SEND_LIMIT = 10.0  # seconds for the desktop to take a notification

log = get_logger("notifications")


@dataclass(frozen=True, slots=True)
class Message:
    """One notification; `urgent` ones stay until they are seen, where the desktop has that."""

    title: str
    text: str
    urgent: bool = False


class Sender(Protocol):
    """Where notifications go."""

    async def send(self, message: Message) -> bool:
        """Show a message; return whether the desktop took it. Never raises for what the desktop does."""


@dataclass(slots=True)
class Grouper:
    """Decides what is told and when. It reads no clock and does no I/O.

    Args:
        transcripts: whether finished transcripts are told.
        attention: whether it is told that a person is needed.
    """

    transcripts: bool = True
    attention: bool = True
    _ready: list[str] = field(default_factory=list)
    _failed: list[tuple[str, str]] = field(default_factory=list)
    _told: set[tuple[str, str]] = field(default_factory=set)
    _first: float = 0.0
    _last: float = 0.0

    def add(self, event: Event, now: float) -> list[Message]:
        """Take in an event.

        Args:
            event: any event of the bus.
            now: monotonic time in seconds.

        Returns:
            What is to be told at once.
        """
        data = event.data
        if event.kind == "hold":
            return self._hold(data)
        if event.kind == "entry":
            state, name = str(data.get("state", "")), _name(data)
            if state == "DONE" and self.transcripts:
                self._collect(now)
                self._ready.append(name)
            elif state in {"FAILED", "HELD"} and self.attention:
                self._collect(now)
                self._failed.append((name, _advice(data)))
        return []

    def due_at(self) -> float | None:
        """The monotonic time at which `take` will have something; None: no group is open."""
        if not self._ready and not self._failed:
            return None
        return min(self._last + _QUIET, self._first + _LONGEST)

    def take(self, now: float) -> list[Message]:
        """Close the group if its time has come, and return what is to be told."""
        due = self.due_at()
        if due is None or now < due:
            return []
        messages = [*_ready_message(self._ready), *_failed_message(self._failed)]
        self._ready, self._failed = [], []
        return messages

    def _collect(self, now: float) -> None:
        if self.due_at() is None:
            self._first = now
        self._last = now

    def _hold(self, data: dict[str, Any]) -> list[Message]:
        """A hold is told once, until it ends. A pause is what the person asked for, so it isn't told."""
        name, reason = str(data.get("name", "")), str(data.get("reason", ""))
        if not data.get("active", True):
            self._told = {told for told in self._told if told[0] != name}
            return []
        if name == "paused" or (name, reason) in self._told or not self.attention:
            return []
        self._told.add((name, reason))
        return [Message("Dropscribe needs you", _advice(data) or name, urgent=True)]


class Notifications:
    """Listens to the daemon's events and tells the desktop.

    Args:
        config: what is to be told.
        sender: where to.
        clock: for grouping.
    """

    def __init__(
        self, config: NotificationsConfig, *, sender: Sender | None = None, clock: Clock | None = None
    ) -> None:
        self._grouper = Grouper(transcripts=config.transcripts, attention=config.attention)
        self._sender = sender or DesktopSender()
        self._clock = clock or SystemClock()

    def configure(self, config: NotificationsConfig) -> None:
        """Follow a changed config."""
        self._grouper.transcripts = config.transcripts
        self._grouper.attention = config.attention

    async def run(self, bus: EventBus) -> None:
        """Tell until cancelled, or until the bus is closed."""
        with bus.subscribe() as events:
            coming = asyncio.ensure_future(anext(events))
            try:
                while True:
                    await asyncio.wait({coming}, timeout=self._patience())
                    messages = self._grouper.take(self._clock.monotonic())
                    if coming.done():
                        try:
                            event = coming.result()
                        except StopAsyncIteration:
                            return
                        messages += self._grouper.add(event, self._clock.monotonic())
                        coming = asyncio.ensure_future(anext(events))
                    for message in messages:
                        await self._sender.send(message)
            finally:
                coming.cancel()

    def _patience(self) -> float | None:
        due = self._grouper.due_at()
        return None if due is None else max(0.0, due - self._clock.monotonic())


class DesktopSender:
    """Sends through desktop-notifier, which is imported when the first message is sent."""

    def __init__(self) -> None:
        self._notifier: Any = None
        self._off = False

    async def send(self, message: Message) -> bool:
        """Show a message; return whether the desktop took it."""
        if self._off:
            return False
        try:
            async with asyncio.timeout(_SEND_LIMIT):
                return await self._send(message)
        except Exception as error:  # noqa: BLE001 - D-Bus, the desktop, a missing library: none may hurt the daemon
            self._off = True
            log.info("notifications_are_off", why=_why(error), fix="They need a desktop session with D-Bus.")
            await self.close()
            return False

    async def close(self) -> None:
        """Let go of the desktop's bus."""
        notifier, self._notifier = self._notifier, None
        bus = getattr(getattr(notifier, "_backend", None), "bus", None)
        if bus is not None:
            with contextlib.suppress(Exception):
                bus.disconnect()

    async def _send(self, message: Message) -> bool:
        if sys.platform == "linux" and not _has_session_bus():
            raise ConnectionError("no D-Bus session")
        # It logs a traceback for each message that fails; what matters is said here, once.
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
        return True


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


def _failed_message(failed: list[tuple[str, str]]) -> list[Message]:
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


def _name(data: dict[str, Any]) -> str:
    return str(data.get("name") or Path(str(data.get("path", ""))).name or "a recording")


def _advice(data: dict[str, Any]) -> str:
    return " ".join(part for part in (str(data.get("reason") or ""), str(data.get("fix") or "")) if part)


def _escape(text: str) -> str:
    """The body may be read as markup: Desktop Notifications Specification, "Markup"."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _why(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
