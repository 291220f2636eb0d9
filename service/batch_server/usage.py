"""Builds the response of ``GET /usage``. Pure."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

_SECONDS_PER_HOUR = 3600.0


class Sum(NamedTuple):
    """Usage of one language and operating point.

    Attributes:
        language: Speechmatics' code.
        operating_point: As in the config.
        jobs: Number of jobs.
        seconds: Total length of their audio.
    """

    language: str
    operating_point: str
    jobs: int
    seconds: float


def report(sums: Sequence[Sum], since: dt.date, until: dt.date) -> dict[str, Any]:
    """Build the ``UsageResponse`` for the days from ``since`` to ``until``, both included."""
    details = [
        {
            "mode": "batch",
            "type": "transcription",
            "language": item.language,
            "operating_point": item.operating_point,
            "count": item.jobs,
            "duration_hrs": _hours(item.seconds),
        }
        for item in sums
    ]
    summary = []
    if details:
        summary = [
            {
                "mode": "batch",
                "type": "transcription",
                "count": sum(item.jobs for item in sums),
                "duration_hrs": _hours(sum(item.seconds for item in sums)),
            }
        ]
    return {
        "since": f"{since.isoformat()}T00:00:00Z",
        "until": f"{until.isoformat()}T23:59:59Z",
        "summary": summary,
        "details": details,
    }


def _hours(seconds: float) -> float:
    return round(seconds / _SECONDS_PER_HOUR, 4)
