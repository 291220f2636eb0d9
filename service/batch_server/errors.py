"""Answers that say no, in the API's own words (``ErrorResponse``).

Problem
├── BadConfig          400  the job's config is not one the API documents, or not one this server can honour
├── MissingData        400  no audio came with the job
├── Malformed          400  the request body is not what its headers promise
├── NotPermitted       401  no key, or a wrong one
├── Refused            403  right key, but not from there
├── JobNotFound        404  no such job
├── NotReady           404  the transcript is not there yet
├── FormatNotSupported 404  no such transcript format
├── NoTranscript       404  the job was rejected and will never have a transcript
├── LogNotAvailable    404  no log for this job
├── Stalled            408  the request's body stopped arriving
├── JobExpired         410  the job is past its retention
├── TooLarge           413  the upload is over the limit
├── BadQuery           422  a query parameter is not what the API documents
├── JobRunning         423  a running job is deleted only with force
├── TooMany            429  over a limit
└── ServerFault        500  this server could not do its part
"""

from typing import ClassVar


class Problem(Exception):
    """An answer with an error status.

    Attributes:
        status: The HTTP status code.
        error: One of the error strings that the API documents.
        detail: What happened and what can be done about it, for people.
        retry_after: Seconds after which the request may succeed, if known.
    """

    status: ClassVar[int] = 500
    error: str = "Internal Server Error"

    def __init__(
        self, detail: str | None = None, *, error: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(detail or error or self.error)
        self.detail = detail
        self.error = error or type(self).error
        self.retry_after = retry_after

    def body(self) -> dict[str, int | str]:
        """Build the ``ErrorResponse``."""
        body: dict[str, int | str] = {"code": self.status, "error": self.error}
        if self.detail is not None:
            body["detail"] = self.detail
        return body


class BadConfig(Problem):
    """The job's config can't be honoured; the detail names the field."""

    status = 400
    error = "Job rejected"


class MissingData(Problem):
    """A job came without audio."""

    status = 400
    error = "Missing data_file"


class Malformed(Problem):
    """The request's body is broken."""

    status = 400
    error = "Malformed request"


class Stalled(Problem):
    """The request's body stopped arriving; the same request may succeed when it is sent again."""

    status = 408
    error = "Bad Request"


class NotPermitted(Problem):
    """The key is missing or wrong."""

    status = 401
    error = "Permission Denied"


class Refused(Problem):
    """The request may not come from there."""

    status = 403
    error = "Forbidden"


class JobNotFound(Problem):
    """There is no job with this id, or it belongs to another key."""

    status = 404
    error = "Job not found"


class NotReady(Problem):
    """The job still runs."""

    status = 404
    error = "Transcription not ready"


class NoTranscript(Problem):
    """The job was rejected."""

    status = 404
    error = "Job rejected"


class FormatNotSupported(Problem):
    """A transcript is asked for in a format that the API doesn't have."""

    status = 404
    error = "Format Not Supported"


class LogNotAvailable(Problem):
    """There is no log for the job."""

    status = 404
    error = "Log file not available"


class JobExpired(Problem):
    """The job was removed after its retention period, or by its owner."""

    status = 410
    error = "Job Expired"


class TooLarge(Problem):
    """The upload is larger than the server takes."""

    status = 413
    error = "Bad Request"


class BadQuery(Problem):
    """A query parameter has a wrong type or range."""

    status = 422
    error = "Unprocessable Entity"


class JobRunning(Problem):
    """A running job is not deleted without force."""

    status = 423
    error = "Resource Locked"


class TooMany(Problem):
    """A limit is reached."""

    status = 429
    error = "Max concurrent running jobs exceeded"


class ServerFault(Problem):
    """The server could not do its part, for example because its disk is full."""

    status = 500
    error = "Internal Server Error"
