"""`dropscribe config`: where the config is, whether it is good, and what holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import tomli_w
import typer

from service.cli.context import print_json, say, settings_of
from service.cli.manual import Command, manual, new_group
from watcher.config import folders_dir

if TYPE_CHECKING:
    from watcher.config import Config

__all__ = ["app"]

app = new_group()


@app.callback()
@manual(("dropscribe config check", "Is it good?"), see=("doctor", "folders"))
def config() -> None:
    """Find, check and show the config."""


@app.command("path", cls=Command)
@manual(("dropscribe config path", "Where is it?"), see=("config show",))
def path(context: typer.Context) -> None:
    """Print where the config is read from."""
    say(str(settings_of(context).config_file))


@app.command("check", cls=Command)
@manual(
    ("dropscribe config check", "Before you restart anything."),
    exits={78: "The config can't be used; the line was said."},
    see=("doctor", "config show"),
)
def check(context: typer.Context) -> None:
    """Say whether the config is good, or what is wrong where."""
    settings = settings_of(context)
    config = settings.config
    missing = [folder.path for folder in config.watch_folders() if not folder.path.is_dir()]
    for folder in missing:
        say(f"The folder {folder} does not exist now; Dropscribe waits for it.")
    there = settings.config_file.exists()
    say(f"{settings.config_file} {'is good' if there else 'is not there, which is fine: the defaults hold'}.")
    added = folders_dir(settings.config_file)
    say(f"Folders watched: {len(config.folders)}{f', with those of {added}' if added.is_dir() else ''}.")


@app.command("show", cls=Command)
@manual(
    ("dropscribe config show", "As TOML, in the form of a config file."),
    exits={78: "The config can't be used; the line was said."},
    see=("config check", "config path"),
)
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print every setting as it holds now."""
    config = settings_of(context).config
    data = {"state_dir": str(config.state_path)} | _plain(config)
    if as_json:
        print_json(data)
    else:
        say(tomli_w.dumps(data).rstrip())


def _plain(config: Config) -> dict[str, Any]:
    """The config as TOML can say it: without the keys that are not set."""
    data: dict[str, Any] = msgspec.to_builtins(config)
    cleaned: dict[str, Any] = _without_none(data)
    return cleaned


def _without_none(value: Any) -> Any:  # noqa: ANN401 - any TOML value
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_none(each) for each in value]
    return value
