"""HTTP/1.1 by hand, so that the fault server can stop, break or lie at any byte."""

import asyncio
import contextlib
import hashlib
import socket
import struct
from urllib.parse import parse_qs, urlsplit

import msgspec
from python_multipart.multipart import MultipartParser, parse_options_header

PIECE = 256 * 1024
LINGER = 5.0
REASONS = {200: "OK", 201: "Created", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


class IncompleteBody(Exception):
    """The client hung up, or sent no proper form, before its request was whole."""


class Request:
    """A request whose head has been read."""

    def __init__(self, method, target, headers, reader):
        split = urlsplit(target)
        self.method = method
        self.path = split.path
        self.query = {name: values[0] for name, values in parse_qs(split.query).items()}
        self.headers = headers
        self._reader = reader
        self.body_read = False

    @property
    def length(self):
        return int(self.headers.get("content-length", "0"))

    async def pieces(self, most=None):
        """The body's bytes as they come, at most so many.

        Raises:
            IncompleteBody: It ended early.
        """
        try:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                    yield await self._reader.readexactly(size)
                    await self._reader.readexactly(2)
                await self._reader.readuntil(b"\r\n")
            else:
                left = self.length if most is None else min(most, self.length)
                while left:
                    piece = await self._reader.read(min(PIECE, left))
                    if not piece:
                        raise IncompleteBody
                    left -= len(piece)
                    yield piece
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise IncompleteBody from error
        self.body_read = most is None

    async def form(self):
        """The submission: (config text, file name or None, size, SHA-256), read as a stream."""
        kind, options = parse_options_header(self.headers.get("content-type", ""))
        if kind != b"multipart/form-data" or b"boundary" not in options:
            async for _ in self.pieces():
                pass
            return None
        form = _Form(options[b"boundary"])
        async for piece in self.pieces():
            form.parser.write(piece)
        if not form.ended:
            raise IncompleteBody
        return form.config.decode("utf-8", "replace"), form.file_name, form.size, form.hash.hexdigest()


class _Form:
    def __init__(self, boundary):
        self.config = bytearray()
        self.file_name = None
        self.size = 0
        self.hash = hashlib.sha256()
        self.ended = False
        self._header = bytearray()
        self._value = bytearray()
        self._part = None
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def _begin(self):
        self._part = None

    def _header_end(self):
        if bytes(self._header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._part = options.get(b"name")
            if self._part == b"data_file":
                self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _data(self, data, start, end):
        if self._part == b"config":
            self.config.extend(data[start:end])
        elif self._part == b"data_file":
            self.hash.update(memoryview(data)[start:end])
            self.size += end - start

    def _end(self):
        self.ended = True


async def read_request(reader):
    """The next request on a connection, or None when the client has hung up."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (OSError, EOFError, asyncio.LimitOverrunError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return Request(method, target, headers, reader)


class Answer:
    """An answer to write, whole or broken."""

    def __init__(self, status, body=b"", content_type="application/json", headers=None):
        self.status = status
        self.body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self.content_type = content_type
        self.headers = headers or {}

    def encoded(self, *, keep_open=True, claimed_length=None):
        lines = [
            f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Status')}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body) if claimed_length is None else claimed_length}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        if not keep_open:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def error_answer(status, error, detail=None, retry_after=None, *, html=False):
    """An error as the API words it, or as nginx does."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    if html:
        page = f"<html>\r\n<head><title>{status} {error}</title></head>\r\n<body><center><h1>{status} {error}"
        return Answer(
            status, f"{page}</h1></center><hr><center>nginx</center></body></html>".encode(), "text/html", headers
        )
    body = {"code": status, "error": error}
    if detail is not None:
        body["detail"] = detail
    return Answer(status, body, headers=headers)


def reset(writer):
    """Break the connection with a TCP reset."""
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def drain_quietly(request):
    """Read what the client still sends and drop it, for a while, so that it gets to read the answer."""
    with contextlib.suppress(IncompleteBody, TimeoutError):
        async with asyncio.timeout(LINGER):
            async for _ in request.pieces():
                pass
