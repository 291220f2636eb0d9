"""Messages between a worker process and its parent, over a pipe: four bytes of length, then the message."""

import struct
from typing import IO, Final

_LENGTH: Final = struct.Struct(">I")

REPORT: Final = "report"
"""Marks a message with a progress report; a result is marked with whether the call succeeded."""


def write(pipe: IO[bytes], message: bytes) -> None:
    """Send one message.

    Raises:
        OSError: If the other end is closed.
    """
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()


def read(pipe: IO[bytes]) -> bytes:
    """Receive one message.

    Raises:
        EOFError: If the other end was closed, before or within the message.
    """
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError("the other end of the pipe was closed")
    return data
