"""Error responses, with the API's own error strings (``ErrorResponse``).

ApiError
├── BadConfig          400  the job's config is not one the API documents, or not one this server can honour
├── MissingData        400  no audio came with the job
├── Malformed          400  the request is not well-formed
├── NotPermitted       401  no key, or a wrong one
├── Forbidden          403  not from this host name
├── JobNotFound        404  no such job
├── NotReady           404  the job is still running
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


class ApiError(Exception):
    """An error response.

    Attributes:
        status: The HTTP status code.
        error: One of the error strings that the API documents.
        detail: What happened and what to do about it, for people.
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


class BadConfig(ApiError):
    """The job's config can't be honoured; the detail names the field."""

    status = 400
    error = "Job rejected"


class MissingData(ApiError):
    """A job came without audio."""

    status = 400
    error = "Missing data_file"


class Malformed(ApiError):
    """The request is not well-formed."""

    status = 400
    error = "Malformed request"


class Stalled(ApiError):
    """The request's body stopped arriving; the same request may succeed when it is sent again."""

    status = 408
    error = "Bad Request"


class NotPermitted(ApiError):
    """The key is missing or wrong."""

    status = 401
    error = "Permission Denied"


class Forbidden(ApiError):
    """A server without a key was called by a host name that isn't this machine's own."""

    status = 403
    error = "Forbidden"


class JobNotFound(ApiError):
    """There is no job with this id, or it belongs to another key."""

    status = 404
    error = "Job not found"


class NotReady(ApiError):
    """The job is still running."""

    status = 404
    error = "Transcription not ready"


class NoTranscript(ApiError):
    """The job was rejected and will never have a transcript."""

    status = 404
    error = "Job rejected"


class FormatNotSupported(ApiError):
    """The API has no such transcript format."""

    status = 404
    error = "Format Not Supported"


class LogNotAvailable(ApiError):
    """The job has no log."""

    status = 404
    error = "Log file not available"


class JobExpired(ApiError):
    """The job was removed after its retention period."""

    status = 410
    error = "Job Expired"


class TooLarge(ApiError):
    """The upload is larger than the limit."""

    status = 413
    error = "Bad Request"


class BadQuery(ApiError):
    """A query parameter has the wrong type or is out of range."""

    status = 422
    error = "Unprocessable Entity"


class JobRunning(ApiError):
    """A running job is deleted only with ``force``."""

    status = 423
    error = "Resource Locked"


class TooMany(ApiError):
    """A rate limit, or the limit on unfinished jobs, is reached."""

    status = 429
    error = "Max concurrent running jobs exceeded"


class ServerFault(ApiError):
    """The server failed, for example because its disk is full."""

    status = 500
    error = "Internal Server Error"
