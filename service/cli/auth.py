"""`dropscribe login` and `logout`: store and remove the cloud's API key."""

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
    """The key was not stored."""


@manual(
    ("dropscribe login", "Ask for the key without showing it."),
    ("dropscribe login < key.txt", "Read the key from a file."),
    ("dropscribe login --file", "Without a keyring: store it in a file that only you can read."),
    exits={
        1: "The service refused the key, or it can't be stored. Nothing was changed.",
        78: "The config can't be used.",
    },
    see=("logout", "folders add", "doctor"),
)
def login(
    context: typer.Context,
    file: Annotated[
        bool, typer.Option("--file", help="Store the key in a file that only you can read, not in the keyring.")
    ] = False,
) -> None:
    """Store a Speechmatics API key.

    The key is tried first, then stored in the keyring of your desktop. It is used only
    for folders with `engine = "speechmatics"` and for `dropscribe transcribe --engine speechmatics`.
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
        say(f"The key works and is stored in {path}, which only you can read.")
        if config.api_key_file:
            say(f"But the config sets api_key_file = {config.api_key_file}, which overrides it. Remove that setting.")
        return
    credentials.keep(key, config.url)
    say('The key works and is stored in your keyring. To use it for a folder, set: engine = "speechmatics"')


def _tell_daemon(settings: Settings) -> None:
    """Resume a daemon that stopped because the previous key was refused."""
    from service.control.client import ControlClient  # noqa: PLC0415 - same

    client = ControlClient.from_state(settings.paths)
    for hold in client.status()["holds"] if client else ():
        if client and hold["name"].startswith("account:speechmatics"):
            client.lift(hold["name"])


@manual(("dropscribe logout", "Remove the key."), exits={78: "The config can't be used."}, see=("login",))
def logout(context: typer.Context) -> None:
    """Remove the API key that `dropscribe login` stored."""
    from service.engines import credentials  # noqa: PLC0415 - `--help` stays quick

    forgotten = credentials.forget(settings_of(context).config.speechmatics.url)
    say(f"Removed the key from {' and '.join(forgotten)}." if forgotten else "No key was stored.")
    if os.environ.get(credentials.ENVIRONMENT):
        say(f"{credentials.ENVIRONMENT} is still set in this environment, and overrides stored keys.")


def _ask() -> str:
    key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()
    key = key.strip()
    if not key:
        raise UsageError("No key was given.", fix="Create one in the Speechmatics portal, under Settings → API Keys.")
    return key


async def _try(key: str, url: str) -> None:
    from watcher import speechmatics as sm  # noqa: PLC0415 - same

    try:
        async with sm.AsyncClient(key, url=url) as client:
            await client.list_jobs(limit=1)
    except (sm.AuthenticationError, sm.PermissionDenied) as error:
        raise LoginFailed(f"The service refused this key: {error}", fix="Nothing was stored.") from None
    except sm.SpeechmaticsError as error:
        raise LoginFailed(f"The key could not be checked at {url}: {error}", fix="Nothing was stored.") from None
