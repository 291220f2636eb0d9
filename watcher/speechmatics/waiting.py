"""How a job is waited for: long polls where the server holds them, else polls that back off, with jitter."""

import random

from watcher.speechmatics.errors import JobDeleted, JobExpired, JobFailed, JobRejected
from watcher.speechmatics.jobs import JobDetails, JobStatus

__all__ = ["Patience", "raise_if_failed"]

LONG_POLL = 30
GROWTH = 1.5
HELD = 0.5
"""An answer that came in less than this part of the asked-for wait was not held by the server."""

LONGEST_CAP = 4.0
"""Servers may cap a wait, but hardly below so many seconds."""


class Patience:
    """Decides how to ask for a job's state next; it does no I/O.

    Args:
        interval: The longest pause between two polls, in seconds.
        first: The first pause, in seconds.
        long_poll: The seconds to ask the server to hold its answer; 0 asks for none.
        rng: Where the jitter comes from.
    """

    def __init__(
        self, *, interval: float, first: float, long_poll: int = LONG_POLL, rng: random.Random | None = None
    ) -> None:
        self._interval = interval
        self._pause = min(first, interval)
        self._long_poll = long_poll
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret

    def wait(self, left: float | None) -> int:
        """The ``wait`` to ask for, in whole seconds; 0 asks for an answer at once.

        Args:
            left: The seconds that the caller has left, None if there is no end.
        """
        return max(0, self._long_poll if left is None else min(self._long_poll, int(left)))

    def pause(self, asked: int, took: float) -> float:
        """How long to pause before asking again, in seconds.

        Args:
            asked: The ``wait`` that was asked for.
            took: How long the answer took, in seconds.
        """
        if asked and took >= min(LONGEST_CAP, HELD * asked):
            return 0.0  # the server waits for us
        if asked > 1:
            self._long_poll = 0  # it answers at once: it has no long poll
        pause, self._pause = self._pause, min(self._interval, self._pause * GROWTH)
        return pause * self._rng.uniform(0.8, 1.0)


def raise_if_failed(job: JobDetails) -> None:
    """Raise if the job ended without a transcript.

    Raises:
        JobFailed: It was rejected, deleted, or has expired.
    """
    kind: type[JobFailed] | None = {
        JobStatus.REJECTED: JobRejected,
        JobStatus.DELETED: JobDeleted,
        JobStatus.EXPIRED: JobExpired,
    }.get(job.status)
    if kind is not None:
        raise kind(job.id, job.reasons)
