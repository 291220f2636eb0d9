"""Authentication: the Bearer key, and who may use a server that has none."""

import hashlib
import hmac
import ipaddress
from typing import Final

from starlette.requests import Request

from service.batch_server.errors import Forbidden, NotPermitted

_SCHEME: Final = "bearer "
_LOOPBACK_NAMES: Final = frozenset({"localhost"})

# A server with a key has one owner of jobs, whatever that key is: a server that gets a new key with every start still
# finds its jobs.
SOLE_OWNER: Final = "key"


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_settings(host: str, key: str | None) -> None:
    """Make sure that a server that others can reach has a key.

    Raises:
        ValueError: If it has none.
    """
    if key is None and not is_loopback(host):
        raise ValueError(
            f"On {host} other machines can reach this server, so it needs a key: set DROPSCRIBE_SERVER_KEY"
        )


class BearerAuth:
    """Finds out whose jobs a request is about.

    Args:
        key: The one key that is accepted; ``None`` accepts any, each with its own jobs.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key is not None else None

    def owner(self, request: Request) -> str:
        """Return the owner that a request's key stands for.

        Raises:
            NotPermitted: If the key is missing or wrong.
            Forbidden: If the server has no key, and the request's host name isn't this machine's own.
        """
        header = request.headers.get("authorization", "")
        token = header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""
        if not token:
            raise NotPermitted("Send the key in the header 'Authorization: Bearer KEY'")
        if self._key is not None:
            if not hmac.compare_digest(token.encode(), self._key):
                raise NotPermitted("The key is not this server's")
            return SOLE_OWNER
        # Without a key the server trusts this machine only. Any other name that resolves to it is DNS rebinding: a web
        # page that tries to reach the server.
        if not is_loopback(request.url.hostname or ""):
            raise Forbidden("This server has no key, so it answers only under the name localhost or 127.0.0.1")
        return hashlib.sha256(token.encode()).hexdigest()
