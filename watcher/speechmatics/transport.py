"""Requests that may be repeated: GET and DELETE over httpx, tried again when the failure is a passing one."""

import ipaddress
import platform
import ssl
import urllib.request
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import anyio
import httpcore
import httpx

from watcher.speechmatics.answers import Answer, error_from
from watcher.speechmatics.auth import Auth
from watcher.speechmatics.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    RateLimited,
    SpeechmaticsError,
    Timeout,
)
from watcher.speechmatics.secret import Secret
from watcher.speechmatics.submission import Target
from watcher.speechmatics.timing import Clock, RetryPolicy, Timeouts

__all__ = ["Limiter", "RequestKind", "Transport", "normalised_url"]

RequestKind = Literal["post", "get"]
Params = dict[str, str]
Read = TypeVar("Read")

BAD = 300
READERS = 8


class Limiter(Protocol):
    """Holds requests back so that they stay under the account's limits."""

    async def acquire(self, kind: RequestKind) -> None:
        """Wait until one more request of this kind may be sent (DELETE counts as ``"get"``)."""
        ...


@dataclass(frozen=True, slots=True)
class Network:
    """How the service is reached.

    Attributes:
        tls: The TLS settings; None makes the default ones when first needed.
        proxy: A proxy's URL; None takes the environment's (``HTTPS_PROXY``, ``NO_PROXY``, …), except to this
            machine.
    """

    tls: ssl.SSLContext | None = None
    proxy: str | None = None


