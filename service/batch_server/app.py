"""The web application: routes, error responses, and what runs beside it."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
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

from service.batch_server.api.auth import BearerAuth
from service.batch_server.api.endpoints import Endpoints, json_response
from service.batch_server.dispatch.dispatcher import Dispatcher
from service.batch_server.dispatch.job_events import JobEvents
from service.batch_server.dispatch.retention import expire_jobs
from service.batch_server.errors import ApiError, ServerFault
from service.batch_server.settings import ServerSettings
from service.batch_server.store.async_store import AsyncStore
from service.batch_server.workers.backends import Backend

if TYPE_CHECKING:
    from service.batch_server.outbound.fetch import Fetcher
    from service.batch_server.outbound.webhooks import Webhooks

_log = structlog.stdlib.get_logger("batch_server")


def build(
    settings: ServerSettings,
    async_store: AsyncStore,
    events: JobEvents,
    backends: Sequence[Backend],
    *,
    on_unusable: Callable[[], None] = lambda: None,
) -> Starlette:
    """Build the application.

    Args:
        async_store: Where jobs are kept; closed by the caller, after the application.
        events: Wakes requests that wait; closed by the caller when the server begins to stop.
        backends: Where recordings are recognised; closed with the application.
        on_unusable: Called if the model, which is loaded at the start, can't be loaded; the reason was logged.
    """
    fetcher, webhooks = _outbound(settings, async_store)
    dispatcher = Dispatcher(settings, async_store, events, backends, fetcher=fetcher, webhooks=webhooks)
    api = Endpoints(settings, async_store, dispatcher, events, BearerAuth(settings.key))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await dispatcher.start()
        loaded = dispatcher.warm_up() if settings.preload else None
        preload = asyncio.create_task(_check_model(loaded, settings.model, on_unusable), name="preload")
        if webhooks is not None:
            await webhooks.start()
        retention = asyncio.create_task(expire_jobs(async_store, settings.retention), name="retention")
        try:
            yield
        finally:
            preload.cancel()
            retention.cancel()
            if webhooks is not None:
                await webhooks.stop()
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
            ApiError: _on_api_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_fault,
        },
    )
    built.router.redirect_slashes = False  # clients may turn a POST into a GET when they follow a redirect
    return built


async def _check_model(loaded: Future[None] | None, model: str, on_unusable: Callable[[], None]) -> None:
    """Wait until the model is loaded; report it if that fails."""
    try:
        if loaded is not None:
            await asyncio.wrap_future(loaded)
    except Exception as error:  # noqa: BLE001 - whatever the worker process reports
        _log.error("can't load the model", model=model, reason=str(error))
        on_unusable()


def _route(path: str, **by_method: Callable[[Request], Awaitable[Response]]) -> Route:
    """Route a path with all its methods, so that 405 lists them; HEAD is GET without the body."""

    async def answer(request: Request) -> Response:
        return await by_method["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, answer, methods=list(by_method))


def _outbound(settings: ServerSettings, async_store: AsyncStore) -> "tuple[Fetcher | None, Webhooks | None]":
    """Build what calls other servers, as far as that is allowed."""
    if not (settings.allow_fetch or settings.allow_notify):
        return None, None
    from service.batch_server.outbound.client import Outbound  # noqa: PLC0415 - an HTTP client is only loaded if used
    from service.batch_server.outbound.fetch import Fetcher  # noqa: PLC0415 - as above
    from service.batch_server.outbound.webhooks import Webhooks  # noqa: PLC0415 - as above

    outbound = Outbound(settings.allow_host)
    return (
        Fetcher(async_store, outbound, most_bytes=settings.limits.upload_bytes) if settings.allow_fetch else None,
        Webhooks(async_store, outbound) if settings.allow_notify else None,
    )


class _Dated:
    """Adds a Date header to every response; uvicorn's own would need a timer that also ticks while idle."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Date"] = formatdate(usegmt=True)
            await send(message)

        await self._app(scope, receive, send_dated)


async def _on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101 - Starlette's types can't say so
    headers = {} if error.retry_after is None else {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    if request.method == "POST":
        # The rest of the body is not read: the client must not wait for that.
        headers["Connection"] = "close"
    return json_response(error.body(), error.status, headers)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Respond to a path or a method that the API doesn't have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette's types can't say so
    detail = f"{request.method} {request.url.path} is not part of the Batch API v2"
    body = {"code": error.status_code, "error": "Bad Request", "detail": detail}
    return json_response(body, error.status_code, dict(error.headers or {}))


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """End a request whose client has disconnected; this response is never read."""
    _log.info("the client disconnected before its request was complete")
    return Response(status_code=400)


async def _on_fault(_: Request, error: Exception) -> Response:
    fault = ServerFault(f"{type(error).__name__} in the server; see its log")
    return json_response(fault.body(), fault.status)
