"""Reports the daemon's state to systemd by the protocol of sd_notify(3): datagrams to a local socket.

Without systemd every call does nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watcher.control import Control

__all__ = ["Notifier", "report_status", "status_line"]


class Notifier:
    """Sends the daemon's state to the service manager.

    Sending never raises and never blocks: a service manager that doesn't listen must not hurt the daemon.

    Attributes:
        watchdog_interval: seconds within which systemd expects a call of `watchdog`; None if it expects none.
            Call it at half of this, as sd_watchdog_enabled(3) advises.
    """

    def __init__(self, address: str | None, *, watchdog_interval: float | None = None) -> None:
        self._address = address
        self.watchdog_interval = watchdog_interval if address else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, *, pid: int | None = None) -> Notifier:
        """Build the notifier that `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` ask for.

        Args:
            environment: instead of the process's own.
            pid: instead of the process's own; a watchdog for another process is ignored.
        """
        env = os.environ if environment is None else environment
        address = env.get("NOTIFY_SOCKET") or None
        interval: float | None = None
        meant_for = env.get("WATCHDOG_PID", "")
        if env.get("WATCHDOG_USEC", "").isdecimal() and meant_for in {"", str(pid or os.getpid())}:
            interval = int(env["WATCHDOG_USEC"]) / 1_000_000
        return cls(address, watchdog_interval=interval or None)

    @property
    def is_listening(self) -> bool:
        """Whether a service manager wants reports."""
        return self._address is not None

    def ready(self, status: str = "") -> bool:
        """Report that the daemon has started; `systemctl start` returns now."""
        return self._send("READY=1", *_status(status))

    def stopping(self, status: str = "") -> bool:
        """Report that the daemon is stopping."""
        return self._send("STOPPING=1", *_status(status))

    def watchdog(self) -> bool:
        """Report that the daemon is alive."""
        return self._send("WATCHDOG=1")

    async def feed_watchdog(self) -> None:
        """Call `watchdog` as often as the manager asks, while the event loop runs; return if it doesn't ask."""
        if self.watchdog_interval is None:
            return
        while True:
            self.watchdog()
            await asyncio.sleep(self.watchdog_interval / 2)

    def status(self, text: str) -> bool:
        """Set the line that `systemctl status` shows."""
        return self._send(*_status(text))

    def extend_start(self, seconds: float) -> bool:
        """Ask for more time to start, e.g. while a large ledger migrates."""
        return self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def _send(self, *assignments: str) -> bool:
        """Send the assignments in one datagram; return whether it left."""
        sent = False
        address = self._address
        if address and address.startswith("@"):  # a name in the abstract namespace
            address = "\0" + address[1:]
        elif not address or not address.startswith("/"):  # vsock and others: not for a process on this machine
            return False
        if sys.platform != "win32" and assignments:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                    sock.settimeout(0)  # a full queue is no reason to wait
                    sock.sendto("\n".join(assignments).encode(errors="replace"), address)
                sent = True
            except OSError:
                sent = False
        return sent


async def report_status(notifier: Notifier, control: Control, *, pause: float) -> None:
    """Keep the service manager's status line up to date.

    Args:
        notifier: see there.
        control: of the daemon.
        pause: seconds between two updates at least.
    """
    if not notifier.is_listening:
        return
    ended = False
    while not ended:
        # A new subscription each time: events during the pause are covered by the next snapshot.
        with control.bus.subscribe() as events:
            notifier.status(status_line(await control.snapshot()))
            ended = True
            async for event in events:
                if event.kind != "progress":
                    ended = False
                    break
        await asyncio.sleep(pause)


def status_line(snapshot: dict[str, Any]) -> str:
    """Format the daemon's state for the line that `systemctl status` shows.

    Args:
        snapshot: from `watcher.control.Control.snapshot`.
    """
    counts = snapshot["counts"]
    under_way = sum(counts[state] for state in ("SUBMITTING", "SUBMITTED", "TRANSCRIBED"))
    folders = len(snapshot["folders"])
    parts = [f"Watching {folders} folder{'' if folders == 1 else 's'}" if folders else "No folder to watch yet"]
    figures = {"in progress": under_way, "waiting": counts["WAITING"], "done": counts["DONE"]}
    parts += [f"{number} {what}" for what, number in figures.items() if number]
    parts += ["paused"] if snapshot["paused"] else []
    parts += [f"needs you: {item['reason'].rstrip('.')}" for item in snapshot["attention"]]
    return "; ".join(parts)


def _status(text: str) -> tuple[str, ...]:
    line = " ".join(text.split())  # a line break would start another assignment
    return (f"STATUS={line}",) if line else ()
