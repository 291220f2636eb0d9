"""`dropscribe transcribe FILE…`: one-off, without a watch folder."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import live_stderr, say, shown
from service.cli.formats import parse_formats
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.config import expand
from watcher.errors import AlreadyRunning, UsageError
from watcher.models import Engine

if TYPE_CHECKING:
    from signal import Signals

    from service.cli.requests import Server
    from service.cli.settings import Settings
    from watcher.control import Control
    from watcher.scheduler import Request

__all__ = ["transcribe"]

_LOOK = 0.5
"""Seconds between two looks whether another Dropscribe has finished."""


@manual(
    ("dropscribe transcribe talk.mp3", "Write talk.txt beside it."),
    ("dropscribe transcribe -f txt,srt -o subtitles *.mp4", "Text and subtitles of films, into a folder."),
    ("dropscribe transcribe --engine speechmatics --language de rede.wav", "With the cloud, in German."),
    exits={
        1: "At least one recording was not transcribed; the reason was printed.",
        78: "The config or the ledger can't be used.",
        143: "It was stopped by SIGTERM (129: SIGHUP, 130: Ctrl-C). Unfinished recordings continue with the next call.",
    },
    environment={"SPEECHMATICS_API_KEY": "The API key, with `--engine speechmatics`."},
    see=("run", "cancel", "login"),
)
def transcribe(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write here instead of beside each recording.")
    ] = None,
    formats: Annotated[str, typer.Option("--formats", "-f", metavar="LIST", help="txt, json-v2, srt, vtt, md")] = "txt",
    engine: Annotated[Engine | None, typer.Option("--engine", help="local, or speechmatics: the cloud.")] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="L", help="What is spoken, e.g. en.")] = None,
) -> int:
    """Transcribe recordings now, without a watch folder.

    Prints the path of each transcript, one per line. Existing files are never overwritten. Progress is shown on
    standard error. With --engine speechmatics, this command is your consent to send these recordings.

    If a daemon is running, it does the work. Otherwise this command does; a second `transcribe` waits for the first.
    Both use the same ledger, so nothing is paid twice: a recording that was transcribed before with the same settings
    is written again from the stored transcript, and an interrupted one continues where it stopped, with the next call
    for the same file or in the daemon. `dropscribe cancel` cancels it.

    Transcripts are named after the recording. If FILE is a link, they are named after the file that it points to, and
    written beside the link.
    """
    wanted = parse_formats(formats)
    if language is not None and not language.strip():
        raise UsageError("--language is empty.", fix="For example: --language en")
    settings = settings_of(context)
    job = dict(settings.config.transcription) | ({"language": language} if language else {})
    paths = [expand(str(file)) for file in files]
    for path in paths:
        if path.is_dir():
            fix = f"For all that is in it: dropscribe run --once {shlex.quote(shown(path))}"
            raise UsageError(f"{shown(path)} is a folder.", fix=fix)
        if not path.is_file():
            raise UsageError(
                f"There is no file {shown(path)}." if not path.exists() else f"{shown(path)} is not a regular file."
            )
    chosen = engine or settings.config.engine
    target = expand(str(output)) if output else None
    if target is not None and target.exists() and not target.is_dir():
        raise UsageError(f"{shown(target)} is not a folder.")
    from watcher.scheduler import Request  # noqa: PLC0415 - heavy, and `--help` doesn't need it

    # A link that a person names is followed; its transcript is written beside the link.
    requests = [(path, Request(path.resolve(), chosen, job, wanted, target or path.parent)) for path in paths]
    return asyncio.run(_transcribe(settings, requests))


async def _transcribe(settings: Settings, requests: list[tuple[Path, Request]]) -> int:
    """Transcribe the files; returns the exit status."""
    from service.signals import exit_status, stop_signals  # noqa: PLC0415 - heavy, and `--help` doesn't need it

    work = asyncio.create_task(_transcribe_all(settings, requests), name="transcribe")
    stopped_by: list[Signals] = []

    def stop(number: Signals) -> None:
        if not stopped_by:  # whoever insists doesn't end the cleaning up
            work.cancel()
        stopped_by.append(number)

    failed = True
    with stop_signals(stop):
        try:
            failed = bool(await work)
        except (asyncio.CancelledError, OSError):  # with the terminal gone, nothing can be printed on it any more
            if not stopped_by:
                raise
    return exit_status(stopped_by[0]) if failed and stopped_by else int(failed)


async def _transcribe_all(settings: Settings, requests: list[tuple[Path, Request]]) -> int:
    """Have the requests served by the daemon that runs, or else by one in this process; returns how many failed."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - heavy, and `--help` doesn't need it

    from service.cli.progress import open_display  # noqa: PLC0415 - same
    from service.cli.requests import InDaemon, InProcess, Session  # noqa: PLC0415 - same
    from service.control.client import ControlClient  # noqa: PLC0415 - same
    from service.host import Host  # noqa: PLC0415 - same
    from watcher import logs  # noqa: PLC0415 - same

    logs.configure(verbose=settings.verbose, quiet=True, stream=live_stderr())
    config, paths = settings.config, settings.paths
    paths.create()
    with open_display() as display:
        session = Session(display)

        async def serve(server: Server) -> None:
            await session.run(server, requests)

        async def serve_here(control: Control) -> None:
            await serve(InProcess(control))

        said = False
        while True:
            if (client := ControlClient.from_state(paths)) is not None:
                await serve(InDaemon(client))
                return session.failed
            with suppress(Timeout, AlreadyRunning), FileLock(paths.transcribe_lock, timeout=0):
                await Host(config, work=serve_here).run()
                return session.failed
            if not said:
                with display.hidden():
                    say("Waiting for another Dropscribe process to finish.", error=True)
            said = True
            await asyncio.sleep(_LOOK)
