"""`dropscribe serve`: the Speechmatics-compatible server alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from service.cli.context import say, settings_of
from watcher.errors import UsageError

__all__ = ["register"]

KEY_VARIABLE = "DROPSCRIBE_SERVER_KEY"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", metavar="H", help="Listen on this address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="P", min=0, max=65535, help="0: any free one.")] = 8585,
    key: Annotated[
        str | None, typer.Option("--key", metavar="K", help=f"The API key to ask for; better given as {KEY_VARIABLE}.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Keep jobs and audio here.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="M", help="A faster-whisper name or folder.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Recognise so many jobs at a time.")] = 1,
    limits: Annotated[str, typer.Option("--limits", help="none, or cloud: the cloud's published limits.")] = "none",
) -> int:
    """Serve the Speechmatics Batch API from this machine, on local Whisper.

    Point any Speechmatics client at the address that is printed. Without --key a random one is made and printed.
    """
    from service.batch_server import CLOUD_LIMITS, Limits, ServerSettings  # noqa: PLC0415 - `--help` stays quick
    from service.batch_server import serve as run_server  # noqa: PLC0415 - same

    if limits not in {"none", "cloud"}:
        raise UsageError(f"There are no limits called {limits!r}.", fix="Known: none, cloud.")
    settings = settings_of(context)
    secret = key or os.environ.get(KEY_VARIABLE) or ""
    shown_key = "the one you gave" if secret else ""
    secret = secret or secrets.token_urlsafe(24)
    local = settings.config.local
    server = ServerSettings(
        data_dir=data_dir or settings.paths.root / "server",
        host=host,
        port=port,
        key=secret,
        model=model or local.model,
        threads=local.threads,
        workers=workers,
        idle_release=local.idle_release,
        limits=CLOUD_LIMITS if limits == "cloud" else Limits(),
    )

    def announce(url: str) -> None:
        say(f"Serving the Speechmatics Batch API at {url}\nKey: {shown_key or secret}\nCtrl-C stops.")

    try:
        return run_server(server, announce=announce)
    except ValueError as error:
        raise UsageError(str(error)) from None
