"""A Batch server that fails on a script, and remembers every job that it created: the billing oracle.

It speaks the Batch API over real loopback sockets, creates jobs from complete uploads only, finishes them after
a settable time, and strikes requests with faults, from a script or at random with a seed.

In an async test::

    async with FaultServer(Fault("lose_answer", on="post"), processing_time=0.1) as server:
        client = AsyncClient("key", url=server.url)
        ...
        assert [job.reference for job in server.jobs] == [...]
        server.script.add(Fault("status", on="list", status=503, times=2))
        server.settings.listing_lag = 1.0

With ``ssl_context=…`` it speaks TLS. In a synchronous test:
``with fault_server_thread(Fault(...), processing_time=0.1) as server: …``: the same, served by a thread.

As a process: ``python -m tests.support.fault_server --port 0 --script '[{"kind": "lose_answer", "on": "post"}]'
--settings '{"processing_time": 0.5}' --seed 7`` prints one line ``{"url": "http://127.0.0.1:…/v2",
"control": "http://127.0.0.1:…/_control"}`` and serves until SIGTERM or SIGINT.

A `Fault` has a `kind` and says when it strikes: `on` (``any``, ``post``, ``get`` for every GET, ``list``, ``job``,
``transcript``, ``log``, ``usage``, ``delete``), `times` (1; null: always), `skip` (let so many matching requests
pass first), `probability` (1.0), `lasts` (seconds from the first match). The first matching fault strikes.

====================  ===================================================================================
kind                  what happens
====================  ===================================================================================
``early``             answers `status` after the head, before the body is read (`html`: as nginx would; `head`:
                      with just these bytes); then reads the rest away, or with `abrupt` hangs up at once
``deaf``              reads nothing of the body, and never answers (or hangs up after `seconds`)
``interim``           answers 103 after the head, and goes on as if nothing was
``reset_before``      resets the connection after the head: nothing is done
``reset_midbody``     resets it when half of the body has been read: nothing is done
``status``            reads all, does nothing, answers `status` with `error`, `detail`, `retry_after`, `html`
``redirect``          reads all, does nothing, answers 302 to `location`
``hang_before``       reads all, does nothing, never answers (or hangs up after `seconds`)
``lose_answer``       does what was asked, then resets the connection instead of answering
``hang``              does what was asked, never answers (or hangs up after `seconds`)
``error_after``       does what was asked, then answers `status`
``truncate``          does what was asked, and breaks off in the middle of the answer's body
``broken_json``       does what was asked, and cuts the answer's body off, with a length that fits
``html_after``        does what was asked, and answers with the right status, but with an HTML page
``delay``             does what was asked, and answers `seconds` later
``reject``            (on ``post``) the job is created, and is rejected when processed, because of `detail`
====================  ===================================================================================

`Settings` (keyword arguments here): `processing_time`, `listing_lag` (a job is listed only so long after its
creation), `list_config` (False: listings without config, as on-prem), `long_poll` (False: ``wait`` is ignored),
`wait_cap`, `post_rate` and `get_rate` (requests per second; the cloud's are 10 and 50), `max_concurrent`,
`rate_retry_after`, `key` (None: any key), `projects` (the project of each key, which sees no other's jobs),
`same_created_at` (so many jobs in a row share one ``created_at``).

The control endpoint takes and gives JSON, without a key: ``GET /_control/jobs`` (all jobs ever created, oldest
first), ``GET /_control/requests`` (counts by endpoint, and ``aborted`` uploads), ``POST /_control/faults`` (a list
to add), ``DELETE /_control/faults``, ``POST /_control/settings`` (a partial `Settings`),
``POST /_control/jobs/{id}`` (``{"status": "expired" | "deleted" | "rejected" | "done" | "running",
"reasons": [...]}``).
"""

import argparse
import asyncio
import collections
import contextlib
import json
import signal
import sys
import threading
import time

import msgspec

from tests.support.fault_api import BatchState, OracleJob, Refusal, Settings
from tests.support.fault_http import (
    Answer,
    IncompleteBody,
    drain_quietly,
    error_answer,
    read_request,
    reset,
)
from tests.support.fault_plan import UNPROCESSED, Fault, Script

__all__ = ["Fault", "FaultServer", "OracleJob", "Settings", "fault_server_thread"]

FOREVER = 3600.0
HTML = b"<html><body><h1>Welcome to the hotel wifi</h1></body></html>"


