"""What watching folders takes from the operating system, in one value: files, threads and events.

With other parts in it, a `FolderWatch` runs on one thread, on files in memory and on virtual time.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from watcher.folders.disk import DISK, Files
from watcher.folders.events.observer import EventObserver, FileEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

__all__ = ["SYSTEM", "FolderSystem", "Observer"]


class Observer(Protocol):
    """Reports OS events for folders; see `EventObserver`."""

    def watch(self, root: Path, *, recursive: bool) -> None:
        """Start watching a root. Blocking; raises OSError if that is impossible."""

    def unwatch(self, root: Path) -> None:
        """Stop watching a root. Blocking."""

    def is_alive(self, root: Path) -> bool:
        """Whether events of a root still arrive."""

    def stop(self) -> None:
        """Stop watching all roots. Blocking."""


def _one_thread() -> Executor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="folder")


@dataclass(frozen=True, slots=True)
class FolderSystem:
    """The operating system, as far as watching folders needs it.

    Attributes:
        files: the file system.
        new_executor: makes a thread that runs one folder's file access, so that a dead share blocks no other folder.
        in_thread: calls a blocking function in any thread.
        new_observer: makes an observer that passes events to the given function, on any thread.
    """

    files: Files = DISK
    new_executor: Callable[[], Executor] = _one_thread
    in_thread: Callable[..., Awaitable[object]] = asyncio.to_thread
    new_observer: Callable[[Callable[[FileEvent], None]], Observer] = EventObserver


SYSTEM = FolderSystem()
