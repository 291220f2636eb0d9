"""The control API and the page, put together."""

from __future__ import annotations

import time
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from service.control.api import Api
from service.control.auth import Access
from service.control.responses import ApiError, on_api_error, on_bug, on_dropscribe_error
from service.control.security import Guard, Rules
from service.control.sse import EventStreams
from service.control.web.pages import Pages, answer_refusal, answer_unknown
from watcher.errors import DropscribeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from watcher.control import Control

__all__ = ["create_app"]


def create_app(
    control: Control,
    *,
    token: str,
    port: int,
    heartbeat: float = 15.0,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """Make the ASGI application; `app.state.streams` holds the open event streams.

    Args:
        control: the daemon's facade.
        token: what programs have to send.
        port: where it is served on 127.0.0.1; requests must name it in their Host header.
        heartbeat: seconds after which a quiet event stream shows that it is alive.
        monotonic: seconds that never run backwards, for the one-time codes.
    """
    version = installed_version("dropscribe")
    access = Access(token, port=port, monotonic=monotonic)
    rules = Rules(access, port=port)
    streams = EventStreams(control.bus, version=version, heartbeat=heartbeat)
    api = Api(control, access=access, streams=streams, version=version, origin=rules.origin)
    app = Starlette(
        routes=[*api.routes(), *Pages(access).routes()],
        middleware=[Middleware(Guard, rules=rules, refused=answer_refusal)],
        exception_handlers={
            ApiError: on_api_error,
            DropscribeError: on_dropscribe_error,
            HTTPException: answer_unknown,
            Exception: on_bug,
        },
    )
    app.router.redirect_slashes = False
    app.state.streams = streams
    return app
