"""A Batch service that stops reading in the middle of an upload until it is let go on, and counts what arrives."""

import asyncio
import contextlib
import json
import socket
import uuid

BUFFER = 64 * 1024
"""Bytes of its socket's receive buffer, as it asks for them; the kernel doubles that."""


class HalfwayService:
    """Use it as an async context. Attributes: `url`, `jobs`, `received` (of the body), `expected`.

    Args:
        pause_at: bytes of the body after which it stops reading.
    """

    def __init__(self, pause_at=1 << 20):
        self._pause_at = pause_at
        self.halfway = asyncio.Event()
        self.go_on = asyncio.Event()
        self.over = asyncio.Event()
        self.jobs = []
        self.received = 0
        self.expected = 0

    async def __aenter__(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v2"
        self._server = await asyncio.start_server(self._serve, sock=listener, limit=BUFFER)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.go_on.set()
        await self._server.wait_closed()

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = head.split(b" ", 1)[0]
                lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                if request == b"POST":
                    await self._take(reader, int(lines[b"content-length"]))
                    job = {"id": uuid.uuid4().hex, "status": "done"}
                    self.jobs.append(job)
                    self._answer(writer, b"201 Created", {"id": job["id"]})
                else:
                    self._answer(writer, b"404 Not Found", {"code": 404, "error": "Not Found"})
                await writer.drain()
        writer.close()

    async def _take(self, reader, length):
        self.expected = length
        try:
            while self.received < length:
                if self.received >= self._pause_at and not self.go_on.is_set():
                    self.halfway.set()
                    await self.go_on.wait()
                piece = await reader.read(min(BUFFER, length - self.received))
                if not piece:
                    raise ConnectionError
                self.received += len(piece)
        finally:
            self.over.set()

    def _answer(self, writer, status, body):
        data = json.dumps(body).encode()
        head = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(data))
        writer.write(head + data)
