"""`dropscribe folders`: adds, lists, pauses and removes watch folders. Each has a file in `folders.d`.

The config file itself is never changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import tomli_w
import typer

from service.cli.console import print_json, say, shown
from service.cli.formats import parse_formats
from service.cli.help import Command, manual, new_group
from service.cli.settings import settings_of
from watcher.config import FolderConfig, expand, folders_dir, parse_config
from watcher.errors import UsageError
from watcher.models import Engine, Existing
from watcher.paths import default_config_file

if TYPE_CHECKING:
    from service.cli.settings import Settings

__all__ = ["app"]

app = new_group()
_BAD_CONFIG = {78: "The config can't be used (see the message)."}

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A watch folder.")]


@app.callback()
@manual(
    ("dropscribe folders add ~/Recordings", "Watch a folder from now on."),
    ("dropscribe folders list", "Show the watched folders and their settings."),
    files={str(folders_dir(default_config_file())): "A file for each folder that you added. You may edit it."},
    see=("config show", "run"),
)
def folders() -> None:
    """Add, list, pause and remove watch folders.

    A running Dropscribe applies changes by itself. Your config file is never changed.
    """


@app.command("add", cls=Command)
@manual(
    ("dropscribe folders add ~/Recordings", "Text and JSON beside each recording, transcribed on this machine."),
    ("dropscribe folders add ~/Films -f srt,vtt", "Subtitles."),
    ("dropscribe folders add ~/Reden --engine speechmatics --language de", "Use the cloud; German."),
    ("dropscribe folders add ~/Archive --existing ignore", "Ignore the files that are already in it."),
    exits=_BAD_CONFIG,
    see=("folders list", "service install", "login"),
)
def add(
    context: typer.Context,
    folder: Folder,
    engine: Annotated[
        Engine | None, typer.Option("--engine", help="Where to transcribe: on this machine, or in the cloud.")
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", metavar="L", help="The spoken language, e.g. en.")
    ] = None,
    formats: Annotated[
        str | None, typer.Option("--formats", "-f", metavar="LIST", help="e.g. txt,json-v2,srt,vtt,md")
    ] = None,
    existing: Annotated[
        Existing | None, typer.Option("--existing", help="What to do with recordings that are already there.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Create the folder if it does not exist.")] = False,
) -> None:
    """Watch a folder from now on."""
    settings = settings_of(context)
    path = expand(str(folder))
    new = create and not path.exists()
    if not new and not path.exists():
        raise UsageError(f"The folder {shown(path)} does not exist.", fix="Create it first, or add --create.")
    if not new and not path.is_dir():
        fix = f"For a single file: dropscribe transcribe {shlex.quote(shown(path))}"
        raise UsageError(f"{shown(path)} is not a folder.", fix=fix)
    if any(expand(known.path) == path for known in settings.config.folders):
        raise UsageError(f"{path} is already watched.", fix="See: dropscribe folders list")
    table: dict[str, Any] = {"path": str(path)}
    table |= {"engine": engine.value} if engine else {}
    table |= {"existing": existing.value} if existing else {}
    table |= {"formats": [each.value for each in parse_formats(formats)]} if formats is not None else {}
    table |= {"transcription": {"language": language}} if language else {}
    file = _file_of(settings, path)
    if new:
        path.mkdir(parents=True)
    _write(file, table)
    cloud = (engine or settings.config.engine) is Engine.SPEECHMATICS
    where = f"are sent to {settings.config.speechmatics.url}" if cloud else "stay on this machine"
    say(f"Watching {shown(path)}. Its recordings {where}. Its settings: {file}")
    say(_next_step(settings, cloud=cloud, language=language))


def _next_step(settings: Settings, *, cloud: bool, language: str | None) -> str:
    from service.cli.config_check import OTHER_MODEL, can_transcribe  # noqa: PLC0415 - `--help` stays quick
    from service.control.client import ControlClient  # noqa: PLC0415 - same
    from service.engines.credentials import KeyringUnavailable, find_key  # noqa: PLC0415 - same

    try:
        if cloud and not find_key(settings.config.speechmatics):
            return "Next, store your API key: dropscribe login"
    except KeyringUnavailable as error:
        return str(error)
    if not cloud and not can_transcribe(model := settings.config.local.model, language):
        return f"The model {model} knows only English. {OTHER_MODEL}"
    if ControlClient.from_state(settings.paths) is None:
        return "Not running yet. Start it in the background: dropscribe service install. Or here: dropscribe run"
    return "The running Dropscribe starts watching it within seconds."


@app.command("list", cls=Command)
@manual(("dropscribe folders list", "One line per folder."), exits=_BAD_CONFIG, see=("folders add", "status"))
def list_folders(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the watched folders."""
    folders = settings_of(context).config.watch_folders()
    if as_json:
        print_json([{"path": str(f.path), "engine": f.engine.value, "paused": f.paused} for f in folders])
        return
    for folder in folders:
        trouble = "" if folder.path.is_dir() else "  (missing; Dropscribe waits for it)"
        formats = ", ".join(form.value for form in folder.formats)
        say(f"{folder.path}  {folder.engine.value}  {formats}{'  paused' if folder.paused else ''}{trouble}")
    if not folders:
        say("No folders yet. Add one: dropscribe folders add ~/Recordings")


