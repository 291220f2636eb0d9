"""Applies changes of the config file while the daemon runs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from watcher.config import folders_dir, load_config
from watcher.errors import ConfigError, OutputError
from watcher.events import Event
from watcher.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.config import Config
    from watcher.control import Control

__all__ = ["ConfigReload", "needs_restart"]

_log = get_logger("config")


class ConfigReload:
    """Follows a config file. An edit that can't be used is reported, and the last good config stays in force.

    Args:
        config: the config that the daemon starts with. Its state directory stays in use until a restart.
        file: where the config was read from; None if it doesn't come from a file.
        clock: for the events.
        interval: seconds between two looks at the file.

    Attributes:
        current: the config in force.
    """

    def __init__(self, config: Config, file: Path | None, *, clock: Clock, interval: float) -> None:
        self.current = config
        self._at_start = config
        self._file = file
        self._clock = clock
        self._interval = interval

    async def follow(self, control: Control, apply: Callable[[Config], Awaitable[None]]) -> None:
        """Check the file for changes until cancelled.

        Args:
            control: of the daemon; shows what is wrong with the config.
            apply: puts a changed config in force. It may raise OutputError, and is then called again.
        """
        if self._file is None:
            return
        seen = _fingerprint(self._file)
        exists = self._file.exists()
        while True:
            await asyncio.sleep(self._interval)
            found = _fingerprint(self._file)
            if found == seen:
                continue
            exists = exists or self._file.exists()
            done = await self._reload(self._file, control, apply, required=exists)
            seen = found if done else ()

    async def _reload(
        self, file: Path, control: Control, apply: Callable[[Config], Awaitable[None]], *, required: bool
    ) -> bool:
        """Read the changed file and apply it; returns whether this change is dealt with.

        Args:
            file: the config.
            control: shows what is wrong.
            apply: puts the config in force.
            required: a missing file is an error: it existed before, so it was removed by mistake or is being replaced.
                Without a config file from the start, the defaults apply.
        """
        try:
            config = msgspec.structs.replace(load_config(file, required=required), state_dir=self.current.state_dir)
        except ConfigError as error:
            _log.warning("the config is broken; the last good one stays in force", why=str(error))
            control.config_problem = f"{error} The last good config stays in force."
            control.bus.publish(Event("config", self._clock.now(), {"problem": str(error)}))
            return True
        control.config_problem = needs_restart(self._at_start, config)
        if config == self.current:
            return True
        try:
            await apply(config)
        except OutputError as error:  # the disk of the ledger is full
            _log.warning("the changed config could not be applied; trying again", why=error.message)
            return False
        self.current = config
        _log.info("config reloaded", file=str(file), folders=len(config.folders))
        return True


def needs_restart(old: Config, new: Config) -> str:
    """Name the changed settings that only a restart applies; empty if there are none."""
    changed = []
    if old.local != new.local:
        changed.append("[local]")
    if old.dashboard != new.dashboard:
        changed.append("[dashboard]")
    keys = ("url", "max_uploads", "settle_listing", "delete_after_download")
    changed += [key for key in keys if getattr(old.speechmatics, key) != getattr(new.speechmatics, key)]
    return f"Restart Dropscribe to apply: {', '.join(changed)}." if changed else ""


def _fingerprint(file: Path) -> tuple[tuple[str, int, int], ...]:
    """Return a value that changes when the config or a file in its folders.d does."""
    found = []
    for each in (file, *sorted(folders_dir(file).glob("*.toml"))):
        with suppress(OSError):
            status = each.stat()
            found.append((each.name, status.st_mtime_ns, status.st_size))
    return tuple(found)