class Transport:
    """Sends requests to one service.

    Args:
        url: The service's base URL, with ``/v2``.
        auth: Who is asking.
        timeouts: How long a connection may stall.
        retry: When a GET or DELETE is tried again.
        clock: What tells the time.
        limiter: What holds requests back, if anything.
        network: TLS and proxy settings.
    """

    def __init__(
        self,
        url: str,
        auth: Auth,
        *,
        timeouts: Timeouts,
        retry: RetryPolicy,
        clock: Clock,
        limiter: Limiter | None,
        network: Network,
    ) -> None:
        self.url = url
        self.auth = auth
        self.timeouts = timeouts
        self.clock = clock
        self._retry = retry
        self._limiter = limiter
        self._network = network
        self._http: httpx.AsyncClient | None = None
        self._tls = network.tls
        self._proxy = _proxy_for(url, network.proxy)
        self._readers: anyio.CapacityLimiter | None = None

    async def request(
        self,
        method: Literal["GET", "DELETE"],
        path: str,
        params: Params | None = None,
        *,
        read: Callable[[Answer], Read],
        wait: float = 0.0,
    ) -> Read:
        """Send a request, and again after passing failures, of which an unreadable answer is one.

        A DELETE is tried again only if it was surely not carried out.

        Args:
            method: The HTTP method.
            path: The path below the base URL.
            params: The query.
            read: What makes a value of the answer, or raises.
            wait: The seconds for which the service was asked to hold the answer.

        Returns:
            What `read` made.

        Raises:
            SpeechmaticsError: What the last try came to.
        """
        tried = 0
        renewed = False
        while True:
            tried += 1
            token = Secret()
            try:
                token = Secret(await self.auth.token())
                answer = await self._once(method, path, params, wait, token)
                if answer.status >= BAD:
                    raise error_from(answer, now=self.clock.time(), secret=token.reveal())
                return read(answer)
            except AuthenticationError:
                if renewed or not self.auth.forget(token.reveal()):
                    raise
                renewed = True
            except SpeechmaticsError as error:
                may_repeat = method == "GET" or isinstance(error, (ConnectFailed, RateLimited))
                delay = self._retry.delay(error, tried) if may_repeat else None
                if delay is None:
                    raise
                await self.clock.sleep(delay)

    async def _once(self, method: str, path: str, params: Params | None, wait: float, token: Secret) -> Answer:
        if self._limiter is not None:
            await self._limiter.acquire("get")
        asked = f"{method} {path}"
        times = self.timeouts
        request_id = str(uuid.uuid4())
        try:
            async with self._client().stream(
                method,
                f"{self.url}{path}",
                params=params or {},
                headers={"X-Request-Id": request_id},
                auth=_Bearer(token),
                timeout=httpx.Timeout(times.read + wait, connect=times.connect, write=times.write, pool=None),
            ) as response:
                body, complete = await _read_body(response)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            raise ConnectFailed(f"Could not connect to {self.url}: {error or type(error).__name__}") from error
        except httpx.TimeoutException as error:
            raise Timeout(f"{self.url} did not answer {asked} within {times.read + wait:g} s.") from error
        except httpx.HTTPError as error:
            raise ConnectionLost(f"The connection to {self.url} broke during {asked}: {error}") from error
        return Answer(response.status_code, response.headers, body, asked, complete, request_id)

    async def target(self, params: Params, headers: dict[str, str], *, wait: float) -> tuple[Target, Secret]:
        """Where a submission goes, and the token that it carries; waits for the limiter's leave."""
        if self._limiter is not None:
            await self._limiter.acquire("post")
        token = Secret(await self.auth.token())
        if self._readers is None:
            self._readers = anyio.CapacityLimiter(READERS)
        request_id = str(uuid.uuid4())
        sent = {
            **_HEADERS,
            # Nothing unpacks this answer: it must come as it is.
            "Accept-Encoding": "identity",
            "X-Request-Id": request_id,
            **headers,
            "Authorization": f"Bearer {token.reveal()}",
        }
        url = str(httpx.URL(f"{self.url}/jobs", params=params) if params else f"{self.url}/jobs")
        target = Target(
            url=url,
            headers=[(name.encode("ascii"), value.encode("utf-8")) for name, value in sent.items()],
            timeouts={
                "connect": self.timeouts.connect,
                "write": self.timeouts.write,
                "read": self.timeouts.answer + wait,
                "pool": None,
            },
            new_pool=self._new_pool,
            readers=self._readers,
            request_id=request_id,
        )
        return target, token

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None
        await self.auth.aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                headers=_HEADERS,
                verify=self._tls_settings(),
                proxy=self._proxy,
                trust_env=False,  # the proxy was already looked up, the same for uploads
                follow_redirects=False,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            )
        return self._http

    def _new_pool(self, backend: httpcore.AsyncNetworkBackend) -> httpcore.AsyncConnectionPool:
        """A connection of its own for one submission: a reused one may be about to be closed."""
        proxy = None
        if self._proxy is not None:
            given = httpx.Proxy(self._proxy)
            proxy = httpcore.Proxy(
                str(given.url), auth=given.raw_auth, headers=given.headers.raw, ssl_context=given.ssl_context
            )
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls_settings(),
            proxy=proxy,
            max_connections=1,
            max_keepalive_connections=0,
            http1=True,
            http2=False,
            network_backend=backend,
        )

    def _tls_settings(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        return self._tls


_HEADERS = {
    "Accept": "application/json, application/vnd.speechmatics.v2+json, text/plain",
    "User-Agent": f"dropscribe-speechmatics (python {platform.python_version()})",
}


async def _read_body(response: httpx.Response) -> tuple[bytes, bool]:
    """The body as far as it comes, and whether that is all of it."""
    pieces = []
    try:
        async for piece in response.aiter_bytes():
            pieces.append(piece)  # noqa: PERF401 - what came before a break is kept
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.DecodingError):
        return b"".join(pieces), False
    return b"".join(pieces), True


class _Bearer(httpx.Auth):
    """Adds the token at the last moment, so that no header mapping of ours holds it."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        yield request


def normalised_url(url: str) -> str:
    """The service's base URL: without a slash at its end, and with ``/v2`` if it has no path.

    Raises:
        ConfigurationError: It isn't an http or https URL.
    """
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"{url!r} is not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"{url!r} is not a URL of the form https://host/v2.")
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise ConfigurationError("The service's URL must have no user, query or fragment; the key goes apart.")
    path = parsed.path.rstrip("/") or "/v2"
    return str(parsed.copy_with(path=path))


def _proxy_for(url: str, given: str | None) -> str | None:
    parsed = httpx.URL(url)
    if given is not None:
        return given or None
    if _is_loopback(parsed.host) or urllib.request.proxy_bypass(f"{parsed.host}:{parsed.port or ''}".rstrip(":")):
        return None
    proxies = urllib.request.getproxies()
    found = proxies.get(parsed.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
