"""Every way in which talking to the Batch API can fail.

::

    SpeechmaticsError
    ├── ConfigurationError        the client is set up wrongly: nothing was sent
    ├── SourceError               the recording can't be sent as it is: no job exists
    │   ├── SourceUnreadable      it can't be opened, read or measured
    │   └── SourceChanged         it changed while it was being read
    ├── ApiError                  the service answered with an error status
    │   ├── BadRequest            400
    │   ├── AuthenticationError   401
    │   ├── PermissionDenied      403
    │   ├── NotFound              404
    │   ├── Gone                  410
    │   ├── PayloadTooLarge       413
    │   ├── Unprocessable         422
    │   ├── Locked                423
    │   ├── RateLimited           429
    │   │   └── ConcurrencyLimited    429, "Max concurrent running jobs exceeded"
    │   ├── Redirected            3xx, which is never followed
    │   └── ServerError           5xx
    ├── TransportError            no answer came
    │   ├── ConnectFailed         no connection was made: nothing was sent
    │   ├── Timeout               the connection stalled
    │   └── ConnectionLost        the connection broke
    ├── ResponseError             an answer came that makes no sense
    │   ├── TruncatedBody
    │   ├── BrokenJson
    │   ├── WrongContentType
    │   ├── UnexpectedAnswer      a success status that the request can't have
    │   └── PagingStalled         the listing does not move on
    ├── SubmissionUnknown         the service may or may not have created the job
    ├── JobFailed                 the job ended without a transcript
    │   ├── JobRejected           with the service's reasons
    │   ├── JobDeleted
    │   └── JobExpired
    └── JobTimeout                the job is still running, but the caller's time is up

Of the errors that ``submit_job`` raises, only `SubmissionUnknown` leaves room for a job: after any other one,
none exists. Decide by class, never by message. No message carries a key.
"""

from collections.abc import Sequence

__all__ = [
    "ApiError",
    "AuthenticationError",
    "BadRequest",
    "BrokenJson",
    "ConcurrencyLimited",
    "ConfigurationError",
    "ConnectFailed",
    "ConnectionLost",
    "Gone",
    "JobDeleted",
    "JobExpired",
    "JobFailed",
    "JobRejected",
    "JobTimeout",
    "Locked",
    "NotFound",
    "PagingStalled",
    "PayloadTooLarge",
    "PermissionDenied",
    "RateLimited",
    "Redirected",
    "ResponseError",
    "ServerError",
    "SourceChanged",
    "SourceError",
    "SourceUnreadable",
    "SpeechmaticsError",
    "SubmissionUnknown",
    "Timeout",
    "TransportError",
    "TruncatedBody",
    "UnexpectedAnswer",
    "Unprocessable",
    "WrongContentType",
]


class SpeechmaticsError(Exception):
    """The base of every error that this library raises."""


class ConfigurationError(SpeechmaticsError, ValueError):
    """The client was set up wrongly (no key, a bad URL, a bad argument): nothing was sent."""


class SourceError(SpeechmaticsError):
    """The recording can't be sent as it is: no job exists."""


class SourceUnreadable(SourceError):
    """The recording can't be opened, read or measured."""


class SourceChanged(SourceError):
    """The recording changed, was replaced, grew or shrank while it was being read."""


class ApiError(SpeechmaticsError):
    """The service answered with an error status.

    Attributes:
        status: The HTTP status.
        error: The API's ``error`` text; for an answer that isn't the API's own, the HTTP reason.
        detail: The API's ``detail`` text, if it gave one.
        request: What was asked, as ``"GET /jobs/a1b2c3"``.
        request_id: The id that ties the request to the service's logs.
        retry_after: The seconds that the service asks to wait, if it said so.
        from_api: Whether the body was the API's own error document, not a proxy's page.
    """

    advice = ""

    def __init__(
        self,
        status: int,
        error: str = "",
        *,
        detail: str | None = None,
        request: str = "",
        request_id: str | None = None,
        retry_after: float | None = None,
        from_api: bool = True,
    ) -> None:
        self.status = status
        self.error = error
        self.detail = detail
        self.request = request
        self.request_id = request_id
        self.retry_after = retry_after
        self.from_api = from_api
        said = ": ".join(part for part in (error, detail) if part)
        text = f"{request or 'The request'} was answered with {status}"
        text += f" ({said})" if said else ""
        text += f"; it may be tried again in {retry_after:g} s" if retry_after is not None else ""
        text += f". {self.advice}" if self.advice else ""
        super().__init__(text)


