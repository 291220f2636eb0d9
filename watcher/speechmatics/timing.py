"""Time and patience: the clock that waits go by, how long a stall may last, and when to try again."""

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import anyio

from watcher.speechmatics.errors import (
    ApiError,
    RateLimited,
    ResponseError,
    ServerError,
    SpeechmaticsError,
    TransportError,
)

__all__ = ["Clock", "RetryPolicy", "SystemClock", "Timeouts", "parse_retry_after"]

NOT_IMPLEMENTED = 501


class Clock(Protocol):
    """What tells the time and waits; tests put their own in its place."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never set back."""
        ...

    def time(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start, never set back."""
        return time.monotonic()

    def time(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        await anyio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a connection may stall, in seconds. There is no limit on a whole upload that keeps moving.

    Attributes:
        connect: To connect, TLS included.
        write: For the service to take the next piece of a request.
        read: For the next piece of an answer; a `wait` that was asked for comes on top.
        answer: For the answer to a submission, after its last byte was sent; a `wait` comes on top.
    """

    connect: float = 15.0
    write: float = 60.0
    read: float = 60.0
    answer: float = 300.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a GET or DELETE that failed for a passing reason is tried again. Submissions never are.

    Attributes:
        attempts: How many tries in all; 1 means no second one.
        base: The longest first pause in seconds; each next one may be twice as long.
        longest: No pause of our own choice is longer, in seconds.
        longest_retry_after: A ``Retry-After`` above this is the caller's to wait for: the error is raised.
        rng: Where the jitter comes from.
    """

    attempts: int = 5
    base: float = 0.5
    longest: float = 20.0
    longest_retry_after: float = 60.0
    rng: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def delay(self, error: SpeechmaticsError, tried: int) -> float | None:
        """The pause before the next try, in seconds, or None if there should be none.

        Args:
            error: What the last try came to.
            tried: How many tries there have been, at least 1.
        """
        if tried >= self.attempts or not is_passing(error):
            return None
        pause = min(self.longest, self.base * 2.0 ** (tried - 1)) * self.rng.uniform(0.5, 1.0)
        asked = error.retry_after if isinstance(error, ApiError) else None
        if asked is None:
            return pause
        if asked > self.longest_retry_after:
            return None
        # The service's wish is a minimum; jitter keeps many clients from coming back at once.
        return asked + pause * 0.1


def is_passing(error: SpeechmaticsError) -> bool:
    """Whether the same request may well succeed a little later."""
    if isinstance(error, ServerError):
        return error.status != NOT_IMPLEMENTED
    return isinstance(error, (RateLimited, TransportError, ResponseError))


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110, 10.2.3).

    Args:
        value: Seconds or an HTTP date.
        now: Seconds since 1970, by the server's ``Date`` if it gave one.

    Returns:
        The seconds to wait, at least 0; None if there is no such header or it can't be read.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    when = parse_http_date(text)
    return None if when is None else max(0.0, when.timestamp() - now)


def parse_http_date(value: str | None) -> datetime | None:
    """Read an HTTP date; None if it is none."""
    if not value:
        return None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when
