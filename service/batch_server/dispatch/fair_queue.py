"""The queue of jobs, fair to their owners. Pure."""

from collections import deque


class FairQueue:
    """Takes jobs round-robin across owners, and first-in first-out within each.

    An owner who submits ten thousand jobs at once delays another owner's single job by one job.
    """

    def __init__(self) -> None:
        # In the order in which owners come next; an owner without jobs is not kept.
        self._waiting: dict[str, deque[str]] = {}

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, owner: str, job_id: str) -> None:
        """Add a job behind its owner's other jobs; a new owner comes after all others."""
        self._waiting.setdefault(owner, deque()).append(job_id)

    def ahead(self, owner: str, job_id: str) -> int | None:
        """Count the jobs that will be taken before this one; ``None`` if it is not in the queue."""
        if job_id not in self._waiting.get(owner, ()):
            return None
        position = self._waiting[owner].index(job_id)
        own = list(self._waiting).index(owner)
        others = (min(len(jobs), position + (i < own)) for i, jobs in enumerate(self._waiting.values()) if i != own)
        return position + sum(others)

    def take(self) -> tuple[str, str]:
        """Take the next job; return its owner and its id.

        Raises:
            LookupError: If the queue is empty.
        """
        if not self._waiting:
            raise LookupError("the queue is empty")
        owner = next(iter(self._waiting))
        jobs = self._waiting.pop(owner)
        job_id = jobs.popleft()
        if jobs:
            self._waiting[owner] = jobs  # at the end of the order
        return owner, job_id
