"""Where jobs go: an account at a Batch API server, with its limits and its present troubles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from aiolimiter import AsyncLimiter

from watcher.errors import EngineUnavailable
from watcher.scheduler.breaker import CircuitBreaker
from watcher.scheduler.visibility import Visibility
from watcher.speechmatics import SpeechmaticsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Literal

    from watcher.models import Engine, JobProgress
    from watcher.speechmatics import AsyncClient

__all__ = ["HOLD_PREFIX", "KEY_BACK", "Account", "Connector", "RateLimits"]

HOLD_PREFIX = "account:"
KEY_BACK = "Put the old key back (dropscribe login), and it continues automatically"
"""What a person can do where a job was submitted with another key than the present one."""


class Connector(Protocol):
    """Gives a client that can be used now, starting what has to be started first."""

    async def connect(self) -> AsyncClient:
        """Return the client.

        Raises:
            EngineUnavailable: the engine can't be reached or started at the moment.
            ConfigurationError: there is no key, or the address is no address.
        """

    def in_use(self, *, busy: bool) -> None:
        """Hear whether there is work; what was started may be let go when there is none."""


class RateLimits:
    """Keeps under an account's published request rates; all of its calls share one.

    Requests are spaced out evenly: a burst at the start of a second would meet the service's own count.

    Source: Speechmatics' documentation, usage limits: 10 POST/s and 50 GET/s.
    """

    _MARGIN = 0.98

    def __init__(self, *, posts_per_second: float = 10.0, gets_per_second: float = 50.0) -> None:
        self._post = AsyncLimiter(1, 1 / (posts_per_second * self._MARGIN))
        self._get = AsyncLimiter(1, 1 / (gets_per_second * self._MARGIN))

    async def acquire(self, kind: Literal["post", "get"]) -> None:
        """Wait until one more request of this kind may be sent."""
        await (self._post if kind == "post" else self._get).acquire()


@dataclass
class Account:
    """One account and what is known about it now.

    Attributes:
        engine: which engine this is.
        name: stable; jobs submitted under one name are looked for under it.
        connector: gives the client.
        max_uploads: how many uploads run at a time.
        max_running: how many jobs may run at a time.
        settle_listing: seconds after which a job absent from two listings was never created.
        delete_after_download: remove the job once its transcript is safe.
        upload_limit: bytes; a larger recording is prepared first.
        url: where it is; None for one on this machine.
        any_key: whether every key sees all of its jobs, as at the server that Dropscribe runs itself.
        tells_progress: whether its server says how far a job is.
        ask_again: called when a person wants to go on: what was put off, like asking a locked keyring, is due again.
        breaker: keeps submissions back after failures.
        visibility: judges which key sees which job.
        progress: (bytes sent, bytes in all) of the uploads that run, by their entries' ids.
        job_progress: how far the jobs are that are waited for, by their entries' ids, where the server tells.
    """

    engine: Engine
    name: str
    connector: Connector
    max_uploads: int = 4
    max_running: int = 20_000
    settle_listing: float = 600.0
    delete_after_download: bool = False
    upload_limit: int = 1_000_000_000
    url: str | None = None
    any_key: bool = False
    ask_again: Callable[[], None] = lambda: None
    tells_progress: bool = False
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    visibility: Visibility = field(init=False)
    progress: dict[int, tuple[int, int]] = field(default_factory=dict)
    job_progress: dict[int, JobProgress] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.visibility = Visibility(any_key=self.any_key)

    @property
    def hold_name(self) -> str:
        """The name of the hold that stops this account."""
        return f"{HOLD_PREFIX}{self.name}"

    async def present_key(self) -> str | None:
        """Return the digest of the present key; None if there is none, or if that can't be found out now."""
        if self.any_key:
            return ""
        try:
            return self.visibility.key_of(await self.connector.connect())
        except (SpeechmaticsError, EngineUnavailable):
            return None
