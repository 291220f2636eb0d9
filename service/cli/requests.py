"""What `dropscribe transcribe` does with its requests: hand them over, show how far they are, print what came of them.

The one who serves them is a daemon: the one that runs, over its control API, or one in this process.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from service.cli.console import one_line, say, shown
from watcher.errors import DropscribeError, LedgerError, sentences
from watcher.models import PAUSE, EntryState
from watcher.wording import strip_path

if TYPE_CHECKING:
    from pathlib import Path

    from service.cli.progress import Display
    from service.control.client import ControlClient
    from watcher.control import Control
    from watcher.scheduler import Request

__all__ = ["Failed", "InDaemon", "InProcess", "Server", "Session", "Written", "judge"]

_LOOK = 0.25
_LONG_WAIT = 25.0
"""Seconds: a recording that is not tried again before that is given up."""
_LONGEST_REASON = 2000
_PATIENCE = 60.0
"""Seconds after which a recording is given up whose engine can't be reached."""
_S = EntryState
_ACTIVE = frozenset({_S.SUBMITTING, _S.SUBMITTED, _S.TRANSCRIBED})
_GOES_ON = (
    "It continues with the next `dropscribe transcribe` of this file, or with `dropscribe run`; nothing is paid twice."
)


class Server(Protocol):
    """The daemon that serves the requests. See `watcher.control.Control`."""

    goes_on: str
    """What becomes of a request when this command is interrupted."""

    async def request(self, request: Request) -> dict[str, Any]:
        """Take a request in; returns its entry."""

    async def entry(self, uid: str) -> dict[str, Any]:
        """One entry."""

    async def snapshot(self) -> dict[str, Any]:
        """The whole picture."""

    async def cancel(self, uid: str, reason: str) -> None:
        """Cancel an entry; its history gives the reason."""


class InProcess:
    """A daemon in this process."""

    goes_on = _GOES_ON

    def __init__(self, control: Control) -> None:
        self._control = control

    async def request(self, request: Request) -> dict[str, Any]:
        """Take a request in; returns its entry."""
        return await self._control.request(request)

    async def entry(self, uid: str) -> dict[str, Any]:
        """One entry."""
        return await self._control.entry(uid)

    async def snapshot(self) -> dict[str, Any]:
        """The whole picture."""
        return await self._control.snapshot()

    async def cancel(self, uid: str, reason: str) -> None:
        """Cancel an entry; its history gives the reason."""
        await self._control.cancel(uid, reason)


class InDaemon:
    """The daemon that runs, over its control API."""

    goes_on = "The running Dropscribe continues it. To cancel it: dropscribe cancel FILE"

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    async def request(self, request: Request) -> dict[str, Any]:
        """Hand a request over; returns its entry."""
        return await asyncio.to_thread(self._client.request, request)

    async def entry(self, uid: str) -> dict[str, Any]:
        """One entry."""
        return await asyncio.to_thread(self._client.entry, uid)

    async def snapshot(self) -> dict[str, Any]:
        """The whole picture."""
        return await asyncio.to_thread(self._client.status)

    async def cancel(self, uid: str, reason: str) -> None:
        """Cancel an entry; its history gives the reason."""
        await asyncio.to_thread(self._client.cancel, uid, reason)


