"""Reading an account's list of jobs, to find those whose answers were lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from watcher import speechmatics as sm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.models import Attempt
    from watcher.speechmatics import AsyncClient, JobDetails

__all__ = ["Listing", "oldest_relevant", "read_listing"]

CLOCK_SKEW = 86400.0
"""Seconds by which our clock and the service's may differ when listings are searched."""
_MOST_LOOKUPS = 500


@dataclass
class Listing:
    """What one complete listing showed.

    Attributes:
        began: monotonic seconds at its start.
        jobs: by reference, oldest first.
        opaque: whether jobs were listed whose reference can't be learned.
    """

    began: float
    jobs: dict[str, list[JobDetails]] = field(default_factory=dict)
    opaque: bool = False


def oldest_relevant(armed_at: float) -> datetime:
    """How far back a listing must reach to be complete for an attempt armed at this unix time."""
    return datetime.fromtimestamp(armed_at - CLOCK_SKEW, tz=UTC)


async def read_listing(client: AsyncClient, attempts: Sequence[Attempt], *, began: float) -> Listing:
    """Read the list back past the arming times; to its very end while a job is missing.

    The end costs some pages more, but then a clock that was wrong at the time hides no job.

    Args:
        client: asks the service.
        attempts: whose jobs are looked for; at least one.
        began: monotonic seconds now.
    """
    listing = Listing(began)
    oldest = oldest_relevant(min(a.armed_at or a.prepared_at for a in attempts))
    missing = {attempt.reference for attempt in attempts}
    lookups = 0
    async for job in client.iter_jobs(include_deleted=True):
        is_old = job.created < oldest
        if is_old and not missing:
            break
        reference = job.reference
        if reference is None and job.config_data is None and not is_old:
            lookups += 1
            reference = await _look_up(client, job.id) if lookups <= _MOST_LOOKUPS else None
            listing.opaque |= reference is None
        if reference:
            listing.jobs.setdefault(reference, []).insert(0, job)
            missing.discard(reference)
    return listing


async def _look_up(client: AsyncClient, job_id: str) -> str | None:
    """Ask for the reference of a job whose config the listing left out, as on-prem servers do.

    Returns:
        The reference; an empty text for a job that has none; None if it can't be learned.
    """
    try:
        job = await client.get_job(job_id, wait=0)
    except (sm.NotFound, sm.Gone):
        return None
    return job.reference or ("" if job.config_data is not None else None)
