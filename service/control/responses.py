"""Answers in JSON: data, and errors that say what happened and what the person can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from watcher.errors import DropscribeError, UsageError
from watcher.ledger.transitions import IllegalMove
from watcher.logs import get_logger

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["ApiError", "Json", "encode", "on_api_error", "on_bug", "on_dropscribe_error", "on_http_error"]

_log = get_logger("dashboard")


class ApiError(Exception):
    """An answer that is not what was asked for.

    Args:
        status: of HTTP.
        error: what happened.
        fix: what the person can do.
    """

    def __init__(self, status: int, error: str, fix: str = "") -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.fix = fix


def encode(data: object) -> bytes:
    """Encode JSON-ready data, also with the half characters that stand for the bytes of an odd file name."""
    try:
        return msgspec.json.encode(data)
    except UnicodeEncodeError:
        return json.dumps(data).encode()


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - Starlette's own signature
        """Encode the content."""
        return encode(content)


def _problem(status: int, error: str, fix: str = "") -> Json:
    return Json({"error": error, "fix": fix}, status_code=status)


def on_api_error(_: Request, error: Exception) -> Response:
    """Answer with what an endpoint said."""
    if not isinstance(error, ApiError):
        raise error
    return _problem(error.status, error.error, error.fix)


def on_dropscribe_error(_: Request, error: Exception) -> Response:
    """Answer with what a part of the daemon said: a conflict where the order doesn't fit the state."""
    if not isinstance(error, DropscribeError):
        raise error
    conflict = isinstance(error, UsageError | IllegalMove)
    return _problem(409 if conflict else 503, error.message, error.fix)


def on_http_error(_: Request, error: Exception) -> Response:
    """Answer for what no route knows."""
    status = getattr(error, "status_code", 500)
    texts = {404: "There is nothing at this address.", 405: "This address doesn't support this method."}
    headers = getattr(error, "headers", None)
    answer = _problem(status, texts.get(status, str(getattr(error, "detail", error))))
    answer.headers.update(headers or {})
    return answer


def on_bug(request: Request, error: Exception) -> Response:
    """Answer for an error that nobody expected; its details belong in the log."""
    _log.error("a request failed", path=request.url.path, exc_info=error)
    return _problem(500, "Dropscribe had an internal error.", "See the log: dropscribe service logs")