@dataclass(frozen=True, slots=True)
class Written:
    """The transcript is there; `note` says why nothing was submitted for it, if so."""

    paths: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no transcript.

    Attributes:
        reason: why, and what the person can do.
        give_up: whether the entry is to be cancelled, since nothing was submitted and nobody waits for it any more.
    """

    reason: str
    give_up: bool = False


def judge(
    entry: dict[str, Any], snapshot: dict[str, Any], *, twin: dict[str, Any] | None, now: float, waited: float
) -> Written | Failed | None:
    """Decide what came of a request. Pure.

    Args:
        entry: as `watcher.control.Control.entry` gives it.
        snapshot: as `watcher.control.Control.snapshot` gives it.
        twin: the entry with the same content that this one waits for; None if it waits for none.
        now: unix time.
        waited: seconds since the request.

    Returns:
        None while the daemon is at work on it.
    """
    state = EntryState(entry["state"])
    why = sentences(entry["reason"], entry["fix"])
    later = (entry["next_attempt_at"] or 0.0) - now
    stopped = _what_stops(entry["engine"], snapshot, with_pause=state is _S.WAITING)
    if state is _S.DONE:
        note = sentences(entry["reason"], "Nothing was submitted.") if entry["reason"] else ""
        return Written(tuple(output["path"] for output in entry["outputs"]), note)
    if state.is_settled or state is _S.HELD:
        return Failed(why)
    if state is _S.TRANSCRIBED:
        return Failed(sentences(why, "Its transcript is kept.", _GOES_ON)) if later > 0 else None
    if stopped:
        waits = state is _S.WAITING
        return Failed(stopped if waits else sentences(stopped, _GOES_ON), give_up=waits)
    if state is not _S.WAITING:
        return None
    if twin is not None and twin["state"] == _S.HELD:
        return Failed(sentences(f"{twin['path']} has the same content.", twin["reason"], twin["fix"]), give_up=True)
    account = next((each for each in snapshot["accounts"] if each["engine"] == entry["engine"]), None)
    is_away = account is not None and account["paused_until"] and waited > _PATIENCE
    if later > _LONG_WAIT or is_away:
        return Failed(why or (account["reason"] if account else ""), give_up=True)
    return None


def _what_stops(engine: str, snapshot: dict[str, Any], *, with_pause: bool) -> str:
    """Say what stops all submission to an engine; empty if nothing does."""
    for hold in snapshot["holds"]:
        if with_pause and hold["name"] == PAUSE:
            return "Dropscribe is paused. Run `dropscribe resume`, then transcribe it again."
        if hold["name"].split()[0] == f"account:{engine}":
            return sentences(hold["reason"], hold["fix"])
    return ""


def _discard_output() -> None:
    """The terminal is gone: let what is still buffered go nowhere, so that the interpreter's end doesn't fail on it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@dataclass
class _Job:
    """A request that was taken in."""

    file: Path
    uid: str
    was_done: bool
    began: float


class Session:
    """Sees requests through, and prints the paths of the transcripts in the order of the requests.

    Args:
        display: shows how far each is.

    Attributes:
        failed: how many have no transcript.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self.failed = 0

    async def run(self, server: Server, requests: list[tuple[Path, Request]]) -> None:
        """Hand the requests over and wait for them; each with the file's name as the person gave it."""
        jobs: list[_Job] = []
        try:
            for file, request in requests:
                self._display.show(str(file), file.name, "preparing", None)
                try:
                    told = await server.request(request)
                except LedgerError:
                    raise
                except DropscribeError as error:
                    self._fail(file, strip_path(str(error), request.path))
                else:
                    jobs.append(_Job(file, told["uid"], told["was_done"], time.monotonic()))
            while jobs:
                await self._see_through(server, jobs)
                del jobs[0]
        except asyncio.CancelledError:
            try:
                with self._display.hidden():
                    for job in jobs:
                        say(f"{shown(job.file)}: not finished. {server.goes_on}", error=True)
            except OSError:
                _discard_output()
            raise

    async def _see_through(self, server: Server, jobs: list[_Job]) -> None:
        """Wait for the first of the jobs, and show how far all are meanwhile."""
        job = jobs[0]
        while True:
            snapshot = await server.snapshot()
            entry = await server.entry(job.uid)
            twin = await server.entry(entry["waits_for"]) if entry["waits_for"] else None
            waited = time.monotonic() - job.began
            outcome = judge(entry, snapshot, twin=twin, now=time.time(), waited=waited)
            match outcome:
                case Written(paths, note):
                    self._report(job, paths, note)
                    return
                case Failed(reason, give_up):
                    if give_up:
                        await server.cancel(job.uid, f"`dropscribe transcribe` gave up: {reason}"[:_LONGEST_REASON])
                    self._fail(job.file, reason)
                    return
            self._show(jobs, snapshot)
            await asyncio.sleep(_LOOK)

    def _show(self, jobs: list[_Job], snapshot: dict[str, Any]) -> None:
        active = {entry["uid"]: entry for entry in snapshot["active"]}
        for job in jobs:
            entry = active.get(job.uid)
            if entry is None:
                self._display.show(str(job.file), job.file.name, "waiting", None)
            else:
                self._display.show(str(job.file), job.file.name, entry["doing"], entry["progress"])

    def _report(self, job: _Job, paths: tuple[str, ...], note: str) -> None:
        self._display.remove(str(job.file))
        with self._display.hidden():
            if job.was_done:
                note = "It was transcribed before. Nothing was submitted."
            if note:
                say(f"{shown(job.file)}: {one_line(note)}", error=True)
            for path in paths:
                say(one_line(path))

    def _fail(self, file: Path, why: str) -> None:
        self.failed += 1
        self._display.remove(str(file))
        with self._display.hidden():
            say(f"{shown(file)}: {one_line(why)}", error=True)
