"""Who may ask: the Bearer key, and from where."""

import hashlib
import hmac
import ipaddress
from typing import Final

from starlette.requests import Request

from service.batch_server.errors import NotPermitted, Refused

_SCHEME: Final = "bearer "
_LOOPBACK_NAMES: Final = frozenset({"localhost"})

# With a key of the server's own there is one owner of jobs, whatever that key is: a server that is started
# with a new key every time still knows its jobs.
SOLE_OWNER: Final = "key"


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_settings(host: str, key: str | None) -> None:
    """Refuse to be open to others without a key.

    Raises:
        ValueError: If it would be.
    """
    if key is None and not is_loopback(host):
        raise ValueError(
            f"Listening on {host} makes this server reachable for others, so it needs a key: set DROPSCRIBE_SERVER_KEY"
        )


class Gate:
    """Decides who a request is from.

    Args:
        key: The one key that is accepted; ``None`` accepts any, each with its own jobs.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key is not None else None

    def owner(self, request: Request) -> str:
        """Return whose jobs a request is about.

        Raises:
            NotPermitted: If it brings no key or a wrong one.
            Refused: If a server without a key is asked under a name that isn't this machine's.
        """
        header = request.headers.get("authorization", "")
        token = header[len(_SCHEME) :].strip() if header.lower().startswith(_SCHEME) else ""
        if not token:
            raise NotPermitted("Send the key in the header 'Authorization: Bearer KEY'")
        if self._key is not None:
            if not hmac.compare_digest(token.encode(), self._key):
                raise NotPermitted("The key is not this server's")
            return SOLE_OWNER
        # Without a key of its own the server trusts this machine only; a name that merely resolves to it
        # comes from a web page that found its way here.
        if not is_loopback(request.url.hostname or ""):
            raise Refused("This server has no key, so it answers only under the name localhost or 127.0.0.1")
        return hashlib.sha256(token.encode()).hexdigest()
