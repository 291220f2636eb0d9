"""What to do after a submission failed: a pure decision from the error, the attempts so far and the time.

Nothing is ever given up because of the network or a busy service: the delay only grows. What the service
refuses for good becomes a failure that says why. Where a job may exist, the answer is to look for it, never to
try again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher import errors as ours
from watcher import speechmatics as sm
from watcher.backoff import backoff
from watcher.models import EntryKind

if TYPE_CHECKING:
    from watcher.timings import RetryDelays

__all__ = [
    "TRIED_AGAIN",
    "Cancel",
    "Decision",
    "Fail",
    "Hold",
    "Look",
    "PauseAccount",
    "StopAccount",
    "TryAgain",
    "decide",
    "fault_delay",
    "fix_of_key",
    "fix_of_settings",
    "is_the_services_fault",
    "is_unavailable",
    "retry_delay",
]

_UNAVAILABLE = frozenset({502, 503, 504})
"""Bad gateway, service unavailable, gateway timeout."""
MOST_SURPRISES = 5
"""After so many attempts that ended in an unexpected error, a recording is HELD."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """No job exists; this recording is tried again at `at`. `counts` is False where it wasn't its fault."""

    at: float
    reason: str
    fix: str = ""
    counts: bool = True


@dataclass(frozen=True, slots=True)
class PauseAccount:
    """No job exists; nothing is submitted to this account before `until` (offline, or limits reached).

    `is_trouble` is False where it is just busy.
    """

    until: float
    reason: str
    is_trouble: bool = True


@dataclass(frozen=True, slots=True)
class StopAccount:
    """No job exists; nothing is submitted to this account until the key or the config changes."""

    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Fail:
    """No job exists and none will: this recording can't be submitted as it is."""

    reason: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """No job exists, and Dropscribe itself is to blame: this recording is HELD, and tried again at `at`."""

    at: float
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """No job exists, and there is nothing to submit any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """A job may exist: look for its reference."""

    reason: str


TRIED_AGAIN = "Dropscribe retries automatically: at each start, and from time to time in between."
"""What happens to a recording that is HELD because Dropscribe itself failed."""


def fix_of_settings(kind: EntryKind) -> str:
    """What a person can do if the service refuses a recording or its settings."""
    if kind is EntryKind.REQUESTED:
        return "Run `dropscribe transcribe` again with other options."
    return "Fix the recording or its folder's settings, then: dropscribe retry FILE"


Decision = TryAgain | PauseAccount | StopAccount | Fail | Hold | Cancel | Look


def retry_delay(failures: int, jitter: float, delays: RetryDelays) -> float:
    """Seconds to wait after this many failures, with jitter from 0 to 1; see `backoff`."""
    return backoff(failures, first=delays.first, longest=delays.longest, jitter=jitter)


def decide(  # noqa: C901, PLR0911, PLR0912 - one answer for each class of error, all in one place
    error: Exception,
    *,
    attempts: int,
    now: float,
    jitter: float,
    delays: RetryDelays,
    throttled: int = 0,
    kind: EntryKind = EntryKind.WATCHED,
) -> Decision:
    """Decide what follows from a failed submission.

    Args:
        error: what `submit_job` or the gate raised.
        attempts: how many attempts this recording has had, this one included.
        now: unix time.
        jitter: a random number from 0 to 1.
        delays: how long to wait after which failure.
        throttled: how many times in a row the account's rate limit was met before this.
        kind: of the recording's entry.
    """
    match error:
        case sm.SubmissionUnknown():
            return Look(f"It is not known whether the service made a job of it: {error.__cause__ or error}")
        case sm.AuthenticationError() | sm.PermissionDenied() | sm.ConfigurationError():
            return StopAccount(str(error), fix_of_key(error))
        case sm.Redirected() | sm.NotFound() | sm.Gone():
            return StopAccount(str(error), "Check `url` in [speechmatics] of the config.")
        case sm.RateLimited():
            concurrent = isinstance(error, sm.ConcurrencyLimited)
            default = delays.concurrency if concurrent else throttle_delay(throttled, delays)
            return PauseAccount(now + _asked(error, default, jitter, delays), str(error), is_trouble=False)
        case sm.ConnectFailed() | ours.EngineUnavailable():
            return PauseAccount(now + delays.offline * (1 + jitter), str(error))
        case sm.BadRequest() | sm.Unprocessable() | sm.PayloadTooLarge():
            return Fail(str(error), fix_of_settings(kind))
        case ours.OutputError():
            return TryAgain(now + delays.output, error.message, error.fix, counts=False)
        case ours.InternalError():
            return Hold(now + fault_delay(attempts, delays), error.message, ours.sentences(error.fix, TRIED_AGAIN))
        case ours.NotARecording() | ours.BrokenMedia() | ours.LimitExceeded() | ours.TooLarge():
            return Fail(error.message, error.fix)
        case ours.ConfigError():
            return Fail(error.message, fix_of_settings(kind))
        case sm.ApiError() if error.retry_after:
            return PauseAccount(now + _asked(error, 0.0, jitter, delays), str(error))
        case sm.SpeechmaticsError() | ours.DropscribeError():
            return TryAgain(now + retry_delay(attempts, jitter, delays), str(error))
        case _ if attempts >= MOST_SURPRISES:
            fault = ours.InternalError(f"Dropscribe itself failed: {_named(error)}")
            return Hold(now + fault_delay(attempts, delays), fault.message, ours.sentences(fault.fix, TRIED_AGAIN))
        case _:
            return TryAgain(now + retry_delay(attempts, jitter, delays), f"Dropscribe itself failed: {_named(error)}")


def fault_delay(attempts: int, delays: RetryDelays) -> float:
    """Seconds to wait after Dropscribe itself failed for the `attempts`-th time; doubles with each."""
    return backoff(attempts, first=delays.first_fault, longest=delays.longest_fault)


def fix_of_key(error: Exception) -> str:
    """What a person can do where the key is refused, or can't be had: the error says it where it knows better."""
    fix = getattr(error, "fix", "") or "Give a valid API key: dropscribe login."
    return f"{fix} Submission then continues automatically."


def throttle_delay(throttled: int, delays: RetryDelays) -> float:
    """Seconds to wait where the service names none: our own rate met its limit by jitter, or others use the account."""
    return backoff(throttled + 1, first=delays.first_throttle, longest=delays.longest_throttle)


def is_the_services_fault(error: Exception) -> bool:
    """Whether the next recording would most likely fail in the same way."""
    return isinstance(error, sm.ServerError | sm.TransportError | sm.ResponseError)


def is_unavailable(error: Exception) -> bool:
    """Whether what answered says that the service can't be reached now: such time is waited out, however long."""
    return isinstance(error, sm.SubmissionUnknown) and error.status in _UNAVAILABLE


def _asked(error: sm.ApiError, default: float, jitter: float, delays: RetryDelays) -> float:
    """Seconds to wait as the service asked, within reason."""
    return min((error.retry_after or default) * (1 + jitter / 4), delays.longest_requested)


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
