"""The control API: requests to the daemon, as JSON."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from service.control import media
from service.control.params import Query, json_body, read_reason, read_request
from service.control.responses import ApiError, Json
from watcher.errors import OutputError, RecordingError
from watcher.models import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from service.control.auth import Access
    from service.control.sse import EventStreams
    from watcher.control import Control
    from watcher.models import Entry

__all__ = ["Api"]

_PAGE = 50
_NO_SUCH = "There is no recording with this id."
_LOOK = "Find it in the list of all recordings."


class Api:
    """The endpoints below `/api`.

    Args:
        control: the daemon's facade.
        access: makes the codes that let a browser in.
        streams: the live events.
        version: of the program.
        origin: where this is served, e.g. `http://127.0.0.1:7373`.
    """

    def __init__(self, control: Control, *, access: Access, streams: EventStreams, version: str, origin: str) -> None:
        self._control = control
        self._access = access
        self._streams = streams
        self._version = version
        self._origin = origin

    def routes(self) -> list[Route]:
        """Every address of the API."""
        questions: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/api/status": self.status,
            "/api/folders": self.folders,
            "/api/explain": self.explain,
            "/api/events": self.events,
            "/api/entries": self.entries,
            "/api/entries/{uid}": self.entry,
            "/api/entries/{uid}/transcript": self.transcript,
            "/api/entries/{uid}/phrases": self.phrases,
            "/api/entries/{uid}/audio": self.audio,
        }
        orders: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/api/transcribe": self.transcribe,
            "/api/pause": self.pause,
            "/api/resume": self.resume,
            "/api/entries/{uid}/retry": self.retry,
            "/api/entries/{uid}/cancel": self.cancel,
            "/api/entries/{uid}/dismiss": self.dismiss,
            "/api/dismiss": self.dismiss_all,
            "/api/holds/{name:path}/lift": self.lift,
            "/api/open-code": self.open_code,
        }
        asked = [Route(path, endpoint, methods=["GET"]) for path, endpoint in questions.items()]
        return asked + [Route(path, endpoint, methods=["POST"]) for path, endpoint in orders.items()]

    # Questions

    async def status(self, _: Request) -> Response:
        """The whole picture."""
        return Json({**await self._control.snapshot(), "version": self._version})

    async def folders(self, _: Request) -> Response:
        """The watch folders and how they are watched."""
        return Json({"folders": (await self._control.snapshot())["folders"]})

    async def explain(self, request: Request) -> Response:
        """What happened to a path, what happens next, and why."""
        path = Query(request).path("path")
        if path is None:
            raise ApiError(400, "No path is given.", "Add ?path=/the/full/path")
        return Json(await self._control.explain(path))

    async def events(self, _: Request) -> Response:
        """What happens, as it happens."""
        return StreamingResponse(self._streams.listen(), media_type="text/event-stream")

    async def entries(self, request: Request) -> Response:
        """A page of entries, latest change first; `next` is what `before` takes for the following page."""
        query = Query(request)
        limit = query.limit("limit", _PAGE)
        found = await self._control.entries(
            **query.choice("state"),
            root=query.path("folder"),
            search=query.text("q"),
            before=await self._before(query),
            limit=limit + 1,
        )
        shown = found[:limit]
        more = len(found) > limit
        following = f"{shown[-1]['changed_at']!r}~{shown[-1]['uid']}" if more else None
        return Json({"entries": shown, "next": following})

    async def _before(self, query: Query) -> tuple[float, int] | None:
        """Find the row number that belongs to the cursor; the entry itself may have changed since."""
        cursor = query.cursor("before")
        if cursor is None:
            return None
        at, uid = cursor
        return at, (await self._model(uid)).id

    async def entry(self, request: Request) -> Response:
        """One entry, with its history, what happens next, and the formats its transcript can be had in."""
        uid = request.path_params["uid"]
        try:
            told = await self._control.entry(uid)
            originals = await self._control.transcript(uid)
        except KeyError:
            raise ApiError(404, _NO_SUCH, _LOOK) from None
        return Json({**told, "available": media.available(originals)})

    async def transcript(self, request: Request) -> Response:
        """A transcript as a file: the service's own bytes, or made from them."""
        form = Query(request).format("format", OutputFormat.TXT)
        entry, originals = await self._originals(request)
        data = await asyncio.to_thread(media.make, form, originals, title=entry.path.stem)
        answer = Response(data)
        answer.headers["Content-Type"] = media.MEDIA_TYPES[form]
        return answer

    async def phrases(self, request: Request) -> Response:
        """A transcript as phrases and words with their times."""
        _, originals = await self._originals(request)
        if OutputFormat.JSON_V2.value not in originals:
            raise ApiError(404, "This transcript has no word times.", "Add json-v2 to `formats`.")
        return Json(await asyncio.to_thread(media.phrases, originals[OutputFormat.JSON_V2.value]))

    async def audio(self, request: Request) -> Response:
        """The recording itself, whole or in ranges."""
        entry = await self._model(request.path_params["uid"])
        return await media.audio(entry)

    # Orders

    async def transcribe(self, request: Request) -> Response:
        """Transcribe a recording that need not be in a watch folder. Only for the token: a page names no paths."""
        if not self._access.has_token(request.headers.get("authorization")):
            raise ApiError(403, "A page may not request a recording.", "Use: dropscribe transcribe FILE")
        wanted = read_request(await json_body(request))
        try:
            return Json(await self._control.request(wanted))
        except (RecordingError, OutputError) as error:
            raise ApiError(422, error.message, error.fix) from None

    async def pause(self, request: Request) -> Response:
        """Stop submission, until a unix time or until told otherwise."""
        until = (await json_body(request)).get("until")
        if until is not None:
            if isinstance(until, bool) or not isinstance(until, int | float) or not math.isfinite(until):
                raise ApiError(400, "`until` must be a unix time or null.")
            if until <= time.time():
                raise ApiError(400, "`until` is in the past.", "Use a unix time in the future.")
        await self._control.pause(until)
        return await self.status(request)

    async def resume(self, request: Request) -> Response:
        """Let submission go on."""
        await json_body(request)
        await self._control.resume()
        return await self.status(request)

    async def retry(self, request: Request) -> Response:
        """Try an entry again."""
        await json_body(request)
        try:
            return Json(await self._control.retry(request.path_params["uid"]))
        except KeyError:
            raise ApiError(404, _NO_SUCH, _LOOK) from None

    async def cancel(self, request: Request) -> Response:
        """Cancel an entry."""
        reason = read_reason(await json_body(request))
        try:
            return Json(await self._control.cancel(request.path_params["uid"], *reason))
        except KeyError:
            raise ApiError(404, _NO_SUCH, _LOOK) from None

    async def dismiss(self, request: Request) -> Response:
        """Stop asking for attention for a failed entry."""
        await json_body(request)
        uid = request.path_params["uid"]
        try:
            await self._control.dismiss(uid)
            return Json(await self._control.entry(uid))
        except KeyError:
            raise ApiError(404, _NO_SUCH, _LOOK) from None

    async def dismiss_all(self, request: Request) -> Response:
        """Stop asking for attention for all failed entries; answers with those that changed."""
        await json_body(request)
        return Json({"entries": await self._control.dismiss()})

    async def lift(self, request: Request) -> Response:
        """Lift a hold."""
        await json_body(request)
        name = request.path_params["name"]
        if not await self._control.lift(name):
            raise ApiError(404, "This hold no longer exists.", "Nothing needs to be done.")
        return await self.status(request)

    async def open_code(self, request: Request) -> Response:
        """Make an address that lets one browser in, once; `{"uid": …}` leads it to a recording."""
        uid = (await json_body(request)).get("uid")
        target = "/"
        if uid is not None:
            if not isinstance(uid, str):
                raise ApiError(400, "`uid` must be a string.")
            target = f"/recordings/{(await self._model(uid)).uid}"
        return Json({"url": f"{self._origin}/enter?code={self._access.new_code(target)}"})

    # Inside

    async def _model(self, uid: str) -> Entry:
        try:
            return await self._control.model(uid)
        except KeyError:
            raise ApiError(404, _NO_SUCH, _LOOK) from None

    async def _originals(self, request: Request) -> tuple[Entry, dict[str, Any]]:
        entry = await self._model(request.path_params["uid"])
        return entry, await self._control.transcript(entry.uid)
