"""The command's parts, and what an error becomes: one clear sentence and an exit status."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from service.background import cli as background
from service.cli import config as config_commands
from service.cli import desktop, doctor, folders, jobs, keys, run, serve, transcribe
from service.cli.context import Settings, say
from service.tray.cli import tray
from watcher.errors import DropscribeError

__all__ = ["app", "run_app"]

app = typer.Typer(
    name="dropscribe",
    help="Drop a recording into a folder; its transcript appears beside it.",
    no_args_is_help=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Use this config file.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Keep ledger and jobs here.")
    ] = None,
    verbose: Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; twice for still more.")] = 0,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Drop a recording into a folder; its transcript appears beside it."""
    context.obj = Settings(config, state_dir, verbose)
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - only asked for here

        say(f"dropscribe {installed('dropscribe')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(_next_step(context.obj))


def _next_step(settings: Settings) -> str:
    if settings.config.folders:
        return "Everything is set up. `dropscribe run` watches your folders; `dropscribe --help` shows the rest."
    return (
        "Dropscribe watches folders and writes the transcript of every recording beside it.\n\n"
        "  Try it on a folder:      dropscribe run ~/Recordings\n"
        "  Keep a folder watched:   dropscribe folders add ~/Recordings\n"
        "  Transcribe one file:     dropscribe transcribe FILE\n\n"
        "Nothing leaves this machine unless you choose the cloud. `dropscribe --help` shows every command."
    )


run.register(app)
jobs.register(app)
transcribe.register(app)
serve.register(app)
keys.register(app)
desktop.register(app)
doctor.register(app)
app.add_typer(folders.app, name="folders")
app.add_typer(config_commands.app, name="config")
app.add_typer(background.app, name="service")
app.command("tray")(tray)


def run_app(arguments: list[str]) -> int:
    """Run a command line; returns the exit status. A person never sees a traceback."""
    try:
        result = app(args=arguments, prog_name="dropscribe", standalone_mode=False)
    except DropscribeError as error:
        say(f"dropscribe: {error.message}", error=True)
        if error.fix:
            say(f"  {error.fix}", error=True)
        return error.exit_status
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:  # whoever reads what is printed has had enough, as in `dropscribe jobs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # wrong usage, told by the parser
            error.show()
            return int(error.exit_code)
        if "-v" in arguments or "-vv" in arguments or "--verbose" in arguments:
            raise
        say(f"dropscribe: something went wrong that should not: {type(error).__name__}: {error}", error=True)
        say("  Run it again with -v to see where, and please report it.", error=True)
        return 1
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(run_app(sys.argv[1:]))
