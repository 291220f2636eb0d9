"""One process: the daemon, its control API and the supervised local server, started and stopped in order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from filelock import FileLock, Timeout

from service.config_reload import ConfigReload
from service.desktop_notifications import Notifications
from service.engines.accounts import CloudConnector, cloud_account, local_account
from service.engines.local import LocalServer
from service.hooks import Hooks
from service.os_service.sd_notify import Notifier, report_status
from service.signals import stop_signals
from watcher.clock import SystemClock
from watcher.daemon import Daemon
from watcher.errors import AlreadyRunning
from watcher.logs import get_logger
from watcher.paths import StatePaths
from watcher.runtime import Runtime
from watcher.timings import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from watcher.config import Config
    from watcher.control import Control
    from watcher.folders import Explanation
    from watcher.models import WatchFolder
    from watcher.timings import Timings

__all__ = ["Host"]

_log = get_logger("host")
_LOCK_LOOK = 0.5
"""Seconds between two looks whether `dropscribe transcribe` has finished."""


class Host:
    """Runs everything that belongs to one state directory.

    Args:
        config: validated.
        config_file: where it was read from; changes of it are applied. None if it doesn't come from a file.
        once: whether to exit when all recordings are finished.
        serve_control: whether to offer the control API and the status page; `once` offers neither.
        observers: coroutines that follow the daemon, for example a progress display.
        work: what to do instead of serving the watch folders; the run ends with it, and the caller sees to signals.
    """

    def __init__(
        self,
        config: Config,
        *,
        config_file: Path | None = None,
        once: bool = False,
        serve_control: bool = True,
        observers: tuple[Callable[[Control], Awaitable[None]], ...] = (),
        work: Callable[[Control], Awaitable[None]] | None = None,
        timings: Timings = DEFAULT,
    ) -> None:
        self.paths = StatePaths(config.state_path)
        self._clock = SystemClock()
        config = msgspec.structs.replace(config, state_dir=str(self.paths.root))
        self._config = ConfigReload(config, config_file, clock=self._clock, interval=timings.config)
        self._once = once
        self._work = work
        self._serve_control = serve_control and not once and work is None
        self._observers = observers
        self._timings = timings
        self._notifier = Notifier.from_environment()

    async def run(self) -> Sequence[Explanation]:
        """Run until SIGTERM, SIGINT or SIGHUP, or with `once` until everything is finished.

        Returns:
            As `Daemon.run`; nothing if a signal stopped it.

        Raises:
            AlreadyRunning: another daemon uses this state directory.
            LedgerError: the ledger can't be used.
        """
        self.paths.create()
        async with AsyncExitStack() as stack:
            await self._lock(stack)
            if self._work is None:
                stack.enter_context(stop_signals(lambda _number: main.cancel()))  # first, so that it lasts longest
            config = self._config.current
            server = LocalServer(config.local, self.paths.local_server, clock=self._clock)
            cloud = CloudConnector(config)
            stack.push_async_callback(server.close)
            stack.push_async_callback(cloud.close)
            accounts = [local_account(server), cloud_account(config, cloud)]
            runtime = Runtime(clock=self._clock, timings=self._timings)
            daemon = Daemon(config, accounts, runtime=runtime, serves_folders=self._work is None)
            main = asyncio.create_task(daemon.run(once=self._once), name="daemon")
            beside = [
                asyncio.create_task(server.watch_idle(), name="idle local server"),
                asyncio.create_task(self._serve(daemon), name="control"),
                asyncio.create_task(self._follow_config(daemon, cloud), name="config"),
            ]
            if self._work:
                beside.append(asyncio.create_task(_do(self._work, daemon, main), name="work"))
            try:
                return await self._until_done(main, beside)
            finally:
                self._notifier.stopping()
                for task in (main, *beside):
                    task.cancel()
                await asyncio.gather(main, *beside, return_exceptions=True)

    def _watch_folders(self) -> tuple[WatchFolder, ...]:
        return self._config.current.watch_folders()

    async def _lock(self, stack: AsyncExitStack) -> None:
        """Keep the state directory to this process; wait for a `dropscribe transcribe` that uses it."""
        said = False
        while not self._is_locked(stack):
            if self._work is None and self._is_transcribing():
                if not said:
                    _log.info("waiting for `dropscribe transcribe` to finish", state=str(self.paths.root))
                said = True
                await asyncio.sleep(_LOCK_LOOK)
                continue
            if self._is_locked(stack):  # it finished between the two looks
                return
            raise AlreadyRunning(
                f"Another Dropscribe is running on {self.paths.root}.",
                fix="`dropscribe status` shows what it is doing; `dropscribe folders add FOLDER` adds a folder to it. "
                "Or name another directory with --state-dir.",
            )

    def _is_locked(self, stack: AsyncExitStack) -> bool:
        """Take the lock; returns whether that worked."""
        try:
            stack.enter_context(FileLock(self.paths.lock, timeout=0))
        except Timeout:
            return False
        return True

    def _is_transcribing(self) -> bool:
        try:
            with FileLock(self.paths.transcribe_lock, timeout=0):
                return False
        except Timeout:
            return True

    async def _until_done(
        self, main: asyncio.Task[Sequence[Explanation]], beside: list[asyncio.Task[None]]
    ) -> Sequence[Explanation]:
        waiting: set[asyncio.Task[Any]] = {main, *beside}
        while main in waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {main}:
                if not task.cancelled() and (error := task.exception()):
                    main.cancel()
                    await asyncio.gather(main, return_exceptions=True)
                    raise error
        with suppress(asyncio.CancelledError):
            return await main
        return ()

    async def _serve(self, daemon: Daemon) -> None:
        """Offer the control API, and let the observers follow."""
        control = await daemon.ready()
        async with AsyncExitStack() as stack:
            if self._serve_control:
                from service.control.server import serve_dashboard  # noqa: PLC0415 - `run --once` needs no server

                await stack.enter_async_context(
                    serve_dashboard(control, self.paths, self._config.current.dashboard.port)
                )
            async with asyncio.TaskGroup() as group:
                for observer in self._observers:
                    group.create_task(_see_to(observer(control)))
                group.create_task(Hooks(self._watch_folders).follow(control))
                if self._serve_control:
                    notifications = Notifications(lambda: self._config.current.notifications)
                    group.create_task(notifications.follow(control))
                group.create_task(self._notifier.feed_watchdog())
                group.create_task(report_status(self._notifier, control, pause=self._timings.status))
                self._notifier.ready()
                group.create_task(asyncio.Event().wait())

    async def _follow_config(self, daemon: Daemon, cloud: CloudConnector) -> None:
        async def apply(config: Config) -> None:
            await daemon.reconfigure(config)
            cloud.configure(config)

        await self._config.follow(await daemon.ready(), apply)


async def _do(
    work: Callable[[Control], Awaitable[None]], daemon: Daemon, main: asyncio.Task[Sequence[Explanation]]
) -> None:
    """Do the work that the daemon was started for, then end the daemon."""
    await work(await daemon.ready())
    main.cancel()


async def _see_to(observer: Awaitable[None]) -> None:
    await observer
