"""Calling other servers, which only happens when the server's owner allowed it.

A host is resolved once, its addresses are checked, and the connection goes to the checked address: a name that
resolves differently a moment later changes nothing. Redirects are followed by hand, each checked the same way.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final
from urllib.parse import SplitResult, urljoin

import httpx

from service.batch_server import addresses

USER_AGENT: Final = "Speechmatics-API/2.0"
_MOST_REDIRECTS: Final = 5
_TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)


class CallFailed(Exception):
    """Another server could not be called, or did not answer as it should."""


class Outbound:
    """Makes HTTP calls to checked addresses.

    Args:
        allowed_hosts: Hosts that may be called whatever their address.
    """

    def __init__(self, allowed_hosts: Collection[str]) -> None:
        self._allowed = frozenset(allowed_hosts)

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
        """Call a URL; the answer's body is read by the caller.

        Args:
            method: GET, POST or PUT.
            url: Where.
            headers: Headers to send; they are left out when a redirect leads to another host.
            follow: Whether redirects are followed.
            **body: The body, as httpx takes it.

        Raises:
            CallFailed: If the address is forbidden, can't be reached, or redirects too often.
        """
        async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as client:
            for _ in range(_MOST_REDIRECTS + 1):
                try:
                    request, parts = await self._request(client, method, url, headers, body)
                    response = await client.send(request, stream=True)
                except addresses.ForbiddenAddress as error:
                    raise CallFailed(str(error)) from error
                except (httpx.HTTPError, OSError) as error:
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
        parts = addresses.split(url)
        host, port = parts.hostname or "", addresses.port_of(parts)
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        ips = [str(entry[4][0]) for entry in found]
        if not addresses.is_allowed_by_name(parts, self._allowed):
            addresses.check_public(host, ips)
        pinned = httpx.URL(url).copy_with(host=ips[0])
        request = client.build_request(
            method,
            pinned,
            headers=[("User-Agent", USER_AGENT), ("Host", parts.netloc), *headers],
            extensions={"sni_hostname": host},
            **body,
        )
        return request, parts


def _split(url: str) -> SplitResult:
    try:
        return addresses.split(url)
    except addresses.ForbiddenAddress as error:
        raise CallFailed(str(error)) from error


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, addresses.port_of(parts)
