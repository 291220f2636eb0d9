"""Runs a command, a webhook or both when a transcript is ready, as set for its watch folder.

A command gets the paths in its environment, and runs without a shell. A webhook gets them as JSON, without the text of
the transcript. Both have a time limit, are retried where that can help, and are logged. The daemon never waits for
them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watcher.errors import DropscribeError
from watcher.logs import get_logger
from watcher.models import EntryKind, EntryState
from watcher.wording import display_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    import httpx

    from watcher.control import Control
    from watcher.models import OutputFormat, WatchFolder

__all__ = ["Finished", "Hooks", "Limits", "Outcome", "environment_for", "judge_status", "next_try", "webhook_body"]

_KEPT_OUTPUT = 2000  # characters of a command's output in the log
_LATE = 0.5  # seconds for the last of the output once a command has ended
_GRACE = 2.0  # seconds between the request to end and the kill
_LONGEST_WAIT = 300.0  # seconds between two tries at most, whatever a server asks for
# Hooks must not get the API key, nor the daemon's connection to the service manager.
_WITHHELD = frozenset({"SPEECHMATICS_API_KEY", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})

log = get_logger("hooks")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for hooks.

    Attributes:
        command: seconds that a command may run.
        webhook: seconds that one call may take.
        tries: how often each is tried at most.
        first_wait: seconds before the second try; four times as long before each further one.
        at_once: how many hooks run at the same time.
    """

    command: float = 600.0
    webhook: float = 30.0
    tries: int = 4
    first_wait: float = 5.0
    at_once: int = 4


@dataclass(frozen=True, slots=True)
class Finished:
    """A transcript that is ready.

    Attributes:
        uid: of the entry.
        source: the recording.
        folder: the watch folder it is in.
        outputs: the transcript's files by format.
        done_at: unix time.
    """

    uid: str
    source: Path
    folder: Path
    outputs: Mapping[OutputFormat, Path]
    done_at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one try ended.

    Attributes:
        ok: whether it did what it should.
        why: what went wrong, for the log.
        again: whether another try could help.
        after: seconds that the other side asked to wait.
    """

    ok: bool
    why: str = ""
    again: bool = False
    after: float | None = None


def environment_for(finished: Finished, base: Mapping[str, str]) -> dict[str, str]:
    """Build a command's environment: ours, and `DROPSCRIBE_*` with the paths.

    `DROPSCRIBE_SOURCE`, `DROPSCRIBE_FOLDER`, `DROPSCRIBE_UID`, and for each format `DROPSCRIBE_OUTPUT_TXT`,
    `DROPSCRIBE_OUTPUT_JSON_V2`, …
    """
    kept = {name: value for name, value in base.items() if name not in _WITHHELD and not name.startswith("DROPSCRIBE_")}
    outputs = {
        f"DROPSCRIBE_OUTPUT_{form.value.upper().replace('-', '_')}": str(path)
        for form, path in finished.outputs.items()
    }
    places = {"DROPSCRIBE_SOURCE": str(finished.source), "DROPSCRIBE_FOLDER": str(finished.folder)}
    return {**kept, **places, "DROPSCRIBE_UID": finished.uid, **outputs}


def webhook_body(finished: Finished) -> dict[str, Any]:
    """Build the JSON that a webhook gets."""
    return {
        "event": "transcript.ready",
        "uid": finished.uid,
        "name": display_path(finished.source).rpartition("/")[2],
        "source": display_path(finished.source),
        "folder": display_path(finished.folder),
        "outputs": {form.value: display_path(path) for form, path in finished.outputs.items()},
        "done_at": finished.done_at,
    }


def judge_status(status: int, *, retry_after: str | None) -> Outcome:
    """Judge a webhook's answer by its HTTP status.

    Args:
        status: e.g. 200.
        retry_after: the header of that name; only its form in seconds is obeyed.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's success
        return Outcome(ok=True)
    if status in {408, 425, 429} or status >= 500:  # noqa: PLR2004 - HTTP's "not now"
        after = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return Outcome(ok=False, why=f"it answered with HTTP {status}", again=True, after=after)
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
        return Outcome(ok=False, why=f"it answered with HTTP {status}; redirects are not followed")
    return Outcome(ok=False, why=f"it answered with HTTP {status}")


def next_try(outcome: Outcome, *, tried: int, limits: Limits, chance: float) -> float | None:
    """Decide whether a hook is tried again.

    Args:
        outcome: of the latest try.
        tried: how many tries were made.
        limits: see there.
        chance: a random number from 0 to 1, so that hooks don't all retry at once.

    Returns:
        Seconds to wait; None: no more tries.
    """
    if outcome.ok or not outcome.again or tried >= limits.tries:
        return None
    wait = limits.first_wait * 4.0 ** (tried - 1) * (0.75 + chance / 2)
    return min(max(wait, outcome.after or 0.0), _LONGEST_WAIT)


