"""Decides which addresses the server may call to fetch audio or to call webhooks. Pure.

A client must not be able to use the server to reach what only the server can reach: this machine, its network, a
cloud's metadata service (server-side request forgery).
"""

import ipaddress
import re
from collections.abc import Collection, Iterable
from typing import Final
from urllib.parse import SplitResult, urlsplit

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PORTS: Final = {"http": 80, "https": 443}


class ForbiddenAddress(Exception):
    """The server must not call this address."""


def split(url: str) -> SplitResult:
    """Split a URL.

    Raises:
        ForbiddenAddress: If it isn't an http or https URL with a host, or contains a user name or password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenAddress(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise ForbiddenAddress(f"{url!r} is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise ForbiddenAddress("URLs with a user name or password are not called; use auth_headers")
    return parts


def port_of(parts: SplitResult) -> int:
    """Return the port of a URL, or its scheme's default."""
    return parts.port or _PORTS[parts.scheme]


def is_allowed_by_name(parts: SplitResult, allowed: Collection[str]) -> bool:
    """Return whether a URL's host is in the list, as a name (``nas``) or with its port (``nas:8080``)."""
    return parts.hostname in allowed or f"{parts.hostname}:{port_of(parts)}" in allowed


def check_public(host: str, addresses: Iterable[str]) -> None:
    """Refuse a host if any of the addresses it resolves to is not public.

    Args:
        host: The host's name, for the message.
        addresses: All its IP addresses.

    Raises:
        ForbiddenAddress: If one isn't public, or there are none.
    """
    found = list(addresses)
    if not found:
        raise ForbiddenAddress(f"{host} has no address")
    for address in found:
        if not is_public(address):
            raise ForbiddenAddress(f"{host} is not called: its address {address} is not public")


def is_public(address: str) -> bool:
    """Return whether an IP address is public; an IPv4 address embedded in IPv6 is judged itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None or parsed in _NAT64_LOCAL:
            return False
        inner = _embedded(parsed)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved and not parsed.is_unspecified


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def split_header(line: str) -> tuple[str, str]:
    """Split one of ``auth_headers``, ``Name: value``.

    Raises:
        ValueError: If it isn't a valid header.
    """
    name, colon, value = line.partition(":")
    if not colon or not _HEADER_NAME.fullmatch(name) or not value.isprintable() or not value.isascii():
        raise ValueError("an auth header must be of the form 'Name: value'")
    return name, value.strip()
