"""The pages and their files: two shells that a module of our own fills with what the API says."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from service.control.responses import ApiError, Json, on_http_error

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from service.control.auth import Access
    from service.control.security import Refusal

__all__ = ["Pages", "answer_refusal", "answer_unknown"]

_STATIC = {
    "in_progress.js": "text/javascript; charset=utf-8",
    "common.js": "text/javascript; charset=utf-8",
    "connection.js": "text/javascript; charset=utf-8",
    "overview.js": "text/javascript; charset=utf-8",
    "recording.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_PROGRAMS = ("/api/", "/static/")  # below these, no person reads the answers


@cache
def _file(folder: str, name: str) -> str:
    return files(__package__).joinpath(folder, name).read_text(encoding="utf-8")


class Pages:
    """The addresses that a browser opens."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> list[Route]:
        """Every address."""
        return [
            Route("/", self.overview, methods=["GET"]),
            Route("/recordings/{uid}", self.recording, methods=["GET"]),
            Route("/enter", self.enter, methods=["GET"]),
            Route("/static/{name}", self.static, methods=["GET"]),
        ]

    async def overview(self, _: Request) -> Response:
        """What Dropscribe is doing, and what it did."""
        return HTMLResponse(_file("templates", "overview.html"))

    async def recording(self, _: Request) -> Response:
        """One recording; the module reads its id from the address."""
        return HTMLResponse(_file("templates", "recording.html"))

    async def static(self, request: Request) -> Response:
        """A style sheet, a module or the icon."""
        name = request.path_params["name"]
        if name not in _STATIC:
            raise ApiError(404, "There is nothing at this address.")
        headers = {"Content-Type": _STATIC[name], "Cache-Control": "no-cache"}
        return Response(_file("static", name), headers=headers)

    async def enter(self, request: Request) -> Response:
        """Exchange a one-time code for a session; a program that only looks at the address doesn't use it up."""
        if request.method == "HEAD":
            return Response()
        entered = self._access.redeem(request.query_params.get("code", ""))
        if entered is None:
            return HTMLResponse(_file("templates", "locked.html"), status_code=403)
        session, target = entered
        answer = RedirectResponse(target, status_code=303)
        answer.set_cookie(self._access.cookie, session, path="/", httponly=True, samesite="strict")
        return answer


def answer_unknown(request: Request, error: Exception) -> Response:
    """Answer for what no route knows: a program gets JSON, a person a page that leads back."""
    if request.method == "GET" and not request.url.path.startswith(_PROGRAMS):
        return HTMLResponse(_file("templates", "nothing.html"), status_code=404)
    return on_http_error(request, error)


async def answer_refusal(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that the guard refused: a program gets JSON, a person a page that says how to get in."""
    refusal: Refusal = scope["dropscribe.refusal"]
    answer: Response
    if refusal.status == 401 and not scope["path"].startswith(_PROGRAMS):  # noqa: PLR2004 - HTTP's own number
        answer = HTMLResponse(_file("templates", "locked.html"), status_code=refusal.status)
    else:
        answer = Json({"error": refusal.error, "fix": refusal.fix}, status_code=refusal.status)
    await answer(scope, receive, send)
