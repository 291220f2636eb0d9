"""`dropscribe login` and `logout`: the API key of the cloud."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import say
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.errors import DropscribeError, UsageError

if TYPE_CHECKING:
    from service.cli.settings import Settings

__all__ = ["login", "logout"]


class LoginFailed(DropscribeError):
    """The key was not kept."""


@manual(
    ("dropscribe login", "Ask for the key without showing it."),
    ("dropscribe login < key.txt", "Read it from a file."),
    ("dropscribe login --file", "Where there is no keyring: keep it in a file that only you may read."),
    exits={
        1: "The service refuses the key, or it can't be kept; nothing was changed.",
        78: "The config can't be used.",
    },
    see=("logout", "folders add", "doctor"),
)
def login(
    context: typer.Context,
    file: Annotated[
        bool, typer.Option("--file", help="Keep the key in a file that only you may read, not in the keyring.")
    ] = False,
) -> None:
    """Keep a Speechmatics API key, once the service took it.

    It goes into the keyring of your desktop. Only folders with `engine = "speechmatics"` use it.
    """
    config = settings_of(context).config.speechmatics
    key = _ask()
    asyncio.run(_try(key, config.url))
    _keep(key, context, in_file=file)
    _tell_daemon(settings_of(context))


def _keep(key: str, context: typer.Context, *, in_file: bool) -> None:
    from service.engines import credentials  # noqa: PLC0415 - same

    config = settings_of(context).config.speechmatics
    if in_file:
        path = credentials.write_key_file(key)
        say(f"The key works and is kept in {path}, which only you may read.")
        if config.api_key_file:
            say(f"The config names {config.api_key_file}, which wins: take api_key_file out of it.")
        return
    credentials.keep(key, config.url)
    say('The key works and is kept in your keyring. A folder uses it with: engine = "speechmatics"')


def _tell_daemon(settings: Settings) -> None:
    """A running daemon that a refused key has stopped goes on at once, not at its next look."""
    from service.control.client import ControlClient  # noqa: PLC0415 - same

    client = ControlClient.from_state(settings.paths)
    for hold in client.status()["holds"] if client else ():
        if client and hold["name"].startswith("account:speechmatics"):
            client.lift(hold["name"])


@manual(("dropscribe logout", "Forget the key."), exits={78: "The config can't be used."}, see=("login",))
def logout(context: typer.Context) -> None:
    """Forget the API key that `dropscribe login` kept."""
    from service.engines import credentials  # noqa: PLC0415 - `--help` stays quick

    forgotten = credentials.forget(settings_of(context).config.speechmatics.url)
    say("Forgotten: " + ", ".join(forgotten) if forgotten else "No key was kept.")
    if os.environ.get(credentials.ENVIRONMENT):
        say(f"{credentials.ENVIRONMENT} is still set in this environment; it wins over a kept key.")


def _ask() -> str:
    key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()
    key = key.strip()
    if not key:
        raise UsageError("No key was given.", fix="Speechmatics' portal makes one, under Settings → API Keys.")
    return key


async def _try(key: str, url: str) -> None:
    from watcher import speechmatics as sm  # noqa: PLC0415 - same

    try:
        async with sm.AsyncClient(key, url=url) as client:
            await client.list_jobs(limit=1)
    except (sm.AuthenticationError, sm.PermissionDenied) as error:
        raise LoginFailed(f"The service refuses this key: {error}", fix="Nothing was kept.") from None
    except sm.SpeechmaticsError as error:
        raise LoginFailed(f"The key could not be tried at {url}: {error}", fix="Nothing was kept.") from None
