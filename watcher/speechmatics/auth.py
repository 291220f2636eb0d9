"""Who is asking: API keys, and temporary keys (JWT) that are renewed before they run out.

Source: https://docs.speechmatics.com/get-started/authentication (temporary keys: ``POST
/v1/api_keys?type=batch`` on the management platform, ``ttl`` between 60 and 86,400 s, answered by 201 with
``key_value``).
"""

import abc
import hashlib
import os

import anyio
import httpx
import msgspec

from watcher.speechmatics.answers import Answer, decode, error_from
from watcher.speechmatics.errors import ConfigurationError, ConnectFailed, ConnectionLost, Timeout
from watcher.speechmatics.timing import Clock, SystemClock

__all__ = ["API_KEY_VARIABLE", "Auth", "JWTAuth", "StaticKeyAuth"]

API_KEY_VARIABLE = "SPEECHMATICS_API_KEY"
MANAGEMENT_URL = "https://mp.speechmatics.com"
SHORTEST_TTL = 60
LONGEST_TTL = 86_400
CREATED = 201


class Auth(abc.ABC):
    """Gives the bearer token for each request. Make your own by subclassing."""

    @abc.abstractmethod
    async def token(self) -> str:
        """The token to send now.

        Raises:
            SpeechmaticsError: None can be had.
        """

    def forget(self, token: str) -> bool:  # noqa: ARG002 - for subclasses that can make a new one
        """The service refused this token: drop it.

        Returns:
            Whether a fresh one may do better, so that the request is worth a second try.
        """
        return False

    def digest(self, salt: bytes) -> str:  # noqa: ARG002 - for subclasses that know their key
        """What tells this key apart from others, and doesn't give it away.

        Args:
            salt: Up to 64 bytes, kept by whoever compares; digests made with different ones say nothing.

        Returns:
            Equal texts for keys that see the same jobs for sure; empty where that can't be told.
        """
        return ""

    async def aclose(self) -> None:  # noqa: B027 - most subclasses hold nothing open
        """Release what the object holds open."""


class StaticKeyAuth(Auth):
    """Sends one API key, given or from ``SPEECHMATICS_API_KEY``.

    Raises:
        ConfigurationError: There is no key, or it can't be one.
    """

    def __init__(self, api_key: str | None = None) -> None:
        self._key = checked_key(api_key)

    async def token(self) -> str:
        """The API key."""
        return self._key

    def digest(self, salt: bytes) -> str:
        """As `Auth.digest`."""
        return _digest(salt, self._key)

    def __repr__(self) -> str:
        """Name the class, not the key."""
        return f"{type(self).__name__}(***)"


class JWTAuth(Auth):
    """Sends temporary keys, made with an API key and renewed before they run out.

    Args:
        api_key: The API key, by default from ``SPEECHMATICS_API_KEY``. It goes to the management platform
            only.
        ttl: How long each temporary key lives, in seconds (60 to 86,400).
        region: The region that it is good for: ``"eu"``, ``"usa"`` or ``"au"``.
        client_ref: Ties the key to one of your users: jobs made with it are seen only by keys with the same
            one.
        mp_url: The management platform, by default Speechmatics' own or ``SM_MANAGEMENT_PLATFORM_URL``.
        clock: What tells the time.

    Raises:
        ConfigurationError: There is no key, or `ttl` is out of range.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        ttl: int = SHORTEST_TTL,
        region: str = "eu",
        client_ref: str | None = None,
        mp_url: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        if not SHORTEST_TTL <= ttl <= LONGEST_TTL:
            raise ConfigurationError(f"ttl must be {SHORTEST_TTL} to {LONGEST_TTL} seconds, not {ttl}.")
        self._key = checked_key(api_key)
        self._ttl = ttl
        self._request = {"ttl": ttl, "region": region, **({"client_ref": client_ref} if client_ref else {})}
        base = mp_url or os.environ.get("SM_MANAGEMENT_PLATFORM_URL") or MANAGEMENT_URL
        self._url = f"{base.rstrip('/')}/v1/api_keys"
        self._clock = clock or SystemClock()
        self._lock = anyio.Lock()
        self._token = ""
        self._renew_at = 0.0

    async def token(self) -> str:
        """The current temporary key, or a new one when that has less than 10 s or a tenth of its life left.

        Raises:
            ApiError: The management platform refused.
            TransportError: It could not be reached.
            ResponseError: Its answer makes no sense.
        """
        async with self._lock:
            if not self._token or self._clock.monotonic() >= self._renew_at:
                asked_at = self._clock.monotonic()
                self._token = await self._mint()
                self._renew_at = asked_at + self._ttl - max(10.0, 0.1 * self._ttl)
            return self._token

    def forget(self, token: str) -> bool:
        """The service refused this key: make a new one next time."""
        if token == self._token:
            self._token = ""
        return True

    def digest(self, salt: bytes) -> str:
        """As `Auth.digest`: of the API key and `client_ref`, which decides what jobs are seen, too."""
        return _digest(salt, self._key, str(self._request.get("client_ref", "")))

    async def _mint(self) -> str:
        try:
            async with httpx.AsyncClient(timeout=30.0) as http:
                response = await http.post(
                    self._url,
                    params={"type": "batch"},
                    json=self._request,
                    headers={"Authorization": f"Bearer {self._key}"},
                )
        except httpx.ConnectError as error:
            raise ConnectFailed(f"Could not reach {self._url} for a temporary key: {error}") from error
        except httpx.TimeoutException as error:
            raise Timeout(f"{self._url} did not answer in time with a temporary key.") from error
        except httpx.HTTPError as error:
            raise ConnectionLost(f"The connection to {self._url} broke: {error}") from error
        answer = Answer(response.status_code, response.headers, response.content, "POST /v1/api_keys")
        if answer.status != CREATED:
            raise error_from(answer, now=self._clock.time(), secret=self._key)
        return checked_key(decode(answer, _TemporaryKey).key_value)

    def __repr__(self) -> str:
        """Name the class and the lifetime, not the keys."""
        return f"{type(self).__name__}(***, ttl={self._ttl})"


class _TemporaryKey(msgspec.Struct):
    key_value: str

    def __repr__(self) -> str:
        return "_TemporaryKey(***)"


def _digest(salt: bytes, *parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), key=salt, digest_size=16).hexdigest()


def checked_key(given: str | None) -> str:
    """The key to use, without white space around it.

    Raises:
        ConfigurationError: There is none, or it has characters that can't go into a header. The message
            doesn't show it.
    """
    key = (os.environ.get(API_KEY_VARIABLE, "") if given is None else given).strip()
    if not key:
        raise ConfigurationError(f"There is no API key: give one as api_key, or set {API_KEY_VARIABLE}.")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise ConfigurationError("The API key has characters that no key has; was it copied whole, and alone?")
    return key
