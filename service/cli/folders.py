"""`dropscribe folders`: add, list, pause and remove watch folders, one file each in `folders.d`.

What a person wrote by hand is never rewritten.
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
_BAD_CONFIG = {78: "The config can't be used; the line was said."}

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A watch folder.")]


@app.callback()
@manual(
    ("dropscribe folders add ~/Recordings", "Watch a folder from now on."),
    ("dropscribe folders list", "What is watched, and how."),
    files={str(folders_dir(default_config_file())): "One file for each folder that was added; edit it as you like."},
    see=("config show", "run"),
)
def folders() -> None:
    """Add, list, pause and remove watch folders.

    A running Dropscribe takes every change up by itself. What you wrote into the config by hand is never rewritten.
    """


@app.command("add", cls=Command)
@manual(
    ("dropscribe folders add ~/Recordings", "Text and JSON beside each recording, made on this machine."),
    ("dropscribe folders add ~/Films -f srt,vtt", "Subtitles."),
    ("dropscribe folders add ~/Reden --engine speechmatics --language de", "With the cloud, in German."),
    ("dropscribe folders add ~/Archive --existing ignore", "Leave alone what is in it now."),
    exits=_BAD_CONFIG,
    see=("folders list", "service install", "login"),
)
def add(
    context: typer.Context,
    folder: Folder,
    engine: Annotated[Engine | None, typer.Option("--engine", help="local, or speechmatics: the cloud.")] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="L", help="What is spoken, e.g. en.")] = None,
    formats: Annotated[
        str | None, typer.Option("--formats", "-f", metavar="LIST", help="e.g. txt,json-v2,srt,vtt,md")
    ] = None,
    existing: Annotated[
        Existing | None, typer.Option("--existing", help="ignore: leave alone what is there already.")
    ] = None,
    create: Annotated[bool, typer.Option("--create", help="Make the folder if it is missing.")] = False,
) -> None:
    """Watch a folder from now on."""
    settings = settings_of(context)
    path = expand(str(folder))
    if create and not path.exists():
        path.mkdir(parents=True)
    if not path.exists():
        raise UsageError(f"The folder {shown(path)} does not exist.", fix="Make it, or say --create.")
    if not path.is_dir():
        fix = f"For a single file: dropscribe transcribe {shlex.quote(shown(path))}"
        raise UsageError(f"{shown(path)} is not a folder.", fix=fix)
    if any(expand(known.path) == path for known in settings.config.folders):
        raise UsageError(f"{path} is watched already.", fix="See: dropscribe folders list")
    table: dict[str, Any] = {"path": str(path)}
    table |= {"engine": engine.value} if engine else {}
    table |= {"existing": existing.value} if existing else {}
    table |= {"formats": [each.value for each in parse_formats(formats)]} if formats is not None else {}
    table |= {"transcription": {"language": language}} if language else {}
    file = _file_of(settings, path)
    _write(file, table)
    cloud = (engine or settings.config.engine) is Engine.SPEECHMATICS
    where = f"are sent to {settings.config.speechmatics.url}" if cloud else "stay on this machine"
    say(f"Watching {shown(path)}. Its recordings {where}. Its settings: {file}")
    say(_next_step(settings, cloud=cloud, language=language))


def _next_step(settings: Settings, *, cloud: bool, language: str | None) -> str:
    from service.control.client import ControlClient  # noqa: PLC0415 - `--help` stays quick
    from service.engines.credentials import KeyringUnavailable, find_key  # noqa: PLC0415 - same

    try:
        if cloud and not find_key(settings.config.speechmatics):
            return "Now give it your API key: dropscribe login"
    except KeyringUnavailable as error:
        return str(error)
    if not cloud and language not in {None, "en"} and settings.config.local.model == "tiny.en":
        return 'The packaged model knows English only: name another in the config, as in [local] model = "small"'
    if ControlClient.from_state(settings.paths) is None:
        return "Nothing runs yet: `dropscribe service install` starts it in the background, `dropscribe run` here."
    return "The running Dropscribe takes it up within seconds."


@app.command("list", cls=Command)
@manual(("dropscribe folders list", "A line for each."), exits=_BAD_CONFIG, see=("folders add", "status"))
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
        trouble = "" if folder.path.is_dir() else "  (not there now; Dropscribe waits for it)"
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
    say(f"Not watched any more: {expand(str(folder))}. Everything in it stays as it is.")


@app.command("pause", cls=Command)
@manual(
    ("dropscribe folders pause ~/Recordings", "Find recordings, but submit none."),
    exits=_BAD_CONFIG,
    see=("folders resume", "pause"),
)
def pause(context: typer.Context, folder: Folder) -> None:
    """Submit nothing from this folder until it is resumed."""
    _set_paused(settings_of(context), expand(str(folder)), paused=True)


@app.command("resume", cls=Command)
@manual(("dropscribe folders resume ~/Recordings", "Go on."), exits=_BAD_CONFIG, see=("folders pause",))
def resume(context: typer.Context, folder: Folder) -> None:
    """Go on with a paused folder."""
    _set_paused(settings_of(context), expand(str(folder)), paused=False)


def _set_paused(settings: Settings, path: Path, *, paused: bool) -> None:
    file, table = _own_file(settings, path)
    _write(
        file,
        {**{key: value for key, value in table.items() if key != "paused"}, **({"paused": True} if paused else {})},
    )
    say(f"{'Paused' if paused else 'Going on with'} {path}.")


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
        raise UsageError(f"{path} is named in {settings.config_file}, which you wrote.", fix="Edit it there.")
    raise UsageError(f"{path} is not watched.", fix="See: dropscribe folders list")


def _changed(folder: FolderConfig) -> dict[str, Any]:
    """The settings of a folder that differ from the defaults."""
    plain = msgspec.to_builtins(folder)
    default = msgspec.to_builtins(FolderConfig(path=""))
    return {key: value for key, value in plain.items() if value != default[key]}


def _write(file: Path, table: dict[str, Any]) -> None:
    text = tomli_w.dumps({"folders": [table]})
    parse_config(text, file=file)  # never leave a file behind that can't be read
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_suffix(".partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
