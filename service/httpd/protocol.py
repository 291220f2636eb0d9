"""HTTP/1.1 as uvicorn speaks it, with a bound on how long a client may take to ask."""

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


class PunctualProtocol(H11Protocol):
    """Hangs up on clients that open a connection and never finish the head of a request.

    uvicorn itself waits for them for ever, and each of them holds a file descriptor. Bodies are the application's:
    only it knows which it wants to read.

    Attributes:
        head_seconds: How long the head of a request may take, from the connection's first or its last request on.
    """

    head_seconds: ClassVar[float] = 60.0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)  # type: ignore[arg-type] # uvicorn knows only stream transports
        self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop_watching()

    def _watch_head(self) -> None:
        cycle: Any = self.cycle  # None until the first request, whatever uvicorn's types say
        if cycle is not None and not cycle.response_complete:
            self._stop_watching()
        elif self._head_timer is None:  # and if there is one, its time goes on: a drip doesn't extend it
            self._head_timer = self.loop.call_later(self.head_seconds, self.timeout_keep_alive_handler)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
