"""The commands that give the running daemon orders."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import one_line, say, settings_of, shown
from service.cli.manual import manual
from service.cli.source import Source, open_source
from watcher.config import expand
from watcher.errors import UsageError, sentences

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cancel", "pause", "resume", "retry"]

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings.")]
_LONGEST_PAUSE = 60 * 24 * 366  # minutes
_NO_DAEMON = {1: "No daemon is running."}
_ORDER_EXITS = {1: "No daemon is running, or one of the files was refused, which was said."}


@manual(
    ("dropscribe retry talk.mp3", "Try it again with its folder's present settings."),
    exits=_ORDER_EXITS,
    see=("jobs", "explain"),
)
def retry(context: typer.Context, files: Files) -> int:
    """Try recordings again that did not succeed.

    They failed, were skipped or cancelled, or are held. A held one may cost again: `dropscribe explain` says why.
    """
    return _order(context, files, lambda source, uid: source.retry(uid))


@manual(
    ("dropscribe cancel talk.mp3", "Give it up. Its job at the service is deleted if that is possible."),
    exits=_ORDER_EXITS,
    see=("retry", "pause"),
)
def cancel(context: typer.Context, files: Files) -> int:
    """Give up recordings that are not done yet."""
    return _order(context, files, lambda source, uid: source.cancel(uid))


def _order(context: typer.Context, files: list[Path], order: Callable[[Source, str], dict[str, Any]]) -> int:
    bad = 0
    with open_source(settings_of(context), orders=True) as source:
        for file in files:
            told = source.explain(expand(str(file)))
            if told["kind"] != "entry":
                say(f"{shown(file)}: {one_line(sentences(told['reason'], told['fix']))}", error=True)
                bad += 1
                continue
            try:
                told = order(source, told["uid"])
            except UsageError as error:
                say(one_line(str(error)), error=True)
                bad += 1
                continue
            say(one_line(f"{told['path']}: {sentences(told['state'].lower() + '.', told['next'])}"))
    return 1 if bad else 0


@manual(
    ("dropscribe pause", "Submit nothing until `dropscribe resume`."),
    ("dropscribe pause --minutes 90", "Go on by itself after an hour and a half."),
    exits=_NO_DAEMON,
    see=("resume", "folders pause"),
)
def pause(
    context: typer.Context,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", metavar="N", min=0.1, max=_LONGEST_PAUSE, help="Go on by itself after so long."),
    ] = None,
) -> None:
    """Submit nothing until `dropscribe resume`.

    What runs at the service already is still fetched.
    """
    if minutes is not None and math.isnan(minutes):
        raise UsageError("`nan` is no number of minutes.")
    until = time.time() + minutes * 60 if minutes else None
    with open_source(settings_of(context), orders=True) as source:
        source.pause(until)
    how_long = f" until {time.strftime('%Y-%m-%d %H:%M', time.localtime(until))}" if until else ""
    say(f"Paused{how_long}. `dropscribe resume` goes on.")


@manual(("dropscribe resume", "Go on."), exits=_NO_DAEMON, see=("pause",))
def resume(context: typer.Context) -> None:
    """Go on after `dropscribe pause`."""
    with open_source(settings_of(context), orders=True) as source:
        source.resume()
    say("Going on.")
