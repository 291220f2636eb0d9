"""A control API whose daemon is a script: the tray meets it over real HTTP, with real events."""

from __future__ import annotations

import json
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from watcher.attention import NEEDS_ATTENTION, attention, is_paused
from watcher.models import EntryState

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "the-token-of-this-test"
_CALM = {"paused": False, "reason": "", "fix": "", "pending": 0}
_FOLDER = {"path": "/r/Interviews", "engine": "local", "state": "watching", **_CALM}


def snapshot(state: str = "idle", **more: Any) -> dict[str, Any]:
    """A status as the daemon gives it."""
    counts = dict.fromkeys(
        ("WAITING", "SUBMITTING", "SUBMITTED", "TRANSCRIBED", "DONE", "FAILED", "HELD", "SKIPPED", "CANCELLED"), 0
    )
    counts |= more.pop("counts", {})
    holds, folders = more.get("holds", []), more.get("folders", [_FOLDER])
    recordings = {EntryState(name): counts[name] for name in NEEDS_ATTENTION}
    needs = attention(recordings, holds, folders, more.get("config_problem", ""))
    return {
        "state": state,
        "attention": needs,
        "paused": is_paused(holds),
        "version": "9",
        "pid": os.getpid(),
        "started_at": 0.0,
        "paused_until": None,
        "config_problem": "",
        "counts": counts,
        "holds": [],
        "folders": [_FOLDER],
        "active": [],
        "recent": [],
        **more,
    }


class ControlServer:
    """Serves `/api/*` until closed; `requests` holds the orders it got, as (path, body)."""

    def __init__(self, control_file: Path, *, status: dict[str, Any] | None = None) -> None:
        self.status = status or snapshot()
        self.requests: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.questions = 0
        self._listeners: list[queue.Queue[bytes | None]] = []
        self._lock = threading.Lock()
        self._file = control_file
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"url": self.url, "token": TOKEN, "pid": os.getpid(), "version": "9"}))
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for listener in self._listeners:
                listener.put(None)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def listeners(self) -> int:
        """How many event streams are open."""
        with self._lock:
            return len(self._listeners)

    def now(self, status: dict[str, Any]) -> None:
        """Change the status, and tell the listeners that something happened."""
        self.status = status
        event = json.dumps({"kind": "entry", "at": 0.0, "data": {}})
        with self._lock:
            for listener in self._listeners:
                listener.put(f"event: entry\ndata: {event}\n\n".encode())

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one small class
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers["Authorization"] != f"Bearer {TOKEN}":
                    self._answer({"error": "No.", "fix": ""}, status=401)
                elif self.path == "/api/status":
                    owner.questions += 1
                    self._answer(owner.status)
                elif self.path == "/api/events":
                    self._stream()
                else:
                    self._answer({"error": "Unknown.", "fix": ""}, status=404)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.requests.put((self.path, body))
                self._answer({"url": f"{owner.url}/enter?code=once"} if self.path == "/api/open-code" else owner.status)

            def _answer(self, body: dict[str, Any], *, status: int = 200) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _stream(self) -> None:
                events: queue.Queue[bytes | None] = queue.Queue()
                with owner._lock:
                    owner._listeners.append(events)
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/event-stream")
                    self.end_headers()
                    # As the daemon does: whoever hears this hears everything after it.
                    self.wfile.write(b'event: hello\ndata: {"kind": "hello"}\n\n')
                    while (event := events.get()) is not None:
                        self.wfile.write(event)
                        self.wfile.flush()
                except OSError:
                    pass
                finally:
                    with owner._lock:
                        owner._listeners.remove(events)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
