"""`dropscribe transcribe FILE…`: one-off, without a watch folder."""

from __future__ import annotations

import asyncio
import shlex
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import live_stderr, one_line, say, shown
from service.cli.formats import parse_formats
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.config import expand
from watcher.errors import DropscribeError, UsageError
from watcher.models import Engine, OutputFormat

if TYPE_CHECKING:
    from signal import Signals

    from service.cli.progress import Display
    from watcher.config import Config
    from watcher.media import Prober
    from watcher.scheduler import Account, Preparer
    from watcher.speechmatics import AsyncClient, JobConfig
    from watcher.transcripts import TranscriptWriter

__all__ = ["transcribe"]

_TICK = 1.0


@manual(
    ("dropscribe transcribe talk.mp3", "Write talk.txt beside it."),
    ("dropscribe transcribe -f txt,srt -o subtitles *.mp4", "Text and subtitles of films, into a folder."),
    ("dropscribe transcribe --engine speechmatics --language de rede.wav", "With the cloud, in German."),
    exits={
        1: "At least one recording was not transcribed; the reason was printed.",
        78: "The config can't be used.",
        143: "It was stopped by SIGTERM (129: by SIGHUP, 130: by Ctrl-C). No copy of a recording stays behind.",
    },
    environment={"SPEECHMATICS_API_KEY": "The API key, with `--engine speechmatics`."},
    see=("run", "login"),
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

    Prints the path of each transcript that was written, one per line. Nothing that exists is overwritten. Progress is
    shown on standard error.
    """
    wanted = parse_formats(formats)
    settings = settings_of(context)
    job = dict(settings.config.transcription) | ({"language": language} if language else {})
    paths = [expand(str(file)) for file in files]
    for path in paths:
        if path.is_dir():
            fix = f"For all that is in it: dropscribe run --once {shlex.quote(shown(path))}"
            raise UsageError(f"{shown(path)} is a folder.", fix=fix)
        if not path.is_file():
            raise UsageError(f"There is no file {shown(path)}." if not path.exists() else f"{shown(path)} is no file.")
    chosen = engine or settings.config.engine
    target = expand(str(output)) if output else None
    return asyncio.run(_transcribe(settings.config, chosen, _Request(paths, target, wanted, job)))


@dataclass
class _Request:
    """What the command line asks for."""

    files: list[Path]
    target: Path | None
    formats: tuple[OutputFormat, ...]
    job: dict[str, object]


async def _transcribe(config: Config, engine: Engine, request: _Request) -> int:
    """Transcribe the files; returns the exit status. A signal that asks to stop leaves nothing behind, either."""
    from service.signals import exit_status, stop_signals  # noqa: PLC0415 - heavy, and `--help` doesn't need it

    work = asyncio.create_task(_transcribe_all(config, engine, request), name="transcribe")
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


async def _transcribe_all(config: Config, engine: Engine, request: _Request) -> int:
    from service.cli.progress import open_display  # noqa: PLC0415 - heavy, and `--help` doesn't need it
    from service.cli.work_folder import work_folder  # noqa: PLC0415
    from watcher import logs  # noqa: PLC0415
    from watcher.media import Prober  # noqa: PLC0415
    from watcher.scheduler import Preparer  # noqa: PLC0415
    from watcher.transcripts import TranscriptWriter  # noqa: PLC0415
    from watcher.wording import strip_path  # noqa: PLC0415

    logs.configure(stream=live_stderr())
    bad = 0
    async with AsyncExitStack() as stack:
        work = stack.enter_context(work_folder())
        account = await _open_account(config, engine, work, stack)
        prober = await stack.enter_async_context(Prober())
        display = stack.enter_context(open_display())
        one = _OneOff(account, prober, Preparer(work), TranscriptWriter(), display)
        for file in request.files:
            try:
                written = await one.run(file, request.target or file.parent, request.formats, request.job)
            except DropscribeError as error:
                bad += 1
                with display.hidden():
                    say(f"{shown(file)}: {one_line(strip_path(str(error), file))}", error=True)
            else:
                with display.hidden():
                    for path in written:
                        say(shown(path))
    return 1 if bad else 0


async def _open_account(config: Config, engine: Engine, work: Path, stack: AsyncExitStack) -> Account:
    from service.engines.accounts import CloudConnector, cloud_account, local_account  # noqa: PLC0415
    from service.engines.local import LocalServer  # noqa: PLC0415
    from watcher.clock import SystemClock  # noqa: PLC0415

    if engine is Engine.SPEECHMATICS:
        connector = CloudConnector(config)
        stack.push_async_callback(connector.close)
        return cloud_account(config, connector)
    data = work / "server"
    data.mkdir()
    server = LocalServer(config.local, data, clock=SystemClock())
    stack.push_async_callback(server.close)
    server.in_use(busy=True)
    return local_account(server)


class _OneOff:
    """Takes one file after the other from the disk to its outputs."""

    def __init__(
        self, account: Account, prober: Prober, preparer: Preparer, writer: TranscriptWriter, display: Display
    ) -> None:
        self._account = account
        self._prober = prober
        self._preparer = preparer
        self._writer = writer
        self._display = display

    async def run(
        self, file: Path, folder: Path, formats: tuple[OutputFormat, ...], job: dict[str, object]
    ) -> list[Path]:
        """Transcribe one file; returns the paths of its outputs.

        Raises:
            DropscribeError: it can't be transcribed or written.
        """
        row = _Row(self._display, file)
        ticking = asyncio.create_task(row.tick(), name="progress")
        try:
            return await self._run(file, folder, formats, job, row)
        finally:
            ticking.cancel()
            row.remove()

    async def _run(
        self, file: Path, folder: Path, formats: tuple[OutputFormat, ...], job: dict[str, object], row: _Row
    ) -> list[Path]:
        from watcher.speechmatics import ConfigurationError, SpeechmaticsError  # noqa: PLC0415
        from watcher.transcripts import needed_originals, render  # noqa: PLC0415

        job_id = None
        try:
            media = await self._prober.probe(file)
            self._writer.check(folder, 1_000_000)
            client = await self._account.connector.connect()
            originals = {}
            config = _job_config(job)
            ready = self._preparer.ready(
                file, media, limit=self._account.upload_limit, progress=lambda share: row.show("preparing", share)
            )
            async with ready as source:
                submitted = await client.submit_job(
                    source, config=config, progress=lambda sent, total: row.show("uploading", sent / max(total, 1))
                )
            job_id = submitted.id
            await self._wait(client, job_id, row, media.duration)
            for form in needed_originals(formats):
                originals[form] = await client.get_transcript(job_id, form.value)
        except ConfigurationError as error:
            raise DropscribeError(str(error), fix="Keep a key with `dropscribe login`.") from error
        except (SpeechmaticsError, asyncio.CancelledError) as error:
            paid = job_id is not None and self._account.engine is Engine.SPEECHMATICS
            if paid:  # nobody here remembers it: a watch folder would have
                with self._display.hidden():
                    say(f"{shown(file)}: it was submitted as job {job_id}, which goes on at the service.", error=True)
            if isinstance(error, asyncio.CancelledError):
                raise
            fix = "Look at that job before you try again: another one costs again." if paid else ""
            raise DropscribeError(str(error), fix=fix) from error
        contents = {form: render(form, originals) for form in formats}
        return [output.path for output in self._writer.publish(file, folder, contents)]

    async def _wait(self, client: AsyncClient, job_id: str, row: _Row, duration: float | None) -> None:
        """Wait until a job is done, however long that takes, and show how far it is where the server tells."""
        row.show("transcribing")
        asking: asyncio.Task[None] | None = None
        if self._account.tells_progress:
            asking = asyncio.create_task(_show_progress(client, job_id, row, duration), name="ask for progress")
        try:
            await client.wait_for_completion(job_id, polling_interval=1.0, timeout=None)
        finally:
            if asking is not None:
                asking.cancel()


class _Row:
    """What the display shows about one file."""

    def __init__(self, display: Display, file: Path) -> None:
        self._display = display
        self._file = file
        self.show("preparing")

    def show(self, doing: str, share: float | None = None) -> None:
        """Show what is done with the file, and how much of it is done, 0 to 1, if that is known."""
        self._doing, self._share = doing, share
        self._display.show(str(self._file), self._file.name, doing, share)

    async def tick(self) -> None:
        """Show the same again every second: time passes even where nothing is known; cancel to stop."""
        while True:
            await asyncio.sleep(_TICK)
            self.show(self._doing, self._share)

    def remove(self) -> None:
        """Show nothing more of the file."""
        self._display.remove(str(self._file))


async def _show_progress(client: AsyncClient, job_id: str, row: _Row, duration: float | None) -> None:
    from watcher.scheduler import read_progress  # noqa: PLC0415
    from watcher.wording import progress_text  # noqa: PLC0415

    while True:
        found = await read_progress(client, job_id)
        if found is not None and found.ahead:
            row.show(f"waiting, {found.ahead} ahead of it")
        elif found is not None and found.seconds_done is not None:
            known = replace(found, duration=found.duration or duration)
            row.show(f"transcribing, {progress_text(found.seconds_done, known.duration)}", known.share)
        await asyncio.sleep(_TICK)


def _job_config(job: dict[str, object]) -> JobConfig:
    from watcher.speechmatics import JobConfig  # noqa: PLC0415

    return JobConfig.from_dict({"type": "transcription", "transcription_config": job})