class FaultServer:
    """The server. Attributes: `url`, `control`, `jobs`, `requests`, `aborted`, `script`, `settings`, `state`."""

    def __init__(self, *faults, seed=0, port=0, ssl_context=None, **settings):
        self.script = Script(faults, seed)
        self.settings = Settings(**settings)
        self.state = BatchState(self.settings)
        self.requests = collections.Counter()
        self.aborted = 0
        self.log = []  # (endpoint, request id, fault kind or None)
        self._port = port
        self._ssl_context = ssl_context
        self._server = None
        self._tasks = set()
        self._changed = None

    @property
    def jobs(self):
        """Every job ever created, oldest first."""
        return self.state.jobs

    @property
    def url(self):
        return f"{'https' if self._ssl_context else 'http'}://127.0.0.1:{self._port}/v2"

    @property
    def control(self):
        return f"http://127.0.0.1:{self._port}/_control"

    async def __aenter__(self):
        self._changed = asyncio.Event()
        tls = {"ssl": self._ssl_context, "ssl_shutdown_timeout": 0.5} if self._ssl_context else {}
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=2**20, **tls)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def touch(self):
        """Wake long polls, after jobs were changed from outside."""
        self._changed.set()
        self._changed = asyncio.Event()

    # connections

    def _connected(self, reader, writer):
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader, writer):
        try:
            while request := await read_request(reader):
                if not await self._handle(request, writer):
                    break
        except (OSError, IncompleteBody):
            self.aborted += 1
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _handle(self, request, writer):
        """Answer one request; whether the connection can take another."""
        if request.path.startswith("/_control/"):
            body = b"".join([piece async for piece in request.pieces()])
            return await self._send(writer, self._control(request, body))
        endpoint, job_id = _route(request)
        fault = self.script.choose(endpoint) if endpoint else None
        self.requests[endpoint or "unknown"] += 1
        self.log.append((endpoint, request.headers.get("x-request-id"), fault and fault.kind))
        if fault and fault.kind in {"early", "deaf", "reset_before", "reset_midbody"}:
            return await self._strike_early(fault, request, writer)
        try:
            self._admit(request, endpoint)
        except Refusal as refusal:
            await self._send(writer, _refused(refusal), keep_open=False)
            await drain_quietly(request)
            return False
        if fault and fault.kind == "interim":
            writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            await writer.drain()
        form = None
        if endpoint == "post":
            form = await request.form()
        else:
            async for _ in request.pieces():
                pass
        if fault and fault.kind in UNPROCESSED:
            return await self._strike_unprocessed(fault, writer)
        try:
            answer = await self._process(endpoint, job_id, request, form, fault)
        except Refusal as refusal:
            answer = _refused(refusal)
        if fault:
            return await self._strike_answer(fault, answer, writer)
        return await self._send(writer, answer)

    async def _send(self, writer, answer, *, keep_open=True):
        writer.write(answer.encoded(keep_open=keep_open))
        await writer.drain()
        return keep_open

    def _admit(self, request, endpoint):
        if endpoint is None:
            raise Refusal(404, "Not Found")
        key = self.settings.key
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            raise Refusal(401, "Permission Denied")
        self._project_of(request)
        self.state.check_rate("post" if endpoint == "post" else "get", time.monotonic())

    def _project_of(self, request):
        projects = self.settings.projects
        if projects is None:
            return None
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in projects:
            raise Refusal(401, "Permission Denied")
        return projects[key]

    # faults

    async def _strike_early(self, fault, request, writer):
        if fault.kind == "deaf":
            return await self._hang(fault)
        if fault.kind == "reset_midbody":
            async for _ in request.pieces(request.length // 2):
                pass
        if fault.kind != "early":
            self.aborted += fault.kind == "reset_midbody"
            reset(writer)
            return False
        if fault.head:
            writer.write(fault.head.encode("latin-1"))
            await writer.drain()
        else:
            await self._send(writer, _said(fault), keep_open=False)
        if not fault.abrupt:
            await drain_quietly(request)
        return False

    async def _strike_unprocessed(self, fault, writer):
        if fault.kind == "hang_before":
            return await self._hang(fault)
        if fault.kind == "redirect":
            return await self._send(writer, Answer(302, b"", "text/html", {"Location": fault.location}))
        return await self._send(writer, _said(fault))

    async def _strike_answer(self, fault, answer, writer):
        if fault.kind == "lose_answer":
            reset(writer)
            return False
        if fault.kind == "hang":
            return await self._hang(fault)
        if fault.kind == "delay":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "error_after":
            answer = _said(fault)
        elif fault.kind == "broken_json":
            answer = Answer(answer.status, answer.body[: len(answer.body) // 2], answer.content_type)
        elif fault.kind == "html_after":
            answer = Answer(answer.status, HTML, "text/html")
        elif fault.kind == "truncate":
            whole = len(answer.body)
            answer.body = answer.body[: whole // 2]
            writer.write(answer.encoded(claimed_length=whole))
            await writer.drain()
            return False
        return await self._send(writer, answer)

    async def _hang(self, fault):
        await asyncio.sleep(fault.seconds or FOREVER)
        return False

    # the API

    async def _process(self, endpoint, job_id, request, form, fault):
        state, query = self.state, request.query
        project = self._project_of(request)
        if endpoint == "post":
            return await self._create(request, form, fault)
        if endpoint == "list":
            limit = _integer(query.get("limit"), "limit")
            include_deleted = query.get("include_deleted") == "true"
            before = query.get("created_before")
            return Answer(200, {"jobs": state.list(before, limit, include_deleted=include_deleted, project=project)})
        if endpoint == "usage":
            return Answer(200, state.usage())
        if endpoint == "delete":
            return Answer(200, {"job": state.details(state.delete(job_id, query.get("force") == "true", project))})
        job = state.find(job_id, project)
        if endpoint == "log":
            return Answer(200, b"2026-01-01 00:00:00,000 INFO transcribed\n", "text/plain")
        await self._wait_for(job, query)
        state.find(job_id, project)
        if endpoint == "job":
            return Answer(200, {"job": state.details(job)})
        content_type, body = state.transcript(job_id, query.get("format", "json-v2"), project)
        return Answer(200, body, content_type)

    async def _create(self, request, form, fault):
        if form is None:
            raise Refusal(400, "Malformed request")
        text, data_name, size, sha256 = form
        try:
            config = json.loads(text)
        except ValueError as error:
            raise Refusal(400, "Job rejected", "Job config JSON is invalid") from error
        if fault and fault.kind == "reject":
            self.state.reject_next.append([fault.detail or "The audio could not be processed"])
        job = self.state.create(
            config, data_name, size, sha256, request.headers.get("x-request-id"), project=self._project_of(request)
        )
        made = {"id": job.id}
        if "wait" in request.query:
            await self._wait_for(job, request.query)
            status = self.state.status(job)
            made["status"] = "created" if status == "running" else status
            kind = request.query.get("format", "json-v2")
            if status == "done":
                _, body = self.state.transcript(job.id, kind, job.project)
                made[kind] = msgspec.Raw(body) if kind == "json-v2" else body.decode()
        return Answer(201, made)

    async def _wait_for(self, job, query):
        """Hold the answer until the job has ended, as long as was asked for."""
        if not self.settings.long_poll:
            return
        wait = min(_integer(query.get("wait"), "wait") or 0, self.settings.wait_cap)
        deadline = time.monotonic() + wait
        while self.state.status(job) == "running" and (left := deadline - time.monotonic()) > 0:
            due = max(0.001, min(left, job.done_at - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), due)

    # control

    def _control(self, request, body):
        what = request.path.removeprefix("/_control/").split("/")
        given = json.loads(body) if body else None
        if what == ["jobs"]:
            return Answer(200, [{**msgspec.to_builtins(job), "status": self.state.status(job)} for job in self.jobs])
        if what == ["requests"]:
            return Answer(200, {**self.requests, "aborted": self.aborted})
        if what == ["faults"]:
            if request.method == "DELETE":
                self.script.clear()
            else:
                self.script.add(*msgspec.convert(given, list[Fault]))
        elif what == ["settings"]:
            checked = msgspec.convert(given, Settings)
            for name in given:
                setattr(self.settings, name, getattr(checked, name))
        elif what[0] == "jobs":
            job = next(job for job in self.jobs if job.id == what[1])
            job.forced_status = given.get("status")
            job.reasons = given.get("reasons", job.reasons)
            self.touch()
        else:
            return error_answer(404, "Not Found")
        return Answer(200, {})


def _route(request):
    """(endpoint, job id) of a request; (None, None) if there is none such."""
    match (request.method, request.path.strip("/").split("/")):
        case ("POST", ["v2", "jobs"]):
            return "post", None
        case ("GET", ["v2", "jobs"]):
            return "list", None
        case ("GET", ["v2", "usage"]):
            return "usage", None
        case ("GET", ["v2", "jobs", job_id]):
            return "job", job_id
        case ("DELETE", ["v2", "jobs", job_id]):
            return "delete", job_id
        case ("GET", ["v2", "jobs", job_id, ("transcript" | "log") as endpoint]):
            return endpoint, job_id
    return None, None


def _integer(text, name):
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise Refusal(422, "Unprocessable Entity", f"{name} in query must be of type int64") from error


def _refused(refusal):
    return error_answer(refusal.status, refusal.error, refusal.detail, refusal.retry_after)


def _said(fault):
    words = {401: "Permission Denied", 429: "Rate Limited", 500: "Internal Server Error"}
    error = fault.error or words.get(fault.status, "Unavailable")
    return error_answer(fault.status, error, fault.detail, fault.retry_after, html=fault.html)


@contextlib.contextmanager
def fault_server_thread(*faults, **options):
    """A `FaultServer` on a thread of its own, for tests and programs without an event loop."""
    server = FaultServer(*faults, **options)
    ready = threading.Event()
    stop = None
    loop = None

    async def serve():
        nonlocal stop, loop
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with server:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="fault server")
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _main(options):
    faults = msgspec.json.decode(options.script, type=list[Fault])
    settings = msgspec.to_builtins(msgspec.json.decode(options.settings, type=Settings))
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with FaultServer(*faults, seed=options.seed, port=options.port, **settings) as server:
        sys.stdout.write(json.dumps({"url": server.url, "control": server.control}) + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A Batch server that fails on a script.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", default="[]", help="faults, as a JSON list")
    parser.add_argument("--settings", default="{}", help="settings, as a JSON object")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(_main(parser.parse_args()))
