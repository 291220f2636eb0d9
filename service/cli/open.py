"""`dropscribe open`: opens the status page in the browser."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from service.cli.console import say
from service.cli.daemon import NotRunning
from service.cli.help import manual
from service.cli.settings import settings_of

__all__ = ["open_page"]


@manual(
    ("dropscribe open", "Open the page."),
    ("dropscribe open --print", "Print the address, to open it in a browser of your choice."),
    exits={1: "No daemon is running."},
    see=("status", "tray"),
)
def open_page(
    context: typer.Context,
    show_address: Annotated[
        bool, typer.Option("--print", help="Print the address instead. It works once, within 30 seconds.")
    ] = False,
) -> None:
    """Open the status page in the browser."""
    from service.control.client import ControlClient  # noqa: PLC0415 - `--help` stays quick

    paths = settings_of(context).paths
    client = ControlClient.from_state(paths)
    if client is None:
        raise NotRunning(f"No Dropscribe is running on {paths.root}.", fix="Start it: dropscribe run")
    address = client.open_code()
    if show_address:
        say(address)
    elif not webbrowser.open(address):
        say("No browser could be opened. Open this address on this machine within 30 seconds:", error=True)
        say(address)
