"""A control API over a real ledger, store and folder watch, without engines: the test plays their part."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import zlib
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from service.control.server import serve_dashboard
from tests.support.sounds import silence, write_wav
from tests.support.waiting import PATIENCE
from watcher.clock import SystemClock
from watcher.config import Config, FolderConfig
from watcher.control import Control
from watcher.events import Event, EventBus
from watcher.folders import FolderWatch
from watcher.folders.fingerprint import fingerprint
from watcher.ledger import Ledger, LedgerWorker, open_ledger
from watcher.ledger.rows import NewEntry
from watcher.media import Prober
from watcher.models import Engine, Entry, EntryState, Fingerprint, MediaInfo, Output, OutputFormat
from watcher.paths import StatePaths
from watcher.runtime import Runtime
from watcher.scheduler import Account, Requests
from watcher.settings import Settings
from watcher.transcripts import TranscriptStore, TranscriptWriter, render
from watcher.wording import display_path

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

FORMATS = (OutputFormat.TXT, OutputFormat.JSON_V2)


@dataclass
class QuietScheduler:
    """Takes the orders that Control gives to the scheduler, and remembers them."""

    bus: EventBus
    moves: list[str] = field(default_factory=list)

    def moved(self, entries: list[Entry]) -> None:
        """Entries moved in the ledger."""
        self.moves += [entry.state.value for entry in entries]

    def ask_now(self) -> None:
        """A person wants to go on; there is nothing to ask."""

    async def refresh_holds(self) -> None:
        """Holds may have changed."""
        self.bus.publish(Event("hold", 0.0))

    def stops_all(self, _account: Account) -> str:
        """The config forbids no account."""
        return ""


class _NoConnector:
    async def connect(self) -> Any:
        raise AssertionError("no test of the page talks to an engine")

    def in_use(self, *, busy: bool) -> None:
        """Nothing to start."""


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Plant:
    """The daemon's data, and the moves that its parts would make."""

    def __init__(self, root: Path) -> None:
        self.paths = StatePaths(root / "state")
        self.paths.create()
        self.folder = root / "Recordings"
        self.folder.mkdir(exist_ok=True)
        self.clock = SystemClock()
        self.bus = EventBus()
        self.scheduler = QuietScheduler(self.bus)
        self.account = Account(Engine.LOCAL, "local", _NoConnector())
        self.store = TranscriptStore(self.paths.transcripts)
        self.config = Config(folders=(FolderConfig(path=str(self.folder)),))
        self.ledger: LedgerWorker
        self.control: Control

    async def start(self, stack: AsyncExitStack) -> Control:
        """Open the ledger and make the facade."""
        self.ledger = LedgerWorker(
            open_ledger(self.paths.ledger, backups=self.paths.backups), on_moved=self.scheduler.moved
        )
        stack.push_async_callback(self.ledger.close)
        stack.callback(self.bus.close)

        async def known(sightings):
            return await self.ledger(Ledger.known, [(seen.path, seen.size, seen.mtime_ns) for seen in sightings])

        watch = FolderWatch(self.config.watch_folders(), clock=self.clock, known=known, rescan=300.0)
        looking = asyncio.create_task(watch.run(), name="watch")
        stack.push_async_callback(_cancel, looking)
        runtime = Runtime(clock=self.clock)
        self.control = Control(
            self.ledger,
            watch,
            self.scheduler,
            self.store,
            Settings(self.config),
            requests=Requests(
                self.ledger, Prober(), TranscriptWriter(), runtime, on_new=lambda _entry: self.scheduler.ask_now()
            ),
            accounts=[self.account],
            bus=self.bus,
            runtime=runtime,
        )
        return self.control

    def record(self, name: str, *, seconds: float = 1.0) -> Path:
        """Put a real, silent recording into the watch folder."""
        path = self.folder / name
        # Two samples carry the name, so that no two recordings have the same content.
        mark = np.frombuffer(zlib.crc32(os.fsencode(name)).to_bytes(4, "little"), "<i2")
        return write_wav(path, np.concatenate([mark, silence(int(8000 * seconds))]), rate=8000)

    async def found(self, name: str, *, seconds: float = 1.0, state: EntryState = EntryState.WAITING, **why) -> Entry:
        """A recording was dropped and found."""
        path = await asyncio.to_thread(self.record, name, seconds=seconds)
        mark = await asyncio.to_thread(fingerprint, path)
        return await self.added(path, mark, seconds=seconds, state=state, **why)

    async def added(
        self,
        path: Path,
        mark: Fingerprint,
        *,
        seconds: float = 1.0,
        state: EntryState = EntryState.WAITING,
        formats: tuple[OutputFormat, ...] = FORMATS,
        reason: str = "",
        fix: str = "",
    ) -> Entry:
        """A file entered the ledger."""
        media = MediaInfo("wav", "pcm_s16le", seconds, 1, 8000)
        new = NewEntry(self.folder, path, mark, Engine.LOCAL, {"language": "en"}, formats, media, state, reason, fix)
        ((entry, _),) = await self.ledger(Ledger.add, [new], now=self.clock.now())
        self.announce(entry)
        return entry

    async def submitting(self) -> Entry:
        """The next recording is being uploaded."""
        claimed = await self.ledger(
            Ledger.claim,
            Engine.LOCAL,
            self.folder,
            account="local",
            reference=f"reference-{self.clock.monotonic()}",
            now=self.clock.now(),
            reusable=lambda *_: False,
        )
        assert claimed is not None
        self.announce(claimed[0])
        return claimed[0]

    def progress(self, entry: Entry, sent: int, total: int) -> None:
        """Its upload goes on."""
        self.account.progress[entry.id] = (sent, total)
        data = {"uid": entry.uid, "stage": "upload", "sent": sent, "total": total}
        self.bus.publish(Event("progress", self.clock.now(), data))

    async def submitted(self, entry: Entry) -> Entry:
        """The service has its job."""
        self.account.progress.pop(entry.id, None)
        attempt = await self.ledger(Ledger.latest_attempt, entry.id)
        await self.ledger(Ledger.arm, attempt, now=self.clock.now(), key="")
        entry = await self.ledger(Ledger.accept, attempt, f"job-{entry.id}", now=self.clock.now(), key="")
        self.announce(entry)
        return entry

    async def done(self, entry: Entry, originals: dict[OutputFormat, bytes]) -> Entry:
        """Its transcript came and was written beside it."""
        await asyncio.to_thread(self.store.put, entry.uid, originals)
        entry = await self.ledger(Ledger.transcribed, entry, now=self.clock.now())
        outputs = []
        for form in entry.formats:
            path = entry.path.with_suffix(form.suffix)
            await asyncio.to_thread(path.write_bytes, render(form, originals))
            outputs.append(Output(path, form, "0" * 64))
        entry = await self.ledger(Ledger.done, entry, outputs, now=self.clock.now())
        data = {"uid": entry.uid, "name": entry.path.name, "outputs": [str(o.path) for o in outputs]}
        self.announce(entry)
        self.bus.publish(Event("transcript", self.clock.now(), data))
        return entry

    async def held(self, entry: Entry, reason: str, fix: str = "") -> Entry:
        """It needs a decision."""
        entry = await self.ledger(Ledger.hold, entry, now=self.clock.now(), reason=reason, fix=fix)
        self.announce(entry)
        return entry

    async def transcribed(self, name: str, originals: dict[OutputFormat, bytes], *, seconds: float = 1.0) -> Entry:
        """The whole story of a recording, when no other waits."""
        await self.found(name, seconds=seconds)
        return await self.done(await self.submitted(await self.submitting()), originals)

    async def holds(self, name: str, reason: str, fix: str = "", until: float | None = None) -> None:
        """Submission was stopped."""
        await self.ledger(Ledger.put_hold, name, now=self.clock.now(), reason=reason, fix=fix, until=until)
        self.bus.publish(Event("hold", self.clock.now()))

    def announce(self, entry: Entry) -> None:
        """Tell the listeners that an entry moved."""
        data = {"uid": entry.uid, "state": entry.state.value, "name": entry.path.name, "path": display_path(entry.path)}
        self.bus.publish(Event("entry", self.clock.now(), {**data, "reason": entry.reason, "fix": entry.fix}))