class BadRequest(ApiError):
    """400: the config, the parameters or the audio were refused."""


class AuthenticationError(ApiError):
    """401: the key is missing, wrong, expired, or for another region."""

    advice = "Check the API key, and that it belongs to this region."


class PermissionDenied(ApiError):
    """403: the key is known, but may not do this (licence, plan, or feature)."""


class NotFound(ApiError):
    """404: there is no such job, or its transcript is not ready yet."""


class Gone(ApiError):
    """410: the job or its file has expired."""


class PayloadTooLarge(ApiError):
    """413: the recording is larger than the service accepts (1 GB in the cloud)."""

    advice = "The recording is larger than the service accepts; split or compress it."


class Unprocessable(ApiError):
    """422: a parameter was not understood."""


class Locked(ApiError):
    """423: the job is still running; delete it with ``force=True``."""

    advice = "The job is still running; delete it with force=True to stop it."


class RateLimited(ApiError):
    """429: too many requests; `retry_after` says for how long, if the service does."""


class ConcurrencyLimited(RateLimited):
    """429: too many jobs are running at once; another is taken when one has ended."""


class Redirected(ApiError):
    """3xx: the service answered from elsewhere. Redirects are never followed: the key is for one host."""

    advice = "Redirects are not followed; check the service's URL."


class ServerError(ApiError):
    """5xx: the service, or something before it, failed."""


class TransportError(SpeechmaticsError):
    """No answer came."""


class ConnectFailed(TransportError):
    """No connection could be made: nothing was sent."""


class Timeout(TransportError):
    """The connection stalled for longer than allowed."""


class ConnectionLost(TransportError):
    """The connection broke before the answer was complete."""


class ResponseError(SpeechmaticsError):
    """An answer came that can't be right."""


class TruncatedBody(ResponseError):
    """The answer broke off in its middle."""


class BrokenJson(ResponseError):
    """The answer should be JSON of a known shape, and isn't."""


class WrongContentType(ResponseError):
    """The answer is of another type than was asked for, for instance a proxy's HTML page."""


class UnexpectedAnswer(ResponseError):
    """The answer's status is a success, but not one that this request can have."""


class PagingStalled(ResponseError):
    """A page of the job list brought nothing new, though more jobs must follow: the list can't be trusted."""


class SubmissionUnknown(SpeechmaticsError):
    """The service may or may not have created the job: look for its reference before trying again.

    Raised when the end of the request had been sent and no clear answer came back, and when an answer claimed
    a job before the end was sent. The error that led here is its ``__cause__``.

    Attributes:
        reference: The ``tracking.reference`` of the submitted config, to look for in the job list.
        tail_sent: Whether the end of the request was sent; False only if an answer came before it that claims a
            job, or whose head is too broken to tell.
        status: The HTTP status, if an answer came at all.
    """

    def __init__(
        self, why: str, *, reference: str | None = None, tail_sent: bool = True, status: int | None = None
    ) -> None:
        self.reference = reference
        self.tail_sent = tail_sent
        self.status = status
        named = f" (reference {reference})" if reference else ""
        super().__init__(
            f"It is not known whether the job{named} was created: {why.rstrip('. ')}. "
            "Look for it in the job list before submitting again, or it may be billed twice."
        )


class JobFailed(SpeechmaticsError):
    """The job ended without a transcript.

    Attributes:
        job_id: The job's id.
        reasons: What the service gave as reasons, oldest first; often empty.
    """

    ending = "ended without a transcript"

    def __init__(self, job_id: str, reasons: Sequence[str] = ()) -> None:
        self.job_id = job_id
        self.reasons = tuple(reasons)
        why = f": {'; '.join(self.reasons)}" if self.reasons else ""
        super().__init__(f"Job {job_id} {self.ending}{why}.")


class JobRejected(JobFailed):
    """The service could not process the job; `reasons` says why."""

    ending = "was rejected by the service"


class JobDeleted(JobFailed):
    """Somebody deleted the job before its transcript was fetched."""

    ending = "was deleted"


class JobExpired(JobFailed):
    """The service deleted the job after its retention time (7 days in the cloud)."""

    ending = "has expired: the service no longer keeps its transcript"


class JobTimeout(SpeechmaticsError):
    """The job had not ended when the caller's time was up. It goes on running.

    Attributes:
        job_id: The job's id.
        seconds: How long was waited.
    """

    def __init__(self, job_id: str, seconds: float) -> None:
        self.job_id = job_id
        self.seconds = seconds
        super().__init__(f"Job {job_id} had not ended after {seconds:g} s; it is still running.")
