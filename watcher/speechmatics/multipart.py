"""The request body of a submission: multipart/form-data, config first, of a length known beforehand."""

import mimetypes
import secrets
from dataclasses import dataclass

import msgspec

from watcher.speechmatics.job_config import JobConfig

__all__ = ["Form", "build_form"]

TAIL = 1024
"""How many bytes of audio are held back with the closing boundary."""


@dataclass(frozen=True, slots=True)
class Form:
    """A body, as the parts around the audio.

    Attributes:
        content_type: The request's ``Content-Type``.
        head: What goes before the audio: the config part, and the audio part's headers.
        closing: What goes after it.
        size: The audio's size in bytes.
    """

    content_type: str
    head: bytes
    closing: bytes
    size: int

    @property
    def length(self) -> int:
        """The request's ``Content-Length``."""
        return len(self.head) + self.size + len(self.closing)

    @property
    def tail(self) -> int:
        """How many bytes of audio to hold back."""
        return min(self.size, TAIL)


def build_form(config: JobConfig, *, data_name: str | None, size: int) -> Form:
    """Lay out the body of ``POST /jobs``.

    Args:
        config: The job's config.
        data_name: The recording's name; None for a job that fetches its audio.
        size: The recording's size in bytes, 0 for such a job.
    """
    boundary = secrets.token_hex(24)
    encoded = msgspec.json.encode(config.to_dict())
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="config"\r\n\r\n'.encode() + encoded
    if data_name is not None:
        kind = mimetypes.guess_type(data_name)[0] or "application/octet-stream"
        head += (
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="data_file"; filename="'.encode()
            + _escaped(data_name)
            + f'"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        )
    closing = f"\r\n--{boundary}--\r\n".encode()
    return Form(f"multipart/form-data; boundary={boundary}", head, closing, size)


def _escaped(name: str) -> bytes:
    """A file name for ``Content-Disposition`` as browsers write it (WHATWG HTML, multipart/form-data)."""
    for mark, escape in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(mark, escape)
    return name.encode("utf-8", errors="replace")
