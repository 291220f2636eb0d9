"""Jobs as the service describes them, and its usage figures.

Source: the ``JobDetails``, ``JobInfo``, ``CreateJobResponse`` and ``UsageResponse`` definitions of the
Speechmatics Batch API, version 2.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from watcher.speechmatics.job_config import JobConfig
from watcher.speechmatics.models import OpenEnum

__all__ = [
    "JobDetailError",
    "JobDetails",
    "JobInfo",
    "JobStatus",
    "Usage",
    "UsageDetails",
    "parse_timestamp",
]

_FRACTION = re.compile(r"\.(\d+)")


class JobStatus(OpenEnum):
    """Where a job stands. `CREATED` is only said in answer to a submission that waited."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    REJECTED = "rejected"
    DELETED = "deleted"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, with a transcript or without; unknown states have not."""
        return self in _FINAL


_FINAL = frozenset({JobStatus.DONE, JobStatus.REJECTED, JobStatus.DELETED, JobStatus.EXPIRED})


def parse_timestamp(text: str) -> datetime:
    """Read one of the service's timestamps; digits past microseconds (it may send nanoseconds) are cut off.

    Args:
        text: An ISO 8601 time; without a zone it is taken as UTC.

    Returns:
        The time, in UTC.

    Raises:
        ValueError: It isn't such a time.
    """
    read = datetime.fromisoformat(_FRACTION.sub(lambda found: f".{found[1][:6]:0<6}", text, count=1))
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


_FAULTS = frozenset({"internal", "worker"})
"""The types of errors with which Dropscribe's own server says that the recording is not to blame."""


class JobDetailError(msgspec.Struct):
    """A problem that a job had: its audio couldn't be fetched, it couldn't be processed, and so on.

    `type` is beyond the API's description: Dropscribe's own server says with it what kind of problem it was.
    """

    message: str | None = None
    timestamp: str | None = None
    type: str | None = None


class JobInfo(msgspec.Struct):
    """A job as its transcript describes it. `duration` is the audio's, in seconds."""

    id: str = ""
    created_at: str | None = None
    data_name: str | None = None
    duration: float | None = None
    text_name: str | None = None
    tracking: dict[str, Any] | None = None


class JobDetails(msgspec.Struct):
    """A job as the service describes it.

    Attributes:
        id: The job's id.
        status: Where it stands.
        created_at: When the service created it, as it wrote it; `created` is the same as a datetime.
        data_name: The recording's name.
        duration: The audio's length in seconds; missing for recordings that the service fetches.
        errors: The problems that the job had.
        config_data: The config as it came; on-prem servers leave it out of listings. `config` is the same,
            typed.
        tracking: Tracking data where older servers put it, beside the config.
    """

    id: str
    status: JobStatus
    created_at: str
    data_name: str | None = None
    duration: float | None = None
    text_name: str | None = None
    lang: str | None = None
    errors: list[JobDetailError] | None = None
    config_data: dict[str, Any] | None = msgspec.field(default=None, name="config")
    tracking: dict[str, Any] | None = None

    @property
    def created(self) -> datetime:
        """When the service created the job, in UTC.

        Raises:
            ValueError: The service's timestamp is no timestamp.
        """
        return parse_timestamp(self.created_at)

    @property
    def config(self) -> JobConfig | None:
        """The job's config; None if the service left it out."""
        return None if self.config_data is None else JobConfig.from_dict(self.config_data)

    @property
    def reference(self) -> str | None:
        """The ``tracking.reference`` that the job was submitted with, if the service tells."""
        for holder in (self.config_data or {}, {"tracking": self.tracking}):
            tracking = holder.get("tracking")
            if isinstance(tracking, dict) and isinstance(tracking.get("reference"), str):
                return str(tracking["reference"])
        return None

    @property
    def is_services_fault(self) -> bool:
        """Whether the service says that it failed itself, by a mistake or for want of memory."""
        return any(each.type in _FAULTS for each in self.errors or [])

    @property
    def reasons(self) -> list[str]:
        """The messages of the job's errors."""
        return [each.message for each in self.errors or [] if each.message]


class UsageDetails(msgspec.Struct):
    """Usage of one kind: how many jobs were billed, and how many hours of audio."""

    mode: str = ""
    type: str = ""
    count: int = 0
    duration_hrs: float = 0.0
    language: str | None = None
    model: str | None = None
    operating_point: str | None = None


class Usage(msgspec.Struct):
    """The account's usage from `since` to `until`, in sum and by kind."""

    since: str
    until: str
    summary: list[UsageDetails] = []
    details: list[UsageDetails] = []
