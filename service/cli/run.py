"""`dropscribe run`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from service.cli.console import live_stderr, one_line, say, shown
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.config import Config, FolderConfig, expand
from watcher.errors import UsageError, sentences
from watcher.ledger import open_readonly
from watcher.models import EntryState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.cli.settings import Settings
    from watcher.folders import Explanation
    from watcher.paths import StatePaths

__all__ = ["run"]


@manual(
    ("dropscribe run", "Watch the folders in the config, and apply changes to it."),
    ("dropscribe run ~/Recordings", "Watch only this folder, with default settings; no config needed."),
    ("dropscribe run ~/Recordings --once", "Transcribe what is there, then exit; for cron and scripts."),
    exits={
        1: "With --once: a recording of this run was not transcribed (see the messages), or a folder is missing.",
        78: "The config or the ledger can't be used.",
    },
    environment={"SPEECHMATICS_API_KEY": "The API key for folders that use the cloud."},
    see=("folders add", "service install", "status"),
)
def run(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]…", help="Watch only these, with default settings.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Transcribe what is there, then exit.")] = False,
) -> int:
    """Watch folders and transcribe new recordings, until Ctrl-C.

    With FOLDER, no config is needed. Without it, the folders in the config are watched, and changes to the config apply
    at once. If the config has no folders yet, Dropscribe waits for the first `dropscribe folders add`.
    """
    settings = settings_of(context)
    config, file = _config_for(settings, folders or [])
    if once and not config.folders:
        raise UsageError(
            "There is no folder to watch.",
            fix="Name one: dropscribe run --once ~/Recordings. Or add one: dropscribe folders add ~/Recordings",
        )
    return asyncio.run(_run(config, file, once=once, verbose=settings.verbose))


def _config_for(settings: Settings, folders: list[Path]) -> tuple[Config, Path | None]:
    config = settings.config
    if folders:
        for folder in folders:
            _check_folder(folder)
        own = {expand(folder.path): folder for folder in config.folders}
        named = tuple(own.get(expand(str(f)), FolderConfig(path=str(expand(str(f))))) for f in folders)
        return msgspec.structs.replace(config, folders=named), None
    return config, settings.config_file


def _check_folder(folder: Path) -> None:
    path = expand(str(folder))
    if not path.exists():
        raise UsageError(f"The folder {path} does not exist.", fix=f"Create it first: mkdir -p '{path}'")
    if not path.is_dir():
        raise UsageError(f"{path} is not a folder.", fix=f"For a single file: dropscribe transcribe '{path}'")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(f"The folder {path} can't be read.", fix="Give yourself read permission.")


async def _run(config: Config, file: Path | None, *, once: bool, verbose: int) -> int:
    from service.cli.progress import follow  # noqa: PLC0415 - heavy, and `--help` doesn't need it
    from service.host import Host  # noqa: PLC0415 - same
    from watcher import logs  # noqa: PLC0415 - same

    logs.configure(verbose=verbose, stream=live_stderr())
    terminal = sys.stderr.isatty()
    if not once:
        _greet(config, terminal=terminal)
    # Progress is for a terminal, and for who waits for `--once`; in the log of a service it is noise.
    observers = (follow,) if terminal or once else ()
    host = Host(config, config_file=file, once=once, observers=observers)
    began = time.time()
    waiting = await host.run()
    if terminal and not once:
        say("Stopped. Unfinished recordings continue at the next start.", error=True)
    return _report(host.paths, config, began, waiting) if once else 0


def _greet(config: Config, *, terminal: bool) -> None:
    """Say what is watched; without a folder, say so in the log of a service, too."""
    if terminal and config.folders:
        names = ", ".join(folder.path for folder in config.folders)
        say(f"Watching {names}. Drop a recording in. Press Ctrl-C to stop.", error=True)
    elif not config.folders:
        say(
            "There is no folder to watch yet. Add one, for example with",
            error=True,
        )
        say("  dropscribe folders add ~/Recordings", error=True)
        say("Dropscribe waits until then." + (" Press Ctrl-C to stop." if terminal else ""), error=True)


def _report(paths: StatePaths, config: Config, began: float, waiting: Sequence[Explanation]) -> int:
    """Say what a `run --once` did; returns the exit status.

    Args:
        paths: of the state directory.
        config: what it ran with.
        began: when, unix time.
        waiting: what could not be taken in.
    """
    from watcher.wording import strip_path  # noqa: PLC0415 - heavy, and `--help` doesn't need it

    left = [state for state in EntryState if state.is_active]
    ledger = open_readonly(paths.ledger)
    try:
        counts = ledger.counts(since=began)
        bad = [entry for state in (EntryState.FAILED, EntryState.HELD, *left) for entry in ledger.entries(state=state)]
    finally:
        ledger.close()
    bad = [entry for entry in bad if entry.changed_at >= began or entry.state in left]
    for entry in bad:
        why = (
            sentences(strip_path(entry.reason, entry.path), entry.fix)
            or "It isn't finished; it continues at the next start."
        )
        say(f"{entry.state.value.lower()}: {shown(entry.path)}: {one_line(why)}", error=True)
    missing = [folder.path for folder in config.watch_folders() if not folder.path.is_dir()]
    waiting = [each for each in waiting if each.folder not in missing]
    for each in waiting:
        why = one_line(sentences(strip_path(each.reason, each.path), each.fix))
        say(f"waiting: {shown(each.path)}: {why}", error=True)
    for folder in missing:
        say(f"skipped: {shown(folder)} doesn't exist. Mount it, create it, or remove it from the config.", error=True)
    skipped = counts[EntryState.SKIPPED]
    no_recordings = f"; {skipped} skipped: dropscribe jobs --state skipped" if skipped else ""
    say(f"{counts[EntryState.DONE]} transcribed, {len(bad) + len(waiting)} failed{no_recordings}.", error=True)
    return 1 if bad or waiting or missing else 0
