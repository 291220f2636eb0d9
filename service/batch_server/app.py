"""The web application: paths, error answers, and what runs while it does."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from email.utils import formatdate
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.batch_server.api.auth import Gate
from service.batch_server.api.endpoints import Endpoints, json_response
from service.batch_server.dispatch.dispatcher import Dispatcher
from service.batch_server.dispatch.job_events import Waiters
from service.batch_server.dispatch.retention import keep_expiring
from service.batch_server.errors import Problem, ServerFault
from service.batch_server.settings import ServerSettings
from service.batch_server.store.async_store import Database
from service.batch_server.workers.backends import Slot

if TYPE_CHECKING:
    from service.batch_server.outbound.webhooks import Messenger

_log = structlog.stdlib.get_logger("batch_server")


def build(settings: ServerSettings, database: Database, waiters: Waiters, slots: Sequence[Slot]) -> Starlette:
    """Build the application.

    Args:
        settings: What to serve.
        database: Where jobs are kept; closed by the caller, after the application.
        waiters: Who waits for jobs; closed by the caller when the server is told to stop.
        slots: Where recordings are recognised; closed with the application.
    """
    messenger = _messenger(settings, database)
    dispatcher = Dispatcher(settings, database, waiters, slots, messenger)
    api = Endpoints(settings, database, dispatcher, waiters, Gate(settings.key))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await dispatcher.start()
        if settings.preload:
            dispatcher.warm_up()
        if messenger is not None:
            await messenger.start()
        expiry = asyncio.create_task(keep_expiring(database, settings.retention), name="expiry")
        try:
            yield
        finally:
            expiry.cancel()
            if messenger is not None:
                await messenger.stop()
            await dispatcher.stop()

    built = Starlette(
        lifespan=lifespan,
        routes=[
            _route("/v2/jobs", GET=api.list, POST=api.create),
            _route("/v2/jobs/{jobid}", GET=api.get, DELETE=api.delete),
            _route("/v2/jobs/{jobid}/progress", GET=api.progress),
            _route("/v2/jobs/{jobid}/transcript", GET=api.transcript),
            _route("/v2/jobs/{jobid}/log", GET=api.log),
            _route("/v2/usage", GET=api.usage),
        ],
        middleware=[Middleware(_Dated)],
        exception_handlers={
            Problem: _on_problem,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_fault,
        },
    )
    built.router.redirect_slashes = False  # whoever follows a redirect may well turn a POST into a GET
    return built


def _route(path: str, **by_method: Callable[[Request], Awaitable[Response]]) -> Route:
    """Route a path, so that 405 tells all the methods that it has; HEAD is GET without the body."""

    async def answer(request: Request) -> Response:
        return await by_method["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(by_method))


def _messenger(settings: ServerSettings, database: Database) -> "Messenger | None":
    if not (settings.fetching or settings.notifying):
        return None
    from service.batch_server.outbound.client import Outbound  # noqa: PLC0415 - as above
    from service.batch_server.outbound.webhooks import Messenger  # noqa: PLC0415 - an HTTP client is only loaded if used

    return Messenger(database, Outbound(settings.allowed_hosts), most_bytes=settings.limits.upload_bytes)


class _Dated:
    """Dates every answer when it is sent; uvicorn's own dates would need a clock that ticks while nobody asks."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = formatdate(usegmt=True)
            await send(message)

        await self._app(scope, receive, send_dated)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - Starlette's types can't say so
    headers = {} if error.retry_after is None else {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if request.method == "POST":
        # Whatever of its body is still on the way is not read: the client must not wait for that.
        headers["Connection"] = "close"
    return json_response(error.body(), error.status, headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Answer a path or a method that the API doesn't have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's types can't say so
    detail = f"{request.method} {request.url.path} is not part of the Batch API v2"
    body = {"code": error.status_code, "error": "Bad Request", "detail": detail}
    return json_response(body, error.status_code, dict(error.headers or {}))


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """End a request whose client has gone; nobody reads this answer."""
    _log.info("client went away before its request was complete")
    return Response(status_code=400)


async def _on_fault(_: Request, error: Exception) -> Response:
    fault = ServerFault(f"{type(error).__name__} in the server; its log says more")
    return json_response(fault.body(), fault.status)
