"""What a request asks for, checked: nothing that a client sends is used as it came."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl

import msgspec

from service.control.responses import ApiError
from watcher.attention import ATTENTION
from watcher.models import Engine, EntryState, OutputFormat
from watcher.scheduler import Request as Transcription

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Query", "json_body", "read_reason", "read_request"]

_MOST_BODY = 64 * 1024
_MOST_ENTRIES = 500
_LONGEST_REASON = 2000


class Query:
    """A request's query string. A path in it may be any bytes, percent-encoded."""

    def __init__(self, request: Request) -> None:
        text = request.scope["query_string"].decode("latin-1")
        self._values = dict(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))

    def text(self, name: str) -> str | None:
        """A text, or None if it is missing or empty."""
        return self._values.get(name) or None

    def choice(self, name: str) -> dict[str, Any]:
        """A state, or `attention` for all that needs it, in any case: as arguments of `Control.entries`."""
        text = self.text(name)
        if text and text.lower() == ATTENTION:
            return {"attention": True}
        try:
            return {"state": EntryState(text.upper())} if text else {}
        except ValueError:
            known = ", ".join([*EntryState, ATTENTION])
            raise ApiError(400, f"There is no state {_shown(text)}.", f"The states: {known}.") from None

    def format(self, name: str, default: OutputFormat) -> OutputFormat:
        """A transcript's format."""
        text = self.text(name)
        try:
            return OutputFormat(text) if text else default
        except ValueError:
            known = ", ".join(OutputFormat)
            raise ApiError(400, f"There is no format {_shown(text)}.", f"The formats: {known}.") from None

    def limit(self, name: str, default: int) -> int:
        """A number of entries."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= _MOST_ENTRIES):  # noqa: PLR2004 - no long number is parsed
            raise ApiError(400, f"The limit {_shown(text)} is not a number from 1 to {_MOST_ENTRIES}.")
        return int(text)

    def path(self, name: str) -> Path | None:
        """An absolute path."""
        text = self.text(name)
        if text is None:
            return None
        if "\0" in text or not Path(text).is_absolute():
            raise ApiError(400, f"The path {_shown(text)} is not absolute.", "Give the whole path.")
        return Path(os.path.normpath(text))

    def cursor(self, name: str) -> tuple[float, str] | None:
        """Where the page before ended: when its last entry changed, and that entry's uid."""
        text = self.text(name)
        if text is None:
            return None
        when, _, uid = text.partition("~")
        try:
            at = float(when)
        except ValueError:
            at = math.nan
        if not uid or not math.isfinite(at):
            raise ApiError(400, f"There is no page {_shown(text)}.", "Use `next` of the page before.")
        return at, uid


async def json_body(request: Request) -> dict[str, Any]:
    """Read a JSON object of a bounded size; an empty body is an empty object."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BODY:
            raise ApiError(413, f"The body is larger than {_MOST_BODY} bytes.")
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not valid JSON.") from None
    if not isinstance(found, dict):
        raise ApiError(400, "The body is not a JSON object.")
    return found


def read_request(body: dict[str, Any]) -> Transcription:
    """Read the body of an order to transcribe a recording.

    Raises:
        ApiError: something is missing, of another type, or unknown.
    """
    try:
        asked = msgspec.convert(body, _Body)
    except msgspec.ValidationError as error:
        raise ApiError(400, f"The request body is invalid: {error}.") from None
    path, target = Path(asked.path), Path(asked.target)
    if not (path.is_absolute() and target.is_absolute()) or "\0" in asked.path + asked.target:
        raise ApiError(400, "`path` and `target` are not absolute paths.")
    return Transcription(path, asked.engine, asked.transcription, asked.formats, target)


def read_reason(body: dict[str, Any]) -> list[str]:
    """Read the optional `reason` of an order: a list of one text, or an empty list.

    Raises:
        ApiError: it is not a text of a bounded length.
    """
    reason = body.get("reason", "")
    if not isinstance(reason, str) or len(reason) > _LONGEST_REASON:
        raise ApiError(400, f"`reason` is not a text of up to {_LONGEST_REASON} characters.")
    return [reason.encode("utf-8", "replace").decode()] if reason else []


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an order to transcribe a recording."""

    path: str
    target: str
    engine: Engine
    formats: Annotated[tuple[OutputFormat, ...], msgspec.Meta(min_length=1)]
    transcription: dict[str, Any]


def _shown(text: str | None) -> str:
    return repr((text or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")[:100])
