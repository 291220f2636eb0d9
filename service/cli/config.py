"""`dropscribe config`: shows where the config is, whether it is valid, and what it sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import tomli_w
import typer

from service.cli.console import print_json, say
from service.cli.help import Command, manual, new_group
from service.cli.settings import settings_of
from watcher.config import folders_dir
from watcher.errors import UnusableError

if TYPE_CHECKING:
    from watcher.config import Config

__all__ = ["app"]

app = new_group()


@app.callback()
@manual(("dropscribe config check", "Is it valid?"), see=("doctor", "folders"))
def config() -> None:
    """Find, check and show the config."""


@app.command("path", cls=Command)
@manual(("dropscribe config path", "Where is it?"), see=("config show",))
def path(context: typer.Context) -> None:
    """Print the path of the config file."""
    say(str(settings_of(context).config_file))


@app.command("check", cls=Command)
@manual(
    ("dropscribe config check", "Check it before you rely on it."),
    ("dropscribe config check --online", "Also check that the addresses in it can be reached."),
    exits={78: "The config has errors. If it can't be read, only the first one is printed."},
    see=("doctor", "config show"),
)
def check(
    context: typer.Context,
    online: Annotated[
        bool, typer.Option("--online", help="Also connect to the addresses in it. No key and no recording is sent.")
    ] = False,
) -> int:
    """Check the config and all files that belong to it.

    They are the files in folders.d and the .dropscribe.toml files in the watched folders. An error is a setting that
    can't work. A warning is one that may fail later or do what you don't expect. Each names the file, the line, and
    what to write instead. A config that can't be read is checked only up to its first error: correct it, and check
    again.
    """
    from service.cli.config_check import answering, examine  # noqa: PLC0415 - light start

    settings = settings_of(context)
    file = settings.config_file
    findings = examine(file, required=settings.config_option is not None)
    config = settings.config
    if online:
        findings += answering(config)
    for finding in findings:
        say(f"{finding.level}: {finding.text}")
    errors = sum(finding.level == "error" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if errors or warnings:
        say(f"{file}: {_count(errors, 'error')}, {_count(warnings, 'warning')}.")
    elif file.exists():
        say(f"{file} is valid{'' if file.stat().st_size else '; it is empty, so the defaults apply'}.")
    else:
        say(f"{file} does not exist, so the defaults apply.")
    added = folders_dir(file)
    say(f"Folders watched: {len(config.folders)}{f', with those of {added}' if added.is_dir() else ''}.")
    return UnusableError.exit_status if errors else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@app.command("show", cls=Command)
@manual(
    ("dropscribe config show", "As TOML, in the format of the config file."),
    exits={78: "The config can't be used (see the message)."},
    see=("config check", "config path"),
)
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Print all settings that are in force."""
    config = settings_of(context).config
    data = {"state_dir": str(config.state_path)} | _plain(config)
    if as_json:
        print_json(data)
    else:
        say(tomli_w.dumps(data).rstrip())


def _plain(config: Config) -> dict[str, Any]:
    """Convert the config for TOML, which has no null: keys that are not set are left out."""
    data: dict[str, Any] = msgspec.to_builtins(config)
    cleaned: dict[str, Any] = _without_none(data)
    return cleaned


def _without_none(value: Any) -> Any:  # noqa: ANN401 - any TOML value
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_without_none(each) for each in value]
    return value
