"""HTTP/1.1 as uvicorn implements it, with limits on connections."""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on what connections may cost; each one holds a file descriptor.

    Attributes:
        most: How many connections may be open at once; one more is closed at once. ``None``: no limit.
        head_seconds: How long the head of a request may take, counted from the moment the connection was opened or
            the previous request ended.
    """

    most: int | None = None
    head_seconds: float = 60.0


class BoundedProtocol(H11Protocol):
    """Closes connections that exceed the limits.

    uvicorn itself waits forever for the head of a request. Bodies are left to the application: only it knows which
    ones it wants to read.
    """

    limits: ClassVar[ConnectionLimits] = ConnectionLimits()
    _head_timer: asyncio.TimerHandle | None = None

    @classmethod
    def within(cls, limits: ConnectionLimits) -> "type[BoundedProtocol]":
        """Return this protocol with other limits, as a class, which is what uvicorn takes."""
        return type(cls.__name__, (cls,), {"limits": limits})

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timer for the first request, or close the connection if there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type] # uvicorn knows only stream transports
        if self.limits.most is not None and len(self.connections) > self.limits.most:
            self.transport.abort()
        else:
            self._watch_head()

    def data_received(self, data: bytes) -> None:
        """Process received bytes, then stop or start the timer."""
        super().data_received(data)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        self._stop_watching()

    def _watch_head(self) -> None:
        cycle: Any = self.cycle  # None until the first request, whatever uvicorn's types say
        if cycle is not None and not cycle.response_complete:
            self._stop_watching()
        elif self._head_timer is None:  # a running timer is left alone: sending a byte now and then buys no time
            self._head_timer = self.loop.call_later(self.limits.head_seconds, self.timeout_keep_alive_handler)

    def _stop_watching(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
