"""What a terminal shows while the daemon works: uploads with a bar, transcriptions with the time they take."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from service.cli.context import one_line

if TYPE_CHECKING:
    from watcher.control import Control

__all__ = ["follow"]

_LOOK = 0.25


async def follow(control: Control) -> None:
    """Show progress on standard error until cancelled."""
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}
    with control.bus.subscribe() as events, progress:
        wake = asyncio.create_task(_first(events))
        try:
            while True:
                active = (await control.snapshot())["active"]
                _show(progress, tasks, active)
                if active:
                    await asyncio.sleep(_LOOK)
                    continue
                await wake
                wake = asyncio.create_task(_first(events))
        finally:
            wake.cancel()


async def _first(events: Any) -> None:  # noqa: ANN401 - a Subscription
    async for _event in events:
        return


def _show(progress: Progress, tasks: dict[str, TaskID], active: list[dict[str, Any]]) -> None:
    for uid in set(tasks) - {entry["uid"] for entry in active}:
        progress.remove_task(tasks.pop(uid))
    for entry in active:
        uid, share = entry["uid"], entry["progress"]
        words = f"{one_line(entry['name'])}: {entry['doing']}"
        if uid not in tasks:
            tasks[uid] = progress.add_task(words, total=None)
        uploading = entry["state"] == "SUBMITTING" and share is not None
        total, completed = (1.0, share) if uploading else (None, 0.0)
        progress.update(tasks[uid], description=words, total=total, completed=completed)
