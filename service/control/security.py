"""The rules that every request meets before anything else, and the headers that every answer carries.

Any page on the web, and any program of any user of this machine, can send requests to a loopback port. So:

- The Host header must be ours to the letter, with the port. A name that an attacker points at 127.0.0.1 (DNS
  rebinding) is not.
- A request that a browser sends for another site says so in Origin or Sec-Fetch-Site, and is refused.
- Orders are JSON, which no form of another site can send.
- Every request carries the token or a session, but for the style sheet, which tells nothing. A session alone gives no
  order: its request must name its Origin.

Sources: OWASP's CSRF cheat sheet; the Fetch Metadata Request Headers and Content Security Policy Level 3
specifications of the W3C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from service.control.auth import Access

__all__ = ["HEADERS", "Guard", "Refusal", "Rules"]

_SAFE = frozenset({"GET", "HEAD"})
# `/enter` has a code for a credential; a person who isn't let in reads why on a page that has a style.
_OPEN = frozenset({"/enter", "/static/style.css"})
_OURS = frozenset({"same-origin", "none"})  # `none`: the person opened the address, no site did
_HTTP_PORT = 80

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    error: str
    fix: str


class Rules:
    """Decides about one request by its method, path and headers alone."""

    def __init__(self, access: Access, *, port: int) -> None:
        self._access = access
        host = "127.0.0.1" if port == _HTTP_PORT else f"127.0.0.1:{port}"
        self._host = host
        self.origin = f"http://{host}"

    def refuse(self, method: str, path: str, headers: Headers) -> Refusal | None:
        """Say why this request is refused; None if it may pass."""
        if headers.getlist("host") != [self._host]:
            return Refusal(421, "The request is for another host.", f"The address is {self.origin}/")
        if any(origin != self.origin for origin in headers.getlist("origin")):
            return Refusal(403, "The request comes from another site.", f"Open {self.origin}/ directly.")
        if any(site not in _OURS for site in headers.getlist("sec-fetch-site")):
            return Refusal(403, "The request comes from another site.", f"Open {self.origin}/ directly.")
        if method not in _SAFE and not _is_json(headers):
            return Refusal(415, "The body is not JSON.", "Send it with Content-Type: application/json.")
        if path in _OPEN:
            return None
        if self._access.has_token(headers.get("authorization")):
            return None
        if not self._access.has_session(headers.get("cookie")):
            return Refusal(401, "The request has neither the token nor a session.", "Run: dropscribe open")
        if method not in _SAFE and not headers.get("origin"):
            return Refusal(403, "A browser must send its Origin with this request.", "Use a current browser.")
        return None


def _is_json(headers: Headers) -> bool:
    kinds = headers.getlist("content-type")
    return len(kinds) == 1 and kinds[0].partition(";")[0].strip().lower() == "application/json"


class Guard:
    """Middleware that applies the rules, and puts `HEADERS` on every answer.

    Args:
        app: what is guarded.
        rules: the rules.
        refused: makes the answer to a refused request.
    """

    def __init__(self, app: ASGIApp, *, rules: Rules, refused: ASGIApp) -> None:
        self._app = app
        self._rules = rules
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._rules.refuse(scope["method"], scope["path"], Headers(scope=scope))
        if refusal is not None:
            scope["dropscribe.refusal"] = refusal
            await self._refused(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
