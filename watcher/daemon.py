"""The daemon. Read this first: it builds and starts the parts in the order in which a recording meets them.

FolderWatch   finds files in the watch folders, and hands them on when they are whole
Intake        probes and fingerprints them, and puts them into the ledger
Scheduler     submits and tracks them within each account's limits, and publishes their transcripts
Control       answers queries and carries out commands of the page, the tray and the command line
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

from watcher.control import Control
from watcher.events import Event, EventBus
from watcher.folders import FolderWatch, Sighting, StabilityPolicy
from watcher.ledger import Ledger, LedgerWorker, display_name, open_ledger
from watcher.logs import get_logger
from watcher.media import WORKER, Prober
from watcher.models import EntryState
from watcher.paths import StatePaths
from watcher.runtime import Runtime
from watcher.scheduler import Intake, Loop, Preparer, Requests, Scheduler
from watcher.settings import Settings
from watcher.transcripts import TranscriptStore, TranscriptWriter
from watcher.wording import display_path, strip_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from watcher.config import Config
    from watcher.folders import Explanation
    from watcher.models import Entry
    from watcher.scheduler import Account

__all__ = ["Daemon"]

_log = get_logger("daemon")
_PASSING = {EntryState.SUBMITTING, EntryState.SUBMITTED, EntryState.TRANSCRIBED, EntryState.DONE}
"""Moves that the log has no need of: the ledger keeps them, and a transcript that was written has a line of its own."""


class Daemon:
    """Everything between a watch folder and its transcripts.

    Args:
        config: validated.
        accounts: one per engine that the config uses.
        runtime: time, randomness, identifiers and threads; and all pauses.
        checkpoint: called with a name around each commit of the ledger; tests stop the process there.
        media_worker: the program that opens media in child processes.
        serves_folders: whether to watch the folders and submit their recordings, or only what is requested.

    Raises (from `run`):
        LedgerError: the ledger can't be used as it is.
    """

    def __init__(
        self,
        config: Config,
        accounts: Sequence[Account],
        *,
        runtime: Runtime | None = None,
        checkpoint: Callable[[str], None] | None = None,
        media_worker: Path = WORKER,
        serves_folders: bool = True,
    ) -> None:
        self.settings = Settings(config, serves_folders=serves_folders)
        self.paths = StatePaths(config.state_path)
        self.bus = EventBus()
        self.control: Control
        self._accounts = list(accounts)
        self._runtime = runtime or Runtime()
        self._timings = self._runtime.timings
        self._checkpoint = checkpoint
        self._media_worker = media_worker
        self._ready = asyncio.Event()
        self._new_roots: set[Path] = set()
        """Watch folders whose first scan is not in the ledger yet: what is in them was there before."""
        self._ledger: LedgerWorker | None = None
        self._watch: FolderWatch | None = None
        self._scheduler: Scheduler | None = None

    async def run(self, *, once: bool = False) -> Sequence[Explanation]:
        """Work until cancelled; with `once`, until nothing is left that can go on by itself.

        Returns:
            With `once`, the recordings that had to wait and folders that can't be read, each with the reason.
        """
        async with AsyncExitStack() as stack:
            ledger = self._ledger = await self._open_ledger(stack)
            prober = await stack.enter_async_context(Prober(script=self._media_worker))
            preparer = Preparer(self.paths.prepared, script=self._media_worker, runtime=self._runtime)
            store, writer = TranscriptStore(self.paths.transcripts), TranscriptWriter()

            watch = self._watch = self._folder_watch(ledger, once=once)
            intake = Intake(ledger, prober, writer, self._runtime)
            scheduler = self._scheduler = Scheduler(
                ledger,
                self._accounts,
                self.settings,
                store=store,
                writer=writer,
                preparer=preparer,
                bus=self.bus,
                runtime=self._runtime,
            )
            self.control = Control(
                ledger,
                watch,
                scheduler,
                store,
                self.settings,
                requests=Requests(ledger, prober, writer, self._runtime, on_new=scheduler.request),
                accounts=self._accounts,
                bus=self.bus,
                runtime=self._runtime,
            )
            baselines = Loop("baselines", lambda: self._finish_baselines(ledger, watch, intake))

            self._ready.set()
            work = [asyncio.create_task(scheduler.run(), name="scheduler")]
            if self.settings.serves_folders:
                work += [
                    asyncio.create_task(watch.run(), name="watch"),
                    asyncio.create_task(intake.run(watch), name="intake"),
                    asyncio.create_task(baselines.run(), name="baselines"),
                ]
            try:
                left = await self._until_done(work, watch, intake, scheduler, once=once)
                await self._finish_baselines(ledger, watch, intake)
                return left
            finally:
                await self._stop(work, scheduler)

    async def _open_ledger(self, stack: AsyncExitStack) -> LedgerWorker:
        """Open the ledger, to be closed with the stack, and write down the watch folders."""
        self.paths.create()
        opened = open_ledger(self.paths.ledger, backups=self.paths.backups, checkpoint=self._checkpoint)
        ledger = LedgerWorker(opened, on_moved=self._announce)
        stack.push_async_callback(ledger.close)
        stack.callback(self.bus.close)
        if self.settings.serves_folders:
            for folder in self.settings.folders:
                await ledger(Ledger.watch_root, folder.path, now=self._runtime.now())
            await self._find_new_roots(ledger)
        return ledger

    def _folder_watch(self, ledger: LedgerWorker, *, once: bool) -> FolderWatch:
        return FolderWatch(
            self.settings.folders if self.settings.serves_folders else (),
            clock=self._runtime.clock,
            known=lambda sightings: self._known(ledger, sightings),
            is_own_output=lambda path: ledger(Ledger.is_output, path),
            is_new_root=self._new_roots.__contains__,
            on_candidate=self._warm_up,
            rescan=self.settings.config.rescan,
            timings=self._timings.folders,
            policy=StabilityPolicy(incomplete=self._timings.once_incomplete) if once else None,
        )

    async def ready(self) -> Control:
        """Wait until the daemon answers questions."""
        await self._ready.wait()
        return self.control

    async def reconfigure(self, config: Config) -> None:
        """Take up a changed config while running. What needs a restart (state_dir) keeps its old value."""
        self.settings.replace(config)
        if self._ledger and self._watch and self._scheduler:
            self._scheduler.wake()  # first of all, no more is sent of what may not leave any more
            await self.control.watch_folders(self.settings.folders)
            await self._find_new_roots(self._ledger)
            await self._watch.set_folders(self.settings.folders)
            await self._scheduler.reconfigured()
        self.bus.publish(Event("config", self._runtime.now(), {"folders": len(self.settings.folders)}))

    async def _until_done(
        self,
        work: list[asyncio.Task[None]],
        watch: FolderWatch,
        intake: Intake,
        scheduler: Scheduler,
        *,
        once: bool,
    ) -> Sequence[Explanation]:
        quiet = asyncio.create_task(self._quiet(watch, intake, scheduler), name="quiet") if once else None
        try:
            while True:
                tasks: list[asyncio.Task[Any]] = [*work, quiet] if quiet else [*work]
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in work.copy():
                    if task in done:
                        task.result()  # raises what stopped it
                        work.remove(task)
                if quiet and quiet in done:
                    return quiet.result()
        finally:
            if quiet:
                quiet.cancel()

    async def _quiet(self, watch: FolderWatch, intake: Intake, scheduler: Scheduler) -> Sequence[Explanation]:
        """Wait until there is nothing to do: twice in a row, as work goes from hand to hand."""
        quiet = 0
        left: Sequence[Explanation] = ()
        while quiet < 2:  # noqa: PLR2004 - twice
            left = await watch.scan_complete()
            await intake.drained()
            quiet = quiet + 1 if await scheduler.is_quiet() else 0
            await asyncio.sleep(self._timings.once_quiet)
        return left

    async def _find_new_roots(self, ledger: LedgerWorker) -> None:
        self._new_roots |= {f.path for f in self.settings.folders if await ledger(Ledger.is_new_root, f.path)}

    async def _finish_baselines(self, ledger: LedgerWorker, watch: FolderWatch, intake: Intake) -> float:
        """Once all that was in a folder is in the ledger, what comes later is new. Folders may come later too."""
        for root in self._new_roots & watch.baselines():
            await intake.drained()
            await ledger(Ledger.finish_baseline, root)
            self._new_roots.discard(root)
        return self._timings.baseline

    async def _stop(self, work: list[asyncio.Task[None]], scheduler: Scheduler) -> None:
        """Let uploads finish for a few seconds, then cancel; nothing that is cut off is lost or paid."""
        scheduler.stop_claiming()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timings.finish_uploads):
                while scheduler.uploads and not any(task.done() for task in work):  # noqa: ASYNC110 - same
                    await asyncio.sleep(0.05)
        for task in work:
            task.cancel()
        for result in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(result, Exception):
                _log.error("a part stopped with an error", why=str(result), exc_info=result)

    async def _known(self, ledger: LedgerWorker, sightings: Sequence[Sighting]) -> Sequence[bool]:
        return await ledger(Ledger.known, [(seen.path, seen.size, seen.mtime_ns) for seen in sightings])

    def _warm_up(self, path: Path) -> None:
        """The first sign of a new recording: start what takes time to start."""
        engines = {folder.engine for folder in self.settings.folders if path.is_relative_to(folder.path)}
        for account in self._accounts:
            if account.engine in engines:
                account.connector.in_use(busy=True)

    def _announce(self, moved: list[Entry]) -> None:
        """Tell everyone about entries that moved."""
        for entry in moved:
            reason = strip_path(entry.reason, entry.path)
            log = _log.debug if entry.state in _PASSING else _log.info
            if entry.state in {EntryState.FAILED, EntryState.HELD}:
                log = _log.warning
            log(entry.state.value.lower(), file=display_path(entry.path), **({"why": reason} if reason else {}))
            data = {"uid": entry.uid, "state": entry.state.value, "name": display_name(entry.path)}
            data |= {"path": display_path(entry.path), "reason": reason, "fix": entry.fix}
            self.bus.publish(Event("entry", self._runtime.now(), data))
        if self._scheduler:
            self._scheduler.moved(moved)
