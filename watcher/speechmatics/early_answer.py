"""Hear an answer that comes while the request is still being sent.

A server that refuses an upload (401, 413, 429) often answers in its middle and hangs up. A client that only
writes then sees a broken pipe, and the answer, still unread, is lost with the connection. This layer listens
while it writes: as soon as anything arrives, writing stops with `httpcore.WriteError`, which httpcore takes
as the sign to read the answer, and reading starts with what was heard.

It sits at httpcore's own seam for this, the network backend.
"""

import contextlib
import re
import socket
import ssl
import struct
import sys
from collections.abc import Iterable

import anyio
import anyio.abc
import anyio.lowlevel
import httpcore

__all__ = ["ListeningBackend"]

READ_SIZE = 64 * 1024
WRITE_SIZE = 64 * 1024
HTTP = b"HTTP/"
REFUSAL = re.compile(rb"HTTP/\d\.\d [345]\d\d[ \r\n]")
BEGINNING = 64
"""Bytes of an answer that are kept to tell what it may have been."""
INTERIM = b"HTTP/1.1 1"
"""How an interim answer begins (RFC 9110, 15.2)."""

_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

LONGEST_DRAIN = 50
"""Turns of the event loop given to what has already arrived, before more is written."""


class ListeningBackend(httpcore.AsyncNetworkBackend):
    """Opens connections that listen while they write.

    Args:
        listeners: Where the listening tasks run; cancel it when the exchange is over.
    """

    def __init__(self, listeners: anyio.abc.TaskGroup) -> None:
        self._listeners = listeners
        self._inner = httpcore.AnyIOBackend()
        self._stream: _ListeningStream | None = None

    @property
    def may_claim_success(self) -> bool:
        """Whether an answer has begun that is not for sure a refusal, however cut off or garbled it is."""
        beginning = b"" if self._stream is None else self._stream.beginning
        return HTTP.startswith(beginning[: len(HTTP)]) and bool(beginning) and not REFUSAL.match(beginning)

    @property
    def answered(self) -> bool:
        """Whether something has arrived that nobody has read yet, or the connection has ended."""
        return self._stream is not None and self._stream.heard is not None

    async def settle(self) -> None:
        """Give what has already arrived the time to be heard."""
        if self._stream is not None:
            await self._stream.settle()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Open a TCP connection."""
        stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return self.listen_on(stream)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._inner.sleep(seconds)

    def listen_on(self, stream: httpcore.AsyncNetworkStream) -> httpcore.AsyncNetworkStream:
        """Wrap a connection; the last one wrapped is the one that carries the request."""
        self._stream = _ListeningStream(stream, self, self._listeners)
        return self._stream


class _ListeningStream(httpcore.AsyncNetworkStream):
    def __init__(
        self, inner: httpcore.AsyncNetworkStream, backend: ListeningBackend, listeners: anyio.abc.TaskGroup
    ) -> None:
        self._inner = inner
        self._backend = backend
        self._listeners = listeners
        self._listening: anyio.Event | None = None
        self._writing: anyio.CancelScope | None = None
        self.heard: bytes | Exception | None = None
        self.beginning = b""
        self._answered = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data = await self._read(max_bytes, timeout)
        self.beginning += data[: BEGINNING - len(self.beginning)]
        return data

    async def _read(self, max_bytes: int, timeout: float | None) -> bytes:  # noqa: ASYNC109
        if self._listening is not None:
            with anyio.move_on_after(timeout) as waiting:
                await self._listening.wait()
            if waiting.cancelled_caught:
                raise httpcore.ReadTimeout
        heard, self.heard = self.heard, None
        if heard is None:
            return await self._inner.read(max_bytes, timeout)
        if isinstance(heard, Exception):
            raise heard
        if len(heard) > max_bytes:
            heard, self.heard = heard[:max_bytes], heard[max_bytes:]
        return heard

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if not buffer:
            return
        if self._listening is None and self.heard is None:
            self._listening = anyio.Event()
            self._listeners.start_soon(self._listen, self._listening)
        await self.settle()
        if self.heard is not None:
            raise httpcore.WriteError("The other side has already answered.")
        with anyio.CancelScope() as writing:
            self._writing = writing
            try:
                # In pieces, so that the timeout is one for a stall, not one for a slow line.
                for start in range(0, len(buffer), WRITE_SIZE):
                    await self._inner.write(buffer[start : start + WRITE_SIZE], timeout)
            finally:
                self._writing = None
            return
        raise httpcore.WriteError("The other side answered while the request was being sent.")

    async def settle(self) -> None:
        for _ in range(LONGEST_DRAIN):
            if self._listening is None or not self._inner.get_extra_info("is_readable"):
                return
            await anyio.lowlevel.checkpoint()

    async def _listen(self, done: anyio.Event) -> None:
        try:
            self.heard = await self._hear()
            self._answered = bool(self.heard)
        except httpcore.NetworkError as error:
            self.heard = error
        self._listening = None
        done.set()
        if self._writing is not None:
            self._writing.cancel()

    async def _hear(self) -> bytes:
        """What arrives first, but for interim answers (1xx), which ask for nothing and end nothing."""
        heard = b""
        while piece := await self._inner.read(READ_SIZE):
            heard = _without_interim(heard + piece)
            if not (heard.startswith(INTERIM) or INTERIM.startswith(heard)):
                break
        return heard

    async def aclose(self) -> None:
        if not self._answered:
            self._discard_unsent()
        await self._inner.aclose()

    def _discard_unsent(self) -> None:
        """Have the system drop what it has not sent yet: who cuts off a request wants no more of it to leave."""
        raw = self._inner.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's interface
    ) -> httpcore.AsyncNetworkStream:
        return self._backend.listen_on(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        return self._inner.get_extra_info(info)


def _without_interim(data: bytes) -> bytes:
    while data.startswith(INTERIM) and (end := data.find(b"\r\n\r\n")) >= 0:
        data = data[end + 4 :]
    return data