class Running:
    """A plant that is served from an event loop in a thread of its own, for tests that block."""

    def __init__(self, root: Path, *, port: int = 0, **serving: Any) -> None:
        self._serving = serving
        self.plant = Plant(root)
        self.url = ""
        self.port = port
        self.token = ""
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._error: BaseException | None = None

    @property
    def paths(self) -> StatePaths:
        """The state directory."""
        return self.plant.paths

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine in the daemon's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def call(self, work: Any, *args: Any) -> None:
        """Call a function in the daemon's loop."""
        self._loop.call_soon_threadsafe(work, *args)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            control = await self.plant.start(stack)
            address = await stack.enter_async_context(
                serve_dashboard(control, self.plant.paths, self.port, **self._serving)
            )
            self.url, self.port = address.url, address.port
            self.token = json.loads(self.plant.paths.control.read_text())["token"]
            self._ready.set()
            await self._stop.wait()

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised in the test's thread
            self._error = error
        finally:
            self._ready.set()

    @classmethod
    @contextmanager
    def start(cls, root: Path, *, port: int = 0, **serving: Any) -> Iterator[Running]:
        """Serve for as long as the block runs; `serving` is for `serve_dashboard`."""
        running = cls(root, port=port, **serving)
        thread = threading.Thread(target=running._main, name="plant")
        thread.start()
        running._ready.wait(PATIENCE)
        try:
            if running._error:
                raise running._error
            yield running
        finally:
            with suppress(AttributeError, RuntimeError):
                running._loop.call_soon_threadsafe(running._stop.set)
            thread.join(PATIENCE)
        if running._error:
            raise running._error


def json_v2(*phrases: tuple[str, float, str]) -> bytes:
    """Make a json-v2 transcript: for each phrase its speaker, its start in seconds, and words of half a second."""
    results: list[dict[str, Any]] = []
    for speaker, start, text in phrases:
        for number, word in enumerate(text.split()):
            said, stop = (word[:-1], word[-1]) if word[-1] in ".,?!" else (word, "")
            at = round(start + number * 0.5, 3)
            times = {"start_time": at, "end_time": round(at + 0.5, 3)}
            results.append(
                {"type": "word", **times, "alternatives": [{"content": said, "confidence": 1.0, "speaker": speaker}]}
            )
            if stop:
                punctuation = {"start_time": at + 0.5, "end_time": at + 0.5, "attaches_to": "previous"}
                said_stop = {"content": stop, "confidence": 1.0, "speaker": speaker}
                results.append(
                    {"type": "punctuation", **punctuation, "is_eos": stop in ".?!", "alternatives": [said_stop]}
                )
    end = max((r["end_time"] for r in results), default=0.0)
    head = {
        "format": "2.9",
        "job": {"id": "j", "created_at": "2026-01-01T00:00:00Z", "data_name": "x", "duration": end},
    }
    return json.dumps({**head, "metadata": {"type": "transcription"}, "results": results}).encode()
