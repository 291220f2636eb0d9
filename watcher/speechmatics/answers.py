"""What an HTTP answer means: a typed value, or one of the errors of the tree."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import msgspec

from watcher.speechmatics.errors import (
    ApiError,
    AuthenticationError,
    BadRequest,
    BrokenJson,
    ConcurrencyLimited,
    Gone,
    Locked,
    NotFound,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    Redirected,
    ServerError,
    TruncatedBody,
    Unprocessable,
    WrongContentType,
)
from watcher.speechmatics.timing import parse_http_date, parse_retry_after

__all__ = ["Answer", "ErrorBody", "decode", "error_from", "read_error_body", "require_type"]

Decoded = TypeVar("Decoded")

CONCURRENCY_ERROR = "max concurrent running jobs exceeded"
JSON_TYPES = frozenset({"application/json", "application/vnd.speechmatics.v2+json", "application/vnd.speechmatics.v2"})
LONGEST_TEXT = 500
SHORTEST_SECRET = 6
"""A key this short is made up for a test; blotting it out would only garble words."""

_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    410: Gone,
    413: PayloadTooLarge,
    422: Unprocessable,
    423: Locked,
    429: RateLimited,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end.

    Attributes:
        status: The HTTP status.
        headers: Its headers, by lower-case name.
        body: Its body, as far as it came.
        request: What was asked, as ``"GET /jobs"``.
        complete: Whether all of the body came.
        request_id: The id that was sent with the request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    request: str = ""
    complete: bool = True
    request_id: str | None = None

    @property
    def content_type(self) -> str:
        """The media type, without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class ErrorBody(msgspec.Struct):
    """The API's own error document (``ErrorResponse``)."""

    code: int | None = None
    error: str | None = None
    detail: str | None = None


def read_error_body(answer: Answer) -> ErrorBody | None:
    """The API's own error document, or None if the body is something else, such as a proxy's page."""
    try:
        body = msgspec.json.decode(answer.body, type=ErrorBody)
    except (ValueError, RecursionError):
        return None
    return body if body.error else None


def error_from(answer: Answer, *, now: float, secret: str = "") -> ApiError:
    """The error that an answer of 3xx or more stands for.

    Args:
        answer: The answer.
        now: Seconds since 1970, for a ``Retry-After`` date when the answer has no ``Date``.
        secret: The key that was sent; it is blotted out should the answer repeat it.
    """
    body = read_error_body(answer)
    error = body.error if body and body.error else _reason(answer.status)
    detail = body.detail if body else None
    date = parse_http_date(answer.headers.get("date"))
    kind = _BY_STATUS.get(answer.status, ApiError)
    if kind is RateLimited and error.strip().lower() == CONCURRENCY_ERROR:
        kind = ConcurrencyLimited
    elif answer.status < HTTPStatus.BAD_REQUEST:
        kind = Redirected
    elif answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = ServerError
    return kind(
        answer.status,
        _safe(error, secret),
        detail=None if detail is None else _safe(detail, secret),
        request=answer.request,
        request_id=answer.headers.get("x-request-id") or answer.headers.get("request-id") or answer.request_id,
        retry_after=parse_retry_after(answer.headers.get("retry-after"), now=date.timestamp() if date else now),
        from_api=body is not None,
    )


def require_type(answer: Answer, allowed: frozenset[str]) -> None:
    """Check that the answer is whole and of one of these media types.

    Raises:
        TruncatedBody: Its end is missing.
        WrongContentType: It is of another type.
    """
    if not answer.complete:
        raise TruncatedBody(f"The answer to {answer.request} broke off after {len(answer.body)} bytes.")
    if answer.content_type not in allowed:
        raise WrongContentType(
            f"The answer to {answer.request} is {answer.content_type or 'of no stated type'}, where "
            f"{' or '.join(sorted(allowed))} was expected. Is there a proxy or login page in between?"
        )


def decode(answer: Answer, kind: type[Decoded]) -> Decoded:
    """Read a JSON answer as the given type.

    Raises:
        TruncatedBody: Its end is missing.
        WrongContentType: It isn't JSON by its type.
        BrokenJson: It isn't JSON, or not of this shape.
    """
    require_type(answer, JSON_TYPES)
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.ValidationError as error:
        raise BrokenJson(f"The answer to {answer.request} is not as documented: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BrokenJson(f"The answer to {answer.request} is not valid JSON: {error}") from error


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "unknown status"


def _safe(text: str, secret: str) -> str:
    text = text.replace(secret, "***") if len(secret) >= SHORTEST_SECRET else text
    text = "".join(each if each.isprintable() else " " for each in text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
