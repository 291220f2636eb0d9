"""Shows progress: bars on a terminal, a line from time to time elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from service.cli.console import one_line, say
from watcher.wording import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from rich.console import RenderableType
    from rich.progress import Task

    from watcher.control import Control

__all__ = ["Bars", "Display", "Lines", "follow", "open_display"]

_LOOK = 0.5
_LONGEST_NAME = 28
_BESIDE_THE_BAR = 75  # columns of a line that are not the bar, at most
_NARROWEST_BAR = 8
_WIDEST_BAR = 40
_FIRST_LINE_AFTER = 10.0
_LINE_EVERY = 30.0


class Display(Protocol):
    """Shows the progress of several recordings."""

    def show(self, key: str, name: str, doing: str, share: float | None) -> None:
        """Show a recording's current state; call it again when that may have changed, and at least every few seconds.

        Args:
            key: identifies the recording.
            name: of the recording.
            doing: its activity, in a few words.
            share: how much of that is done, 0 to 1; None if unknown.
        """

    def remove(self, key: str) -> None:
        """Remove a finished recording."""

    def hidden(self) -> AbstractContextManager[None]:
        """Hide the display while lines are printed."""


@contextmanager
def open_display() -> Iterator[Display]:
    """Open a display on standard error: bars if it is a terminal that can move its cursor, else plain lines."""
    console = Console(stderr=True)
    if not (sys.stderr.isatty() and console.is_terminal) or console.is_dumb_terminal:
        yield Lines(lambda line: say(line, error=True))
        return
    bars = Bars(console)
    bars.start()
    try:
        yield bars
    finally:
        bars.stop()


class Bars:
    """A bar for each recording, with the time since its start."""

    def __init__(self, console: Console) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}: {task.fields[doing]}", markup=False),
            _Bar(console),
            _Percent(),
            TimeElapsedColumn(),
        )
        # Standard output may go to a file, so it is not redirected to the terminal.
        self._progress = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        self._tasks: dict[str, TaskID] = {}

    def start(self) -> None:
        """Start drawing."""
        self._progress.start()

    def stop(self) -> None:
        """Remove the bars and show the cursor again, even if the terminal is gone."""
        with suppress(OSError):
            self._progress.stop()

    def show(self, key: str, name: str, doing: str, share: float | None) -> None:
        """Show a recording's current state; see `Display`."""
        doing = one_line(doing)
        if key in self._tasks:
            self._progress.update(self._tasks[key], doing=doing, share=share)
            return
        # Without a total, Rich never considers the task finished, so the bar and the time keep moving.
        title = _shortened(one_line(name))
        self._tasks[key] = self._progress.add_task(title, total=None, doing=doing, share=share)

    def remove(self, key: str) -> None:
        """Remove a recording's bar."""
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Remove the bars while lines are printed."""
        self.stop()
        try:
            yield
        finally:
            self.start()


class _Bar(ProgressColumn):
    """A bar where the share is known, a moving pulse where it isn't.

    Without colors the bar has brackets, because Rich marks the remaining part by its color only.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._width = max(_NARROWEST_BAR, min(console.width - _BESIDE_THE_BAR, _WIDEST_BAR))
        self._plain = console.no_color or console.color_system is None
        self._full, self._empty = ("#", "-") if console.options.ascii_only else ("━", "┄")

    def render(self, task: Task) -> RenderableType:
        share = task.fields["share"]
        if not self._plain:
            return ProgressBar(
                total=1.0, completed=share or 0.0, pulse=not share, width=self._width, animation_time=task.get_time()
            )
        done = round(self._width * share) if share else 0
        filled = [index < done for index in range(self._width)]
        if not share:
            filled[int(task.get_time() * 4) % self._width] = True
        return Text(f"[{''.join(self._full if each else self._empty for each in filled)}]")


class _Percent(ProgressColumn):
    """The share in percent, if known."""

    def render(self, task: Task) -> Text:
        share = task.fields["share"]
        return Text("" if share is None else f"{share:4.0%}")


@dataclass
class _Shown:
    began: float
    next_line: float


class Lines:
    """A line from time to time for each recording that takes long; none for short ones.

    Args:
        write: writes a line.
        clock: monotonic time in seconds.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._shown: dict[str, _Shown] = {}

    def show(self, key: str, name: str, doing: str, share: float | None) -> None:
        """Write a line if one is due; see `Display`."""
        now = self._clock()
        known = self._shown.setdefault(key, _Shown(now, now + _FIRST_LINE_AFTER))
        if now < known.next_line:
            return
        known.next_line = now + _LINE_EVERY
        percent = "" if share is None else f" ({share:.0%})"
        self._write(f"{one_line(name)}: {one_line(doing)}{percent}, {format_duration(now - known.began)} elapsed")

    def remove(self, key: str) -> None:
        """Forget a recording."""
        self._shown.pop(key, None)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Do nothing: lines need no hiding."""
        yield


async def follow(control: Control) -> None:
    """Show a daemon's progress on standard error until cancelled."""
    shown: set[str] = set()
    with control.bus.subscribe() as events, open_display() as display:
        wake = asyncio.create_task(_first(events))
        try:
            while True:
                active = (await control.snapshot())["active"]
                shown = _show(display, shown, active)
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


def _show(display: Display, shown: set[str], active: list[dict[str, Any]]) -> set[str]:
    """Show what is active now; returns their keys."""
    keys = {entry["uid"] for entry in active}
    for uid in shown - keys:
        display.remove(uid)
    for entry in active:
        display.show(entry["uid"], entry["name"], entry["doing"], entry["progress"])
    return keys


def _shortened(name: str) -> str:
    """Shorten a long name in the middle."""
    if len(name) <= _LONGEST_NAME:
        return name
    head = (_LONGEST_NAME - 1) // 2
    return f"{name[:head]}…{name[head + 1 - _LONGEST_NAME :]}"
