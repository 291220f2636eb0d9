"""Addresses that people write into the config."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

__all__ = ["is_local", "problem_of", "with_scheme"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PRIVATE = (".localhost", ".local", ".home.arpa", ".internal")  # reserved: RFC 6761, 6762, 8375, and by ICANN


def with_scheme(address: str) -> str:
    """Complete an address without a scheme: https, or http on this machine and in private networks.

    What can't be an address is returned as it is.
    """
    bare = address.strip()
    if _SCHEME.match(bare) or problem_of(f"https://{bare}"):
        return bare
    host = urlsplit(f"https://{bare}").hostname or ""
    return f"{'http' if is_local(host) else 'https'}://{bare}"


def is_local(host: str) -> bool:
    """Whether a host is this machine or in a private network, as far as its name or number shows it."""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(_PRIVATE) or "." not in host
    return number.is_loopback or number.is_private or number.is_link_local


def problem_of(address: str) -> str:
    """Say why this can't be an http(s) address; empty if it can."""
    if not address.startswith(("http://", "https://")):
        return "it begins with neither https:// nor http://"
    try:
        parsed = urlsplit(address)
        port = parsed.port
    except ValueError as error:
        return str(error)[:1].lower() + str(error)[1:]
    if not parsed.hostname or re.search(r"[\s\\<>\"{}|^`]", address):
        return "it holds no host name" if not parsed.hostname else "it holds a space or another forbidden character"
    if port == 0:
        return "port 0 can't be reached"
    return ""
