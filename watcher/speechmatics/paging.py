"""Walking the job list, newest first, without missing a job.

The list is cut by time: ``created_before`` is a cursor of whole milliseconds, and many jobs can share one. So
each page is asked for from just after the oldest job seen (its time + 1 ms, rounded up), and what was seen
before is dropped. A page that should bring more and doesn't is asked for again without a limit; should that
not help either, the list can't be trusted.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from watcher.speechmatics.errors import BrokenJson, PagingStalled
from watcher.speechmatics.jobs import JobDetails

__all__ = ["JobPager", "as_cursor"]

MILLISECOND = timedelta(milliseconds=1)
LARGEST_PAGE = 100


class JobPager:
    """Decides what to ask for next; it does no I/O.

    Args:
        created_before: Where to begin; None begins with the newest job.
        page_size: How many jobs to ask for at once, 1 to 100.

    Attributes:
        cursor: The ``created_before`` to ask for next.
        limit: The ``limit`` to ask for next; None asks for no limit.
        done: Whether the list has come to its end.
    """

    def __init__(self, created_before: datetime | None = None, page_size: int = LARGEST_PAGE) -> None:
        self.cursor = created_before
        self.limit: int | None = page_size
        self.done = False
        self._page_size = page_size
        self._seen: set[str] = set()

    def accept(self, page: Sequence[JobDetails]) -> list[JobDetails]:
        """Take a page.

        Returns:
            Its jobs that were on no page before, in its order.

        Raises:
            PagingStalled: The list does not move on.
            BrokenJson: A job's creation time can't be read.
        """
        new = []
        for job in page:
            if job.id not in self._seen:
                self._seen.add(job.id)
                new.append(job)
        if new:
            self._move_on(page)
        elif self.limit is not None and len(page) >= self.limit:
            self.limit = None  # more jobs share these milliseconds than a page holds
        elif self.limit is None and len(page) == LARGEST_PAGE:
            # Asked for everything, and got just the largest page of what is known: the service limits
            # silently.
            raise PagingStalled(
                f"The job list repeats the same {len(page)} jobs, so older ones could be missed. "
                "Delete some of the jobs that were created at the same moment."
            )
        else:
            self.done = True
        return new

    def _move_on(self, page: Sequence[JobDetails]) -> None:
        try:
            oldest = min(job.created for job in page)
        except ValueError as error:
            raise BrokenJson(f"A job in the list has no readable creation time: {error}") from error
        cursor = _ceiling(oldest) + MILLISECOND
        self.cursor = cursor if self.cursor is None else min(self.cursor, cursor)
        self.limit = self._page_size


def as_cursor(when: datetime | str) -> str:
    """A time as ``created_before`` takes it: UTC, milliseconds; without a zone it is taken as UTC."""
    if isinstance(when, str):
        return when
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ceiling(when: datetime) -> datetime:
    over = when.microsecond % 1000
    return when + timedelta(microseconds=1000 - over) if over else when