@app.command("remove", cls=Command)
@manual(("dropscribe folders remove ~/Recordings", "Stop watching it."), exits=_BAD_CONFIG, see=("folders pause",))
def remove(context: typer.Context, folder: Folder) -> None:
    """Stop watching a folder. Its recordings and transcripts stay."""
    settings = settings_of(context)
    file, _ = _own_file(settings, expand(str(folder)))
    file.unlink()
    say(f"No longer watching {expand(str(folder))}. Its files stay as they are.")


@app.command("pause", cls=Command)
@manual(
    ("dropscribe folders pause ~/Recordings", "Find recordings, but submit none."),
    exits=_BAD_CONFIG,
    see=("folders resume", "pause"),
)
def pause(context: typer.Context, folder: Folder) -> None:
    """Submit nothing from a folder until you resume it."""
    _set_paused(settings_of(context), expand(str(folder)), paused=True)


@app.command("resume", cls=Command)
@manual(
    ("dropscribe folders resume ~/Recordings", "Submit its recordings again."),
    exits=_BAD_CONFIG,
    see=("folders pause",),
)
def resume(context: typer.Context, folder: Folder) -> None:
    """Resume a paused folder."""
    _set_paused(settings_of(context), expand(str(folder)), paused=False)


def _set_paused(settings: Settings, path: Path, *, paused: bool) -> None:
    file, table = _own_file(settings, path)
    _write(
        file,
        {**{key: value for key, value in table.items() if key != "paused"}, **({"paused": True} if paused else {})},
    )
    say(f"{'Paused' if paused else 'Resumed'} {path}.")


def _file_of(settings: Settings, path: Path) -> Path:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", path.name).strip("-")[:40] or "folder"
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    return folders_dir(settings.config_file) / f"{plain}-{digest}.toml"


def _own_file(settings: Settings, path: Path) -> tuple[Path, dict[str, Any]]:
    """The file in folders.d that names this folder, and its table."""
    folder = folders_dir(settings.config_file)
    for file in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
        config = parse_config(file.read_text(encoding="utf-8"), file=file)
        if [expand(found.path) for found in config.folders] == [path]:
            return file, _changed(config.folders[0])
    if any(expand(found.path) == path for found in settings.config.folders):
        raise UsageError(f"{path} is set in {settings.config_file}, which is yours to edit.", fix="Change it there.")
    raise UsageError(f"{path} is not watched.", fix="See: dropscribe folders list")


def _changed(folder: FolderConfig) -> dict[str, Any]:
    """The settings of a folder that differ from the defaults."""
    plain = msgspec.to_builtins(folder)
    default = msgspec.to_builtins(FolderConfig(path=""))
    return {key: value for key, value in plain.items() if value != default[key]}


def _write(file: Path, table: dict[str, Any]) -> None:
    text = tomli_w.dumps({"folders": [table]})
    parse_config(text, file=file)  # never write a file that can't be read
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
