"""The circuit breaker of an account: after failures, nothing is submitted for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CircuitBreaker"]

_LONGEST_PAUSE = 3600.0
_TOLERATED_FAILURES = 3
"""Failures in a row after which the breaker opens."""


@dataclass
class CircuitBreaker:
    """Counts what goes wrong in a row. While it is open, nothing is submitted. All times are unix times.

    Attributes:
        troubles: how many times in a row it opened without a job being accepted.
        failures: how many submissions failed in a row.
        refusals: how many times in a row the account was stopped, because it refused the key, say.
        throttled: how many times in a row it opened because a rate limit was met.
        open_until: when it closes again.
        reason: why it is open, in words for a person.
    """

    troubles: int = 0
    failures: int = 0
    refusals: int = 0
    throttled: int = 0
    open_until: float = 0.0
    reason: str = ""

    def open(self, until: float, reason: str, *, now: float, is_trouble: bool = True) -> None:
        """Submit nothing before `until`.

        Uploads that fail together count as one trouble. A busy service (`is_trouble=False`) counts as throttling.
        """
        if not self.is_open(now):
            self.troubles += is_trouble
            self.throttled += not is_trouble
        until = min(until, now + _LONGEST_PAUSE)
        if until > self.open_until or not self.is_open(now):
            self.open_until, self.reason = until, reason

    def record_failure(self, reason: str, *, now: float, delay: Callable[[int], float]) -> None:
        """Count a submission that failed on the service's side; after several in a row, open.

        Args:
            reason: why, in words for a person.
            now: the time.
            delay: returns the seconds to stay open, from the number of failures beyond those that are tolerated.
        """
        self.failures += 1
        if self.failures >= _TOLERATED_FAILURES:
            self.open(now + delay(self.failures - _TOLERATED_FAILURES + 1), reason, now=now)

    def record_success(self) -> None:
        """The service accepted a job: count from zero again."""
        self.troubles = self.failures = self.refusals = self.throttled = 0

    def is_open(self, now: float) -> bool:
        """Whether nothing is to be submitted now. A clock that is set back closes the breaker."""
        return now < self.open_until <= now + _LONGEST_PAUSE
