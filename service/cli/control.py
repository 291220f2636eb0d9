"""The commands that change what happens: `retry`, `cancel`, `dismiss`, `pause` and `resume`."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.console import one_line, print_json, say, shown
from service.cli.daemon import Source, explain_file, open_source
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.config import expand
from watcher.errors import DropscribeError, UsageError, sentences

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cancel", "pause", "resume", "retry"]

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings.")]
_LONGEST_PAUSE = 60 * 24 * 366  # minutes
_NO_DAEMON = {1: "No daemon is running."}
_ORDER_EXITS = {1: "No daemon is running, or it refused one of the files (see the message)."}


@manual(
    ("dropscribe retry talk.mp3", "Try it again with its folder's current settings."),
    exits=_ORDER_EXITS,
    see=("jobs", "explain"),
)
def retry(context: typer.Context, files: Files) -> int:
    """Transcribe recordings again.

    For recordings that are done, failed, skipped, cancelled or held. A held one may have been billed already, and is
    billed again; `dropscribe explain` tells you why it is held.
    """
    return _order(context, files, lambda source, uid: source.retry(uid))


@manual(
    ("dropscribe cancel talk.mp3", "Stop transcribing it. Its job at the service is deleted if possible."),
    exits={
        1: "One of the files was refused (see the message).",
        78: "The ledger can't be used, or another Dropscribe process (`run --once` or `transcribe`) is using it.",
    },
    see=("retry", "pause"),
)
def cancel(context: typer.Context, files: Files) -> int:
    """Stop transcribing recordings that are not done yet.

    Works without a running daemon too: the job at the service is then deleted when one runs.
    """
    return _order(context, files, lambda source, uid: source.cancel(uid), ledger_writes=True)


@manual(
    ("dropscribe dismiss talk.mp3", "It stays failed, but no longer needs your attention."),
    ("dropscribe dismiss --all", "The same for all failed recordings."),
    exits={
        1: "One of the files was refused (see the message).",
        78: "The ledger can't be used, or another Dropscribe process (`run --once` or `transcribe`) is using it.",
    },
    see=("jobs", "retry", "cancel"),
)
def dismiss(
    context: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE…", help="Failed recordings.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All failed recordings.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the dismissed recordings as JSON.")] = False,
) -> int:
    """Stop failed recordings from asking for your attention.

    The page, the tray icon, notifications and `dropscribe status` no longer count them. They stay in the list as
    failed; a retry that fails again needs your attention again. Works without a running daemon too. A held recording
    can't be dismissed, since it may have been paid for: retry or cancel it.
    """
    if bool(files) == every:
        raise UsageError("Name recordings, or use --all.", fix="To see what failed: dropscribe jobs --state failed")
    if files:
        return _order(
            context,
            files,
            lambda source, uid: source.dismiss(uid),
            ledger_writes=True,
            as_json=as_json,
            done="dismissed",
        )
    with open_source(settings_of(context), ledger_writes=True) as source:
        dismissed = source.dismiss_all()
    if as_json:
        print_json(dismissed)
    else:
        many = f"{len(dismissed):,} failed recording{'' if len(dismissed) == 1 else 's'}"
        say(f"Dismissed {many}." if dismissed else "Nothing to dismiss.")
    return 0


def _order(
    context: typer.Context,
    files: list[Path],
    order: Callable[[Source, str], dict[str, Any]],
    *,
    ledger_writes: bool = False,
    as_json: bool = False,
    done: str = "",
) -> int:
    """Send a request for each file; returns the exit status.

    Args:
        context: of the command.
        files: recordings.
        order: sends the request for a uid and returns the entry.
        ledger_writes: without a daemon, the ledger is changed directly.
        as_json: print the entries as JSON.
        done: what was done, if the entry's state doesn't show it.
    """
    bad = 0
    ordered = []
    with open_source(settings_of(context), orders=not ledger_writes, ledger_writes=ledger_writes) as source:
        for file in files:
            told = explain_file(source, expand(str(file)))
            if told["kind"] != "entry":
                say(f"{shown(file)}: {one_line(sentences(told['reason'], told['fix']))}", error=True)
                bad += 1
                continue
            try:
                told = order(source, told["uid"])
            except DropscribeError as error:
                if not _is_refusal(error):
                    raise
                say(one_line(str(error)), error=True)
                bad += 1
                continue
            ordered.append(told)
            if not as_json:
                what_next = told["next"].removeprefix("Nothing. ")  # it answers "What happens next?"
                say(one_line(f"{told['path']}: {sentences((done or told['state'].lower()) + '.', what_next)}"))
    if as_json:
        print_json(ordered)
    return 1 if bad else 0


def _is_refusal(error: DropscribeError) -> bool:
    """Whether a request was refused because of this recording's state; the others may still succeed."""
    from watcher.ledger.transitions import IllegalMove  # noqa: PLC0415 - heavy, and only needed here

    return isinstance(error, UsageError | IllegalMove) or getattr(error, "status", None) == HTTPStatus.CONFLICT


@manual(
    ("dropscribe pause", "Submit nothing until `dropscribe resume`."),
    ("dropscribe pause --minutes 90", "Resume automatically after an hour and a half."),
    exits=_NO_DAEMON,
    see=("resume", "folders pause"),
)
def pause(
    context: typer.Context,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", metavar="N", min=0.1, max=_LONGEST_PAUSE, help="Resume automatically after N minutes."
        ),
    ] = None,
) -> None:
    """Submit nothing until `dropscribe resume`.

    Transcripts of jobs that are already running are still fetched.
    """
    if minutes is not None and math.isnan(minutes):
        raise UsageError("`nan` is not a number of minutes.")
    until = time.time() + minutes * 60 if minutes else None
    with open_source(settings_of(context), orders=True) as source:
        source.pause(until)
    how_long = f" until {time.strftime('%Y-%m-%d %H:%M', time.localtime(until))}" if until else ""
    say(f"Paused{how_long}. To resume: dropscribe resume")


@manual(("dropscribe resume", "Submit recordings again."), exits=_NO_DAEMON, see=("pause",))
def resume(context: typer.Context) -> None:
    """Resume after `dropscribe pause`."""
    with open_source(settings_of(context), orders=True) as source:
        source.resume()
    say("Resumed.")