class Hooks:
    """Runs the hooks of the watch folders.

    Args:
        folders: the watch folders as they are configured now.
        limits: see there.
        sleep: waits between two tries.
    """

    def __init__(
        self,
        folders: Callable[[], Sequence[WatchFolder]],
        *,
        limits: Limits | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._folders = folders
        self._limits = limits or Limits()
        self._sleep = sleep
        self._room = asyncio.Semaphore(self._limits.at_once)
        self._running: set[asyncio.Task[None]] = set()

    async def follow(self, control: Control) -> None:
        """Run hooks for transcripts that a running daemon finishes; an observer of `service.host.Host`.

        Returns when the daemon's events end; hooks that are still running are stopped.
        """
        try:
            with control.bus.subscribe() as events:
                async for event in events:
                    if event.kind == "entry" and event.data.get("state") == EntryState.DONE:
                        await self._begin(control, str(event.data["uid"]), event.at)
        finally:
            await self.close()

    def start(self, finished: Finished) -> None:
        """Run the hooks of a finished transcript's folder, in the background."""
        folder = next((f for f in self._folders() if f.path == finished.folder), None)
        if folder is None:
            return
        if folder.on_done:
            argv = folder.on_done
            self._spawn(lambda: self._command(argv, finished), finished, argv[0])
        if folder.webhook:
            url = folder.webhook
            # Addresses of webhooks often hold a secret, so only the host is logged.
            self._spawn(lambda: self._webhook(url, finished), finished, urlsplit(url).hostname or "webhook")

    async def close(self) -> None:
        """Stop the hooks that are still running."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def drain(self) -> None:
        """Wait until no hook is running."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _begin(self, control: Control, uid: str, at: float) -> None:
        if not any(folder.on_done or folder.webhook for folder in self._folders()):
            return
        try:
            entry, outputs = await control.model(uid), await control.outputs(uid)
        except (KeyError, DropscribeError) as error:
            log.warning("hook_skipped", uid=uid, why=str(error))
            return
        if entry.kind is EntryKind.WATCHED:  # what was requested belongs to no folder, so no folder's hooks run
            self.start(Finished(uid, entry.path, entry.root, outputs, at))

    def _spawn(self, attempt: Callable[[], Awaitable[Outcome]], finished: Finished, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._see_through(attempt, finished, name))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _see_through(self, attempt: Callable[[], Awaitable[Outcome]], finished: Finished, name: str) -> None:
        """Try until it succeeds or has no tries left."""
        tried = 0
        while True:
            async with self._room:
                outcome = await attempt()
            tried += 1
            wait = next_try(outcome, tried=tried, limits=self._limits, chance=random.random())  # noqa: S311 - jitter
            facts = {"hook": name, "file": display_path(finished.source), "tries": tried}
            if outcome.ok:
                log.info("hook_done", **facts)
                return
            if wait is None:
                log.warning("hook_failed", why=outcome.why, **facts)
                return
            log.info("hook_again", why=outcome.why, seconds=round(wait, 1), **facts)
            await self._sleep(wait)

    async def _command(self, argv: tuple[str, ...], finished: Finished) -> Outcome:
        program = os.path.expanduser(argv[0])  # noqa: ASYNC240, PTH111 - reads at most the user database
        output = _Output()
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *argv[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output.target,
                stderr=output.target,
                env=environment_for(finished, os.environ),
                cwd=finished.folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            output.close()
            return Outcome(ok=False, why=f"it can't be started: {getattr(error, 'strerror', None) or error}")
        reading = asyncio.create_task(output.read())
        try:
            async with asyncio.timeout(self._limits.command):
                status = await process.wait()
        except TimeoutError:
            return Outcome(ok=False, why=f"it did not finish within {self._limits.command:.0f} s and was stopped")
        finally:
            await _end(process)
            said = await _settle(reading)
        if status == 0:
            return Outcome(ok=True)
        return Outcome(ok=False, why=f"it exited with status {status}: {said or 'no output'}", again=True)

    async def _webhook(self, url: str, finished: Finished) -> Outcome:
        import httpx  # noqa: PLC0415 - only where there is a webhook

        try:
            async with asyncio.timeout(self._limits.webhook), httpx.AsyncClient(timeout=self._limits.webhook) as client:
                answer = await _post(client, url, webhook_body(finished))
        except TimeoutError:
            return Outcome(ok=False, why=f"no answer within {self._limits.webhook:.0f} s", again=True)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            return Outcome(ok=False, why=f"its address can't be used: {type(error).__name__}")
        except httpx.HTTPError as error:
            return Outcome(ok=False, why=f"it can't be reached: {type(error).__name__}", again=True)
        return judge_status(answer.status_code, retry_after=answer.headers.get("Retry-After"))


async def _post(client: httpx.AsyncClient, url: str, body: dict[str, Any]) -> httpx.Response:
    """Post JSON. The body of the response is not read: it may be endless."""
    async with client.stream("POST", url, json=body, follow_redirects=False) as answer:
        return answer


class _Output:
    """The last of what a command says.

    On a pipe of its own: asyncio's own pipes make `wait` wait for every process that holds them, also for one
    that the command left behind. On Windows, where asyncio can't read such a pipe, the output is dropped.
    """

    def __init__(self) -> None:
        self.target = asyncio.subprocess.DEVNULL
        self._source: int | None = None
        if sys.platform != "win32":
            self._source, self.target = os.pipe()

    def close(self) -> None:
        """Close both ends."""
        for end in (self._source, self.target):
            if end is not None and end >= 0:
                os.close(end)

    async def read(self) -> str:
        """Read until nobody holds the other end, and keep the last of it."""
        if self._source is None:
            return ""
        os.close(self.target)
        stream = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        pipe = os.fdopen(self._source, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        kept = b""
        try:
            while more := await stream.read(65536):
                kept = (kept + more)[-_KEPT_OUTPUT:]
        except asyncio.CancelledError:
            pass  # what was said so far is worth having
        finally:
            transport.close()
        return kept.decode("utf-8", "replace").strip()


async def _settle(reading: asyncio.Task[str]) -> str:
    """Take the output once the command has ended; a process that it left behind may keep the pipe open."""
    _, late = await asyncio.wait({reading}, timeout=_LATE)
    for task in late:
        task.cancel()
    return await reading


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command, and what it started, if it still runs."""
    if process.returncode is not None:
        return
    _signal(process, kill=False)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _GRACE)
    _signal(process, kill=True)  # a child may ignore the request although the command obeyed
    await process.wait()


def _signal(process: asyncio.subprocess.Process, *, kill: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
