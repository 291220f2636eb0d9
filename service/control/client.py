"""A client of the running daemon's control API, for the command line and the tray.

It uses only the standard library's HTTP: `dropscribe status` has to answer within 200 ms, and a general HTTP
library would take a third of that only to be imported.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from watcher.errors import DropscribeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watcher.paths import StatePaths
    from watcher.scheduler import Request

__all__ = ["ControlClient", "ControlError", "ControlEvent", "DaemonGone"]

_TIMEOUT = 5.0
_STREAM_TIMEOUT = 60.0  # four heartbeats
_READ_TIMEOUT = 3600.0  # a large recording on a slow share
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ControlError(DropscribeError):
    """The daemon refused a request; `status` is the HTTP status."""

    def __init__(self, message: str, *, fix: str = "", status: int = 0) -> None:
        super().__init__(message, fix=fix)
        self.status = status


class DaemonGone(ControlError):
    """The daemon does not answer, or no longer does."""

    def __init__(self, message: str = "Dropscribe does not answer.") -> None:
        super().__init__(message, fix="Check whether it is running: dropscribe service status")


@dataclass(frozen=True, slots=True)
class ControlEvent:
    """One thing that happened: an event of the daemon's bus, `hello`, or `resync` (events were missed).

    Attributes:
        kind: see `watcher.events.Event`.
        at: unix time in seconds.
        data: the facts.
    """

    kind: str
    at: float
    data: dict[str, Any] = field(default_factory=dict)


class ControlClient:
    """Sends requests to the running daemon. Methods raise ControlError, or DaemonGone if it does not answer.

    Args:
        url: of the daemon, on loopback.
        token: from the control file.
        pid: the daemon's process.
        version: the daemon's.
        timeout: seconds for one answer.
    """

    def __init__(
        self, url: str, token: str, *, pid: int | None = None, version: str = "", timeout: float = _TIMEOUT
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname not in _LOOPBACK or parts.username is not None:
            raise ControlError(f"{url} is not an address of this machine.", fix="Restart Dropscribe.")
        self.url = url.rstrip("/")
        self.pid = pid
        self.version = version
        self._host = parts.hostname or ""
        self._port = parts.port or http.client.HTTP_PORT
        self._token = token
        self._timeout = timeout

    def __repr__(self) -> str:  # a token has no place in a log
        return f"ControlClient({self.url!r}, pid={self.pid})"

    @classmethod
    def from_state(cls, paths: StatePaths, *, timeout: float = _TIMEOUT) -> ControlClient | None:
        """Find the daemon that uses this state directory; None when none runs.

        A daemon that was killed leaves its control file behind: its process is gone, or nobody listens there.
        """
        try:
            found = json.loads(paths.control.read_bytes())
            client = cls(found["url"], found["token"], pid=found["pid"], version=found["version"], timeout=timeout)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ControlError):
            return None
        if client.pid is not None and not _is_alive(client.pid):
            return None
        try:
            socket.create_connection((client._host, client._port), timeout=timeout).close()
        except OSError:
            return None
        return client

    # Questions

    def status(self) -> dict[str, Any]:
        """The whole picture; see `watcher.control.Control.snapshot`."""
        return self._ask("GET", "/api/status")

    def folders(self) -> list[dict[str, Any]]:
        """The watch folders and how they are watched."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/folders")["folders"]
        return found

    def entries(
        self,
        *,
        state: str | None = None,
        folder: Path | None = None,
        search: str | None = None,
        limit: int | None = None,
        before: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of entries, latest change first, and what `before` takes for the following page."""
        asked = {"state": state, "folder": os.fsencode(folder) if folder else None, "q": search}
        query = _query({**asked, "limit": limit, "before": before})
        found = self._ask("GET", f"/api/entries{query}")
        return found["entries"], found["next"]

    def all_entries(self, *, state: str | None = None, search: str | None = None) -> Iterator[dict[str, Any]]:
        """Every entry, page by page."""
        before: str | None = None
        while True:
            page, before = self.entries(state=state, search=search, limit=500, before=before)
            yield from page
            if before is None:
                return

    def entry(self, uid: str) -> dict[str, Any]:
        """One entry with its outputs, history and what happens next."""
        return self._ask("GET", f"/api/entries/{_part(uid)}")

    def transcript(self, uid: str, form: str = "txt") -> bytes:
        """A transcript in one format."""
        return self._call("GET", f"/api/entries/{_part(uid)}/transcript{_query({'format': form})}")

    def explain(self, path: Path) -> dict[str, Any]:
        """What happened to an absolute path, what happens next, and why."""
        return self._ask("GET", f"/api/explain{_query({'path': os.fsencode(path)})}")

    def events(self) -> Iterator[ControlEvent]:
        """What happens, as it happens; ends with DaemonGone when the daemon does."""
        connection, response = self._open("GET", "/api/events", timeout=_STREAM_TIMEOUT)
        try:
            if response.status != http.client.OK:
                raise _error(response.status, response.read())
            yield from _events(response)
        except (OSError, http.client.HTTPException):
            raise DaemonGone from None
        finally:
            response.close()
            connection.close()
        raise DaemonGone

    # Orders

    def pause(self, until: float | None = None) -> dict[str, Any]:
        """Stop submission, until a unix time or until `resume`; returns the status."""
        return self._ask("POST", "/api/pause", {"until": until})

    def resume(self) -> dict[str, Any]:
        """Let submission go on; returns the status."""
        return self._ask("POST", "/api/resume", {})

    def retry(self, uid: str) -> dict[str, Any]:
        """Try an entry again; returns it."""
        return self._ask("POST", f"/api/entries/{_part(uid)}/retry", {})

    def cancel(self, uid: str, reason: str = "") -> dict[str, Any]:
        """Cancel an entry; returns it. Its history gives the reason; by default, that the user cancelled it."""
        return self._ask("POST", f"/api/entries/{_part(uid)}/cancel", {"reason": reason} if reason else {})

    def dismiss(self, uid: str) -> dict[str, Any]:
        """Stop asking for attention for a failed entry; returns it."""
        return self._ask("POST", f"/api/entries/{_part(uid)}/dismiss", {})

    def dismiss_all(self) -> list[dict[str, Any]]:
        """Stop asking for attention for all failed entries; returns those that changed."""
        found: list[dict[str, Any]] = self._ask("POST", "/api/dismiss", {})["entries"]
        return found

    def request(self, request: Request) -> dict[str, Any]:
        """Transcribe a recording that need not be in a watch folder; returns its entry.

        The answer waits until the recording was read.
        """
        body = {
            "path": str(request.path),
            "engine": request.engine.value,
            "transcription": request.config,
            "formats": [form.value for form in request.formats],
            "target": str(request.target),
        }
        answer: dict[str, Any] = json.loads(self._call("POST", "/api/transcribe", body, timeout=_READ_TIMEOUT))
        return answer

    def lift(self, name: str) -> dict[str, Any]:
        """Lift a hold; returns the status."""
        return self._ask("POST", f"/api/holds/{_part(name)}/lift", {})

    def open_code(self, uid: str | None = None) -> str:
        """Make an address that lets one browser in, once, within 30 s; with a uid it leads to that recording."""
        return str(self._ask("POST", "/api/open-code", {} if uid is None else {"uid": uid})["url"])

    # Inside

    def _ask(self, method: str, target: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._call(method, target, body))
        return answer

    def _call(
        self, method: str, target: str, body: dict[str, Any] | None = None, *, timeout: float | None = None
    ) -> bytes:
        connection, response = self._open(method, target, timeout=timeout or self._timeout, body=body)
        try:
            data = response.read()
        except (OSError, http.client.HTTPException):
            raise DaemonGone from None
        finally:
            response.close()
            connection.close()
        if response.status != http.client.OK:
            raise _error(response.status, data)
        return data

    def _open(
        self, method: str, target: str, *, timeout: float, body: dict[str, Any] | None = None
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request on a connection of its own: on loopback that costs nothing, and none is ever stale."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        headers = {"Authorization": f"Bearer {self._token}", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, target, None if body is None else json.dumps(body), headers)
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise DaemonGone from None


def _events(response: http.client.HTTPResponse) -> Iterator[ControlEvent]:
    data: list[str] = []
    for line in response:
        text = line.decode("utf-8").rstrip("\r\n")
        if text.startswith("data:"):
            data.append(text.removeprefix("data:").removeprefix(" "))
        elif not text and data:
            body = json.loads("\n".join(data))
            data.clear()
            yield ControlEvent(body["kind"], body.get("at", 0.0), body.get("data", {}))


def _error(status: int, data: bytes) -> ControlError:
    try:
        told = json.loads(data)
        return ControlError(told["error"], fix=told["fix"], status=status)
    except (ValueError, KeyError, TypeError):
        return ControlError(f"Dropscribe answered with HTTP {status}.", fix="Update and restart it.", status=status)


def _part(text: str) -> str:
    return quote(text, safe="")


def _query(values: dict[str, Any]) -> str:
    given = {name: value for name, value in values.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _is_alive(pid: int) -> bool:
    """Whether there is a process with this number."""
    alive = True
    if sys.platform != "win32":  # there, kill() would end it
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            alive = False
        except (PermissionError, OverflowError):
            alive = True
    return alive
