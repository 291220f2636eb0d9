"""One process: the daemon, its control API and the supervised local server, started and stopped in order."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from filelock import FileLock, Timeout

from service.desktop_notifications import Notifications
from service.engines.accounts import CloudConnector, cloud_account, local_account
from service.engines.local import LocalServer
from service.hooks import Hooks
from service.os_service.sd_notify import Notifier, status_line
from service.signals import stop_signals
from watcher.clock import SystemClock
from watcher.config import load_config
from watcher.daemon import Daemon
from watcher.errors import AlreadyRunning, ConfigError, OutputError
from watcher.events import Event
from watcher.logs import get_logger
from watcher.paths import StatePaths
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


class Host:
    """Runs everything that belongs to one state directory.

    Args:
        config: validated.
        config_file: where it was read from, to follow its changes; None where there is no such file.
        once: whether to end when everything that is there has come to its end.
        serve_control: whether to offer the control API and the status page.
        observers: coroutines that follow the daemon (a progress display, notifications, …).
        timings: all pauses.
    """

    def __init__(
        self,
        config: Config,
        *,
        config_file: Path | None = None,
        once: bool = False,
        serve_control: bool = True,
        observers: tuple[Callable[[Control], Awaitable[None]], ...] = (),
        timings: Timings = DEFAULT,
    ) -> None:
        self.paths = StatePaths(config.state_path)
        self._config = self._settle_state(config)
        self._started_with = self._config
        self._config_file = config_file
        self._once = once
        self._serve_control = serve_control and not once
        self._observers = observers
        self._timings = timings
        self._notifier = Notifier.from_environment()

    async def run(self) -> Sequence[Explanation]:
        """Run until told to stop by SIGTERM, SIGINT or SIGHUP, or until done with `once`.

        Returns:
            As `Daemon.run`; nothing if it was told to stop.

        Raises:
            AlreadyRunning: another daemon has this state directory.
            LedgerError: the ledger can't be used as it is.
        """
        self.paths.create()
        async with AsyncExitStack() as stack:
            self._lock(stack)
            stack.enter_context(stop_signals(lambda _number: main.cancel()))  # first, so that it lasts longest
            clock = SystemClock()
            server = LocalServer(self._config.local, self.paths.local_server, clock=clock)
            cloud = CloudConnector(self._config)
            stack.push_async_callback(server.close)
            stack.push_async_callback(cloud.close)
            accounts = [local_account(server), cloud_account(self._config, cloud)]
            daemon = Daemon(self._config, accounts, clock=clock, timings=self._timings)
            main = asyncio.create_task(daemon.run(once=self._once), name="daemon")
            beside = [
                asyncio.create_task(server.watch_idle(), name="idle local server"),
                asyncio.create_task(self._serve(daemon), name="control"),
                asyncio.create_task(self._follow_config(daemon, cloud), name="config"),
            ]
            try:
                return await self._until_done(main, beside)
            finally:
                self._notifier.stopping()
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)

    def _watch_folders(self) -> tuple[WatchFolder, ...]:
        return self._config.watch_folders()

    def _lock(self, stack: AsyncExitStack) -> None:
        lock = FileLock(self.paths.lock, timeout=0)
        try:
            stack.enter_context(lock)
        except Timeout:
            raise AlreadyRunning(
                f"Another Dropscribe is running on {self.paths.root}.",
                fix="`dropscribe status` says what it does; `dropscribe folders add FOLDER` lets it watch one more. "
                "Or name another directory with --state-dir.",
            ) from None

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

                await stack.enter_async_context(serve_dashboard(control, self.paths, self._config.dashboard.port))
            async with asyncio.TaskGroup() as group:
                for observer in self._observers:
                    group.create_task(_see_to(observer(control)))
                group.create_task(Hooks(self._watch_folders).follow(control))
                if self._serve_control:
                    notifications = Notifications(lambda: self._config.notifications)
                    group.create_task(notifications.follow(control))
                group.create_task(_feed_watchdog(self._notifier))
                group.create_task(_tell_manager(self._notifier, control, pause=self._timings.status))
                self._notifier.ready()
                group.create_task(asyncio.Event().wait())

    def _settle_state(self, config: Config) -> Config:
        """The state directory can't change while it is in use."""
        return msgspec.structs.replace(config, state_dir=str(self.paths.root))

    async def _follow_config(self, daemon: Daemon, cloud: CloudConnector) -> None:
        """Take up changes of the config; a broken edit is reported, and the last good one stays in force."""
        file = self._config_file
        control = await daemon.ready()
        if file is None:
            return
        seen = _stamp(file)
        exists = file.exists()
        while True:
            await asyncio.sleep(self._timings.config)
            found = _stamp(file)
            if found == seen:
                continue
            seen = found
            exists = exists or file.exists()
            try:
                # Without a config the defaults hold; one that was there and is gone is a slip, or is being replaced.
                config = self._settle_state(load_config(file, required=exists))
            except ConfigError as error:
                _log.warning("the config is broken; the last good one stays in force", why=str(error))
                control.config_problem = f"{error} The last good config stays in force."
                control.bus.publish(Event("config", SystemClock().now(), {"problem": str(error)}))
                continue
            control.config_problem = _needs_restart(self._started_with, config)
            if config != self._config:
                try:
                    await daemon.reconfigure(config)
                except OutputError as error:  # the ledger's disk is full: look again
                    _log.warning("the config is taken up later", why=error.message)
                    seen = ()
                    continue
                self._config = config
                cloud.configure(config)
                _log.info("config taken up", file=str(file), folders=len(config.folders))


def _needs_restart(old: Config, new: Config) -> str:
    """Say which changed settings are taken up by the next start only; empty if there are none."""
    changed = []
    if old.local != new.local:
        changed.append("[local]")
    if old.dashboard != new.dashboard:
        changed.append("[dashboard]")
    keys = ("url", "max_uploads", "settle_listing", "delete_after_download")
    changed += [key for key in keys if getattr(old.speechmatics, key) != getattr(new.speechmatics, key)]
    return f"Restart Dropscribe to take up: {', '.join(changed)}." if changed else ""


async def _feed_watchdog(notifier: Notifier) -> None:
    """Tell the service manager that the loop turns, as often as it asked."""
    if notifier.watchdog_interval is None:
        return
    while True:
        notifier.watchdog()
        await asyncio.sleep(notifier.watchdog_interval / 2)


async def _tell_manager(notifier: Notifier, control: Control, *, pause: float) -> None:
    """Keep the service manager's status line true, looking now and then while things happen."""
    if not notifier.is_listening:
        return
    ended = False
    while not ended:
        with control.bus.subscribe() as events:  # anew each time: what happened during the pause is told together
            notifier.status(status_line(await control.snapshot()))
            ended = True
            async for event in events:
                if event.kind != "progress":
                    ended = False
                    break
        await asyncio.sleep(pause)


async def _see_to(observer: Awaitable[None]) -> None:
    await observer


def _stamp(file: Path) -> tuple[tuple[str, int, int], ...]:
    """What changes when the config or a file of its folders.d does."""
    found = []
    for each in (file, *sorted((file.parent / "folders.d").glob("*.toml"))):
        with suppress(OSError):
            status = each.stat()
            found.append((each.name, status.st_mtime_ns, status.st_size))
    return tuple(found)
