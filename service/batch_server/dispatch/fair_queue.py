"""Whose job is next. Pure."""

from collections import deque


class Turns:
    """Jobs that wait, taken in turns: one of each owner, and of one owner in the order in which they came.

    So whoever brings ten thousand jobs at once delays another's single one by the length of one job.
    """

    def __init__(self) -> None:
        # In the order in which the owners have their turns; nobody without a job is kept.
        self._waiting: dict[str, deque[str]] = {}

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, owner: str, job_id: str) -> None:
        """Let a job wait behind its owner's others; a new owner's turn comes after everybody's."""
        self._waiting.setdefault(owner, deque()).append(job_id)

    def ahead(self, owner: str, job_id: str) -> int | None:
        """Count the jobs that are taken before one that waits; ``None`` if it does not wait."""
        if job_id not in self._waiting.get(owner, ()):
            return None
        position = self._waiting[owner].index(job_id)
        own = list(self._waiting).index(owner)
        others = (min(len(jobs), position + (i < own)) for i, jobs in enumerate(self._waiting.values()) if i != own)
        return position + sum(others)

    def take(self) -> tuple[str, str]:
        """Take the job whose turn it is.

        Returns:
            Its owner and its id.

        Raises:
            LookupError: If none waits.
        """
        if not self._waiting:
            raise LookupError("no job waits")
        owner = next(iter(self._waiting))
        jobs = self._waiting.pop(owner)
        job_id = jobs.popleft()
        if jobs:
            self._waiting[owner] = jobs  # at the end of the order
        return owner, job_id
