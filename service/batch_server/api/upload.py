"""Receives a job as multipart form data, and streams its audio to disk.

An upload without its closing boundary is discarded: a request that breaks off creates no job.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath
from typing import IO, Final
from urllib.parse import unquote, urlsplit

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from service.batch_server.errors import ApiError, BadConfig, Malformed, Stalled, TooLarge
from service.batch_server.settings import Limits

_WRITE_SIZE: Final = 1 << 20
_MAX_PARTS: Final = 16
_MAX_HEADERS: Final = 16
_MAX_HEADER_SIZE: Final = 8192
_DRAIN_SECONDS: Final = 30.0
_DRAIN_BYTES: Final = 1 << 26
_FORM_OVERHEAD: Final = 1 << 20
_DEFAULT_NAME: Final = "data_file"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A received form.

    Attributes:
        config: The ``config`` part.
        audio: File with the ``data_file`` part, flushed to disk; ``None`` without one.
        data_name: The file name that came with it, without folders.
        size: Bytes of audio.
    """

    config: bytes
    audio: Path | None
    data_name: str
    size: int


class _Form:
    """Collects the parts of one form; the callbacks are python-multipart's."""

    def __init__(self, boundary: bytes, *, limits: Limits, on_config: Callable[[bytes], None]) -> None:
        self._limits = limits
        self._on_config = on_config
        self._parts = 0
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._part = ""
        self._unwritten = bytearray()
        self._config = bytearray()
        self.has_config = False
        self.has_audio = False
        self.size = 0
        self.data_name = _DEFAULT_NAME
        self.complete = False
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
            max_header_count=_MAX_HEADERS,
            max_header_size=_MAX_HEADER_SIZE,
        )

    @property
    def config(self) -> bytes:
        return bytes(self._config)

    def take_unwritten(self, least: int) -> bytes:
        """Return the audio that is not yet written, if there are at least so many bytes of it."""
        if len(self._unwritten) < least:
            return b""
        data = bytes(self._unwritten)
        self._unwritten.clear()
        return data

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise Malformed(f"The form has more than {_MAX_PARTS} parts")
        self._headers = {}
        self._part = ""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part == "config":
            if self.has_config:
                raise Malformed("The form has more than one part named 'config'")
            self.has_config = True
        elif self._part == "data_file":
            if self.has_audio:
                raise Malformed("The form has more than one part named 'data_file'")
            self.has_audio = True
            name = options.get(b"filename", b"").decode("utf-8", "replace")
            self.data_name = base_name(name)
        else:
            raise Malformed(f"The form has a part named {self._part!r}; only 'config' and 'data_file' are known")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part == "config":
            self._config += data[start:end]
            if len(self._config) > self._limits.config_bytes:
                raise BadConfig(f"The config is longer than {self._limits.config_bytes} bytes")
        else:
            self.size += end - start
            if self.size > self._limits.upload_bytes:
                raise too_large(self._limits)
            self._unwritten += data[start:end]

    def _on_part_end(self) -> None:
        if self._part == "config":
            self._on_config(self.config)

    def _on_end(self) -> None:
        self.complete = True


def too_large(limits: Limits) -> TooLarge:
    """Return the error for an upload over the limit."""
    return TooLarge(f"The audio is larger than this server's limit of {limits.upload_bytes} bytes")


async def receive(request: Request, path: Path, *, limits: Limits, on_config: Callable[[bytes], None]) -> Upload:
    """Receive a job's form, writing its audio to a file.

    Args:
        request: The request; its body must not have been read.
        path: Where to write; the caller removes it unless the upload becomes a job.
        on_config: Called with the config as soon as it is complete; raises ``ApiError`` to refuse it.

    Raises:
        ApiError: If the form is not as documented, over a limit, or refused by ``on_config`` (the rest of the body has
            been read by then, so that the client can read the response), or if data stops arriving.
        ClientDisconnect: If the connection broke.
        OSError: If the disk fails, for example because it is full.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        await drain(request, limits)
        raise Malformed("The request's Content-Type must be multipart/form-data with a boundary")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limits.upload_bytes + limits.config_bytes + _FORM_OVERHEAD:
        await drain(request, limits)
        raise too_large(limits)
    with path.open("xb", buffering=0) as file:
        try:
            form = _Form(boundary, limits=limits, on_config=on_config)
            async for chunk in _arriving(request, limits.stall_seconds):
                form.parser.write(chunk)
                if data := form.take_unwritten(_WRITE_SIZE):
                    await asyncio.to_thread(_write, file, data)
            form.parser.finalize()
        except _Stalled as stall:
            raise Stalled(f"Nothing more of the form arrived for {limits.stall_seconds:g} seconds") from stall
        except FormParserError as error:
            await drain(request, limits)
            raise Malformed(f"The form can't be read: {error}") from error
        except ApiError:
            await drain(request, limits)
            raise
        if not form.complete:
            raise Malformed("The form ends before its closing boundary")
        await asyncio.to_thread(_write_and_flush, file, form.take_unwritten(0))
    if not form.has_config:
        raise Malformed("The form has no part named 'config'")
    return Upload(config=form.config, audio=path if form.has_audio else None, data_name=form.data_name, size=form.size)


class _Stalled(Exception):
    """The client stopped sending, but keeps the connection open."""


async def _arriving(request: Request, stall_seconds: float) -> AsyncIterator[bytes]:
    """Yield a request's body as it arrives.

    Raises:
        _Stalled: If nothing arrived for so many seconds.
    """
    body = request.stream()
    while True:
        try:
            async with asyncio.timeout(stall_seconds):
                chunk = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise _Stalled from None
        yield chunk


async def drain(request: Request, limits: Limits) -> None:
    """Read and discard the rest of a request's body, within limits: a client that is cut off gets no response."""
    left = max(limits.upload_bytes, _DRAIN_BYTES)
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, RuntimeError):
        return  # too slow, or already read to its end: the response is sent anyway


def _write(file: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _write_and_flush(file: IO[bytes], data: bytes) -> None:
    _write(file, data)
    os.fsync(file.fileno())


def base_name(name: str) -> str:
    """Return a file name without its folders, whether they are written with slashes or backslashes."""
    return PurePosixPath(name.replace("\\", "/")).name or _DEFAULT_NAME


def name_from_url(url: str) -> str:
    """Return the file name at the end of a URL."""
    try:
        return base_name(unquote(urlsplit(url).path))
    except ValueError:
        return _DEFAULT_NAME
