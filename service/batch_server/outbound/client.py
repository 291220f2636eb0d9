"""Calls other servers.

A host name is resolved once, its addresses are checked, and the connection is made to a checked address, so a name that
resolves differently a moment later does no harm. TLS still verifies the certificate against the host name. Redirects
are followed here, each one checked in the same way.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urljoin

import httpx

from service.batch_server.outbound import ssrf

Resolve = Callable[[str, int], Awaitable[list[str]]]

USER_AGENT: Final = "Speechmatics-API/2.0"
_MOST_REDIRECTS: Final = 5
_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)


class CallFailed(Exception):
    """Another server could not be called, or its response is not usable."""


async def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, the preferred one first.

    Raises:
        OSError: If it has none.
        UnicodeError: If it isn't a valid host name.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Outbound:
    """Makes HTTP calls to checked addresses.

    Args:
        allowed_hosts: Hosts that may be called even if their address isn't public.
        resolve: Returns a host's addresses.
        tls: The certificates to trust; ``None`` trusts those that httpx trusts.
    """

    def __init__(
        self, allowed_hosts: Collection[str], *, resolve: Resolve = resolve, tls: ssl.SSLContext | None = None
    ) -> None:
        self._allowed = frozenset(allowed_hosts)
        self._resolve = resolve
        self._tls = tls

    @contextlib.asynccontextmanager
    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        follow: bool = True,
        **body: Any,  # noqa: ANN401 - httpx's own: content, files
    ) -> AsyncIterator[httpx.Response]:
        """Call a URL; the caller reads the body of the response.

        Args:
            method: GET, POST or PUT.
            url: The URL.
            headers: Headers to send; omitted when a redirect leads to another host.
            follow: Whether to follow redirects.
            **body: The body, as httpx takes it.

        Raises:
            CallFailed: If the address is forbidden, can't be reached, or redirects too often.
        """
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
        async with httpx.AsyncClient(
            timeout=_TIMEOUT, trust_env=False, follow_redirects=False, verify=self._tls
        ) as client:
            for _ in range(_MOST_REDIRECTS + 1):
                try:
                    request, parts = await self._request(client, method, url, headers, body)
                    response = await client.send(request, stream=True)
                except ssrf.ForbiddenAddress as error:
                    raise CallFailed(str(error)) from error
                except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
                    reason = str(error) or type(error).__name__
                    raise CallFailed(f"{url} can't be reached: {reason}") from error
                try:
                    if not follow or not response.has_redirect_location:
                        yield response
                        return
                    target = urljoin(url, response.headers["location"])
                finally:
                    await response.aclose()
                if _origin(parts) != _origin(_split(target)):
                    headers = ()
                url = target
            raise CallFailed(f"{url} redirects too often")

    async def _request(
        self,
        client: httpx.AsyncClient,
        method: str,
        url: str,
        headers: Sequence[tuple[str, str]],
        body: dict[str, Any],
    ) -> tuple[httpx.Request, SplitResult]:
        parts = ssrf.split(url)
        host, port = parts.hostname or "", ssrf.port_of(parts)
        found = await self._resolve(host, port)
        if not ssrf.is_allowed_by_name(parts, self._allowed):
            ssrf.check_public(host, found)
        named = httpx.URL(url)
        request = client.build_request(
            method,
            # The checked port, too: httpx must not read another one from the URL than we did.
            named.copy_with(host=found[0], port=port),
            headers=[
                ("User-Agent", USER_AGENT),
                ("Host", named.netloc.decode("ascii")),
                # A compressed body would be decompressed before its size is known.
                ("Accept-Encoding", "identity"),
                *headers,
            ],
            extensions={"sni_hostname": named.raw_host.decode("ascii")},
            **body,
        )
        return request, parts


def _split(url: str) -> SplitResult:
    try:
        return ssrf.split(url)
    except ssrf.ForbiddenAddress as error:
        raise CallFailed(str(error)) from error


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, ssrf.port_of(parts)
