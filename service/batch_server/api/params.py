"""Parses query parameters, as strictly as the API documents them."""

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from service.batch_server.errors import BadQuery, Malformed

MAX_LIMIT: Final = 100
_TRUE: Final = frozenset({"true", "1", "t", "T", "TRUE", "True"})
_FALSE: Final = frozenset({"false", "0", "f", "F", "FALSE", "False"})
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}")
_FRACTION: Final = re.compile(r"(\.\d{1,9})")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def limit(query: Mapping[str, str]) -> int | None:
    """Read ``limit``: 1 to 100, or absent for no limit.

    Raises:
        BadQuery: If it is out of range or not a whole number.
    """
    text = query.get("limit")
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise BadQuery("limit in query must be of type int64")
    value = int(text)
    if not 1 <= value <= MAX_LIMIT:
        raise BadQuery(f"limit in query should be between 1 and {MAX_LIMIT}")
    return value


def created_before(query: Mapping[str, str]) -> int | None:
    """Read ``created_before``: a time, cut to the millisecond.

    Returns:
        Microseconds since 1970, or ``None`` if it is absent.

    Raises:
        BadQuery: If it isn't an RFC 3339 time.
    """
    text = query.get("created_before")
    if text is None:
        return None
    # Python accepts at most six decimals of a second, the API nine. An unescaped plus sign arrives as a space.
    shortened = _FRACTION.sub(lambda match: match[0][:4], text.replace(" ", "+") if "T" in text else text)
    try:
        moment = dt.datetime.fromisoformat(shortened)
    except ValueError as error:
        raise BadQuery("created_before in query must be of type date-time") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1) * 1000


def flag(query: Mapping[str, str], name: str) -> bool:
    """Read a boolean that is false when absent.

    Raises:
        BadQuery: If it isn't a boolean.
    """
    text = query.get(name)
    if text is None or text in _FALSE:
        return False
    if text in _TRUE:
        return True
    raise BadQuery(f"{name} in query must be of type boolean")


def wait_seconds(query: Mapping[str, str], *, longest: float) -> float | None:
    """Read ``wait``: seconds to wait for a job's end, capped.

    Args:
        longest: The highest value, in seconds.

    Returns:
        Seconds, or ``None`` if it is absent.

    Raises:
        BadQuery: If it isn't a whole number.
    """
    text = query.get("wait")
    if text is None:
        return None
    if not _INTEGER.fullmatch(text):
        raise BadQuery("wait in query must be of type int64")
    return min(max(float(text), 0.0), longest)


def day(query: Mapping[str, str], name: str) -> dt.date | None:
    """Read a day, ``YYYY-MM-DD``, or ``None`` if it is absent.

    Raises:
        BadQuery: If it isn't one.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=dt.UTC).date()
    except ValueError as error:
        raise BadQuery(f"{name} in query must be of type date") from error


class ProcessingData(msgspec.Struct, forbid_unknown_fields=True):
    """The header ``X-SM-Processing-Data``."""

    parallel_engines: Annotated[int, msgspec.Meta(ge=1)] | None = None
    user_id: str | None = None


def processing_data(header: str | None) -> str:
    """Read ``X-SM-Processing-Data``, which this server only records.

    Returns:
        A remark for the job's log; empty without the header.

    Raises:
        Malformed: If the header isn't as documented.
    """
    if header is None:
        return ""
    try:
        # Headers are decoded as Latin-1; the client sent UTF-8.
        data = msgspec.json.decode(header.encode("latin-1"), type=ProcessingData)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Malformed(f"The header X-SM-Processing-Data is invalid: {error}") from error
    remark = "" if data.user_id is None else f", user {data.user_id}"
    if data.parallel_engines is not None:
        remark += "; parallel_engines has no effect, the server's settings decide"
    return remark
