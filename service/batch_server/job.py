"""A job as the server knows it, and the API's views of it."""

import datetime as dt
import secrets
from typing import Any, Final, Literal

import msgspec

Status = Literal["running", "done", "rejected", "deleted", "expired"]

_ID_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_ID_LENGTH: Final = 10
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_MILLISECOND: Final = 1000  # microseconds


class JobError(msgspec.Struct, frozen=True, omit_defaults=True):
    """``JobDetailError``: what went wrong with a job.

    Attributes:
        timestamp: When, RFC 3339.
        message: What happened, and what can be done about it.
        type: The kind of error, for programs; not documented by the API: ``audio``, ``language``, ``model``, ``fetch``,
            ``notification``; ``worker`` if the recognition process was killed, most likely for lack of memory;
            ``internal`` if the program itself failed. The last two are not the recording's fault.
    """

    timestamp: str
    message: str
    type: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ``jobs`` table.

    Attributes:
        id: Ten lower-case letters and digits, as Speechmatics' own.
        owner: Whose key submitted it.
        created: Microseconds since 1970; no two jobs have the same millisecond.
        data_name: The file name that came with the audio.
        config: The ``JobConfig`` as received, JSON.
        status: The API's name; ``running`` includes jobs in the queue.
        duration: Seconds of audio; ``None`` until it was decoded.
        crashes: How often a worker process died while it worked on this job.
        errors: What went wrong.
        finished: Microseconds since 1970 at which the job ended.
    """

    id: str
    owner: str
    created: int
    data_name: str
    config: bytes
    status: Status
    duration: float | None = None
    crashes: int = 0
    errors: tuple[JobError, ...] = ()
    finished: int | None = None


def new_id() -> str:
    """Return a fresh job id, too random to be guessed."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))


def now_micros() -> int:
    """Return the current time in microseconds since 1970."""
    return (dt.datetime.now(dt.UTC) - _EPOCH) // _MICROSECOND


def creation_time(now: int, last: int) -> int:
    """Return a new job's time of creation.

    Each job has a millisecond of its own, because the cursor of ``GET /jobs`` is cut to the millisecond: if two jobs
    shared one, a client that pages back from the second would never see the first.

    Args:
        now: Microseconds since 1970.
        last: When the last job was created; later than ``now`` if the clock was set back.
    """
    return max(now, (last // _MILLISECOND + 1) * _MILLISECOND)


def timestamp(micros: int) -> str:
    """Format microseconds since 1970 as the API does: ``2018-01-09T12:29:01.853047Z``."""
    return (_EPOCH + micros * _MICROSECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def job_details(job: Job) -> dict[str, Any]:
    """Build the API's ``JobDetails`` of a job."""
    details: dict[str, Any] = {
        "created_at": timestamp(job.created),
        "data_name": job.data_name,
        "id": job.id,
        "status": job.status,
        "config": msgspec.Raw(job.config),
    }
    if job.duration is not None:
        details["duration"] = round(job.duration)
    if job.errors:
        details["errors"] = job.errors
    return details


def job_info(job: Job, *, duration: float, tracking: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Build the API's ``JobInfo``, which is part of a transcript.

    Args:
        duration: Length of the audio in seconds.
        tracking: The config's ``tracking``, or ``None``.
    """
    info: dict[str, Any] = {
        "created_at": timestamp(job.created),
        "data_name": job.data_name,
        "duration": round(duration),
        "id": job.id,
    }
    if tracking is not None:
        info["tracking"] = tracking
    return info
