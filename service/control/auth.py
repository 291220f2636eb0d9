"""Who gets in: the token, one-time codes that a browser exchanges for a session, and the sessions."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CODE_SECONDS", "Access", "new_token"]

CODE_SECONDS = 30.0
"""How long a one-time code is good for."""

_MOST_CODES = 32
_MOST_SESSIONS = 64
_SECRET_BYTES = 32
_COOKIE_PAIR = re.compile(r"\s*([^=;\s]+)\s*=\s*([^;]*)")


def new_token() -> str:
    """Make a secret that can't be guessed."""
    return secrets.token_urlsafe(_SECRET_BYTES)


@dataclass(frozen=True, slots=True)
class _Code:
    expires_at: float
    target: str


class Access:
    """Checks credentials. Nothing of it outlives the process: a restarted daemon asks everybody again.

    Args:
        token: what a program sends as `Authorization: Bearer …`.
        port: names the cookie, since a browser shares cookies between the ports of a host.
        monotonic: seconds that never run backwards.
    """

    def __init__(self, token: str, *, port: int, monotonic: Callable[[], float]) -> None:
        if not token:
            raise ValueError("the token is empty")
        self._token = token.encode()
        self._monotonic = monotonic
        self._codes: dict[str, _Code] = {}
        self._sessions: list[str] = []
        self.cookie = f"dropscribe-{port}"

    def new_code(self, target: str = "/") -> str:
        """Make a code that lets one browser in, once, within `CODE_SECONDS`.

        Args:
            target: the path of the page that the browser then gets.
        """
        now = self._monotonic()
        self._codes = {code: known for code, known in self._codes.items() if known.expires_at > now}
        while len(self._codes) >= _MOST_CODES:
            del self._codes[next(iter(self._codes))]
        code = new_token()
        self._codes[code] = _Code(now + CODE_SECONDS, target)
        return code

    def redeem(self, code: str) -> tuple[str, str] | None:
        """Use a code up; returns the new session's secret and the page to show, or None if the code is no good."""
        known = self._codes.pop(code, None)
        if known is None or known.expires_at <= self._monotonic():
            return None
        session = new_token()
        self._sessions = [*self._sessions[1 - _MOST_SESSIONS :], session]
        return session, known.target

    def has_token(self, authorization: str | None) -> bool:
        """Whether an `Authorization` header carries the token."""
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), self._token)

    def has_session(self, cookies: str | None) -> bool:
        """Whether a `Cookie` header carries a session of ours."""
        values = [value.strip().encode() for name, value in _COOKIE_PAIR.findall(cookies or "") if name == self.cookie]
        return any(secrets.compare_digest(value, known.encode()) for value in values for known in self._sessions)
