"""How long to wait after failures in a row: one formula for everything that is tried again."""

from __future__ import annotations

__all__ = ["backoff"]

_ENOUGH = 64
"""Failures after which every delay has long reached its limit: the power stays a number that a float can hold."""


def backoff(failures: int, *, first: float, longest: float, factor: float = 2.0, jitter: float = 0.0) -> float:
    """Return the seconds to wait after a number of failures in a row.

    Args:
        failures: how many there were, from 1.
        first: the delay after the first one, in seconds.
        longest: the limit of the growth, in seconds.
        factor: by how much each delay exceeds the one before.
        jitter: a random number from 0 to 1. It shortens the delay by up to a quarter, so that many things that failed
            together are not tried again together.
    """
    delay = min(first * factor ** min(max(failures - 1, 0), _ENOUGH), longest)
    return float(delay * (1 - jitter / 4))
