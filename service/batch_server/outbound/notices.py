"""What a notification says, as ``NotificationConfig`` documents it. Pure."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from service.batch_server.job_config import Notification

TRANSCRIPT_TYPE: Final = "application/vnd.speechmatics.v2+json"
_TYPES: Final = {
    "jobinfo": ("application/json", "jobinfo.json"),
    "transcript": (TRANSCRIPT_TYPE, "transcript.json"),
    "transcript.json-v2": (TRANSCRIPT_TYPE, "transcript.json"),
    "transcript.txt": ("text/plain; charset=utf-8", "transcript.txt"),
    "transcript.srt": ("application/x-subrip; charset=utf-8", "transcript.srt"),
    "data": ("application/octet-stream", "data"),
    "text": ("text/plain; charset=utf-8", "text.txt"),
}
_LEGACY_NAME: Final = "data_file"

RETRY_SECONDS: Final = (1.0, 10.0, 60.0, 300.0)


Content = bytes | Path
"""What is sent: the bytes themselves, or a file of any size that holds them."""


class Message(NamedTuple):
    """An HTTP request to be made.

    Attributes:
        method: POST or PUT.
        url: With the job's id and status added to its query.
        content_type: Type of ``content``; ``None`` if there is none.
        content: The body, if it is a single item.
        files: The attachments, if there are several: name, file name, content, type.
    """

    method: str
    url: str
    content_type: str | None
    content: Content = b""
    files: tuple[tuple[str, str, Content, str], ...] = ()


def message(
    wanted: Notification, *, job_id: str, status: str, items: Mapping[str, Callable[[], Content | None]]
) -> Message:
    """Build a notification.

    Args:
        wanted: Whom to tell what.
        job_id: The job.
        status: ``success``, ``error`` or ``fetch_error``.
        items: How to get each item that can be attached; it gives ``None`` where there is none.

    Returns:
        The request. Items that a failed job lacks are left out, but the form of the body stays.
    """
    method, url = wanted.method.upper(), _url(wanted.url, job_id, status)
    contents = wanted.contents
    if contents is not None and not contents:
        return Message(method, url, None)
    if contents is not None and len(contents) == 1:
        found = items[contents[0]]()
        return Message(method, url, None) if found is None else Message(method, url, _TYPES[contents[0]][0], found)
    names = [(item, item) for item in contents] if contents is not None else [("transcript", _LEGACY_NAME)]
    files = tuple(
        (name, _TYPES[item][1], found, _TYPES[item][0]) for item, name in names if (found := items[item]()) is not None
    )
    return Message(method, url, None, files=files)


def _url(url: str, job_id: str, status: str) -> str:
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("id", job_id), ("status", status)]
    return urlunsplit(parts._replace(query=urlencode(query)))
