"""The `dropscribe` command: its subcommands, and how errors become a message and an exit status."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.console import one_line, say, shown
from service.cli.help import LazyGroup, manual, new_group
from service.cli.settings import Settings, settings_of
from watcher.errors import DropscribeError
from watcher.paths import default_config_file, default_state_dir

__all__ = ["app", "run_app"]

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_FOLDER = frozenset({errno.EEXIST, errno.ENOTDIR})
_NO_LEAVE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class _Commands(LazyGroup):
    """Every command. Only the one that is called is imported."""

    places = {  # noqa: RUF012 - constant
        "run": "service.cli.run:run",
        "transcribe": "service.cli.transcribe:transcribe",
        "folders": "service.cli.folders:app",
        "status": "service.cli.status:status",
        "explain": "service.cli.status:explain",
        "jobs": "service.cli.status:jobs",
        "show": "service.cli.status:show",
        "open": "service.cli.open:open_page",
        "doctor": "service.cli.doctor:doctor",
        "retry": "service.cli.control:retry",
        "cancel": "service.cli.control:cancel",
        "dismiss": "service.cli.control:dismiss",
        "pause": "service.cli.control:pause",
        "resume": "service.cli.control:resume",
        "service": "service.cli.os_service:app",
        "tray": "service.cli.tray:tray",
        "login": "service.cli.auth:login",
        "logout": "service.cli.auth:logout",
        "config": "service.cli.config:app",
        "serve": "service.cli.serve:serve",
    }
    headings = {  # noqa: RUF012 - constant
        "run": "Transcribe",
        "status": "See what is happening",
        "retry": "Take action",
        "service": "Set up",
        "serve": "For programs",
    }


app = new_group(
    name="dropscribe",
    cls=_Commands,
    no_args_is_help=False,
    invoke_without_command=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
@manual(
    ("dropscribe folders add ~/Recordings", "Watch a folder."),
    ("dropscribe service install", "Run in the background, now and after every login."),
    ("dropscribe run ~/Recordings", "Try it: watch a folder from this terminal, without a config."),
    ("dropscribe transcribe -f txt,srt talk.mp3", "Transcribe one file now."),
    ("dropscribe explain talk.mp3", "See what happened to a file, what happens next, and why."),
    ("dropscribe --install-completion", "Complete commands and options with the Tab key (bash, zsh, fish)."),
    exits={
        1: "Something failed (see the message).",
        78: "The config or the ledger can't be used, or another Dropscribe is using them.",
        130: "You pressed Ctrl-C.",
    },
    files={
        str(default_config_file()): "The config, if you need one.",
        str(default_config_file().parent / "folders.d"): "A file for each folder that `dropscribe folders add` added.",
        str(default_state_dir()): "The ledger, the original transcripts, and the local server's jobs.",
    },
    environment={
        "SPEECHMATICS_API_KEY": "The cloud's API key; overrides a stored one.",
    },
    see=("run --help", "service --help", "doctor"),
)
def start(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Use this config file.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Store the ledger and jobs here.")
    ] = None,
    verbose: Annotated[
        int, typer.Option("-v", "--verbose", count=True, show_default=False, help="Log more; repeat for even more.")
    ] = 0,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Drop a recording into a folder; its transcript appears beside it.

    Everything stays on this machine unless you choose the cloud for a folder. Run it without a command to see what to
    do next. For help on a command: dropscribe COMMAND --help
    """
    context.obj = Settings(config, state_dir, verbose)
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415 - only asked for here

        say(f"dropscribe {installed('dropscribe')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(_next_step(settings_of(context)))


def _next_step(settings: Settings) -> str:
    if settings.config.folders:
        return "Everything is set up. `dropscribe run` watches your folders; `dropscribe --help` lists all commands."
    return (
        "Dropscribe watches folders and writes a transcript beside every recording.\n\n"
        "  Try it on a folder:      dropscribe run ~/Recordings\n"
        "  Watch a folder for good: dropscribe folders add ~/Recordings\n"
        "  Transcribe one file:     dropscribe transcribe FILE\n\n"
        "Nothing leaves this machine unless you choose the cloud. `dropscribe --help` shows every command."
    )


def run_app(arguments: list[str]) -> int:
    """Run a command line; returns the exit status. A person never sees a traceback."""
    _replace_closed_streams()
    try:
        result = _call(arguments)
        sys.stdout.flush()
    except DropscribeError as error:
        say(f"dropscribe: {error.message}", error=True)
        if error.fix:
            say(f"  {error.fix}", error=True)
        return error.exit_status
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:  # the reader closed the pipe, as in `dropscribe jobs | head`
        _discard_output()
        return 141
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # wrong usage, found by the parser
            error.show()
            return int(error.exit_code)
        if isinstance(error, OSError) and (message := _system_error_text(error)):
            say(f"dropscribe: {message}", error=True)
            return 1
        if "-v" in arguments or "-vv" in arguments or "--verbose" in arguments:
            raise
        say(f"dropscribe: unexpected error: {type(error).__name__}: {error}", error=True)
        say("  Run it again with -v for details, and please report it.", error=True)
        return 1
    return result if isinstance(result, int) else 0


def _call(arguments: list[str]) -> Any:  # noqa: ANN401 - whatever the command returns
    """Run a command; the parser turns a broken pipe into an exit status of its own, which is undone."""
    try:
        return app(args=arguments, prog_name="dropscribe", standalone_mode=False)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise


def _replace_closed_streams() -> None:
    """Let a command work even if its input or output was closed (`>&-`)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - until the end


def _discard_output() -> None:
    """Discard buffered output, so that the interpreter doesn't complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _system_error_text(error: OSError) -> str:
    """Explain an error of the operating system that the user can fix; empty if it looks like a bug of Dropscribe."""
    where = f"{shown(Path(os.fsdecode(error.filename)))}: " if isinstance(error.filename, str | bytes) else ""
    if not where and error.errno not in _NO_ROOM:
        return ""
    if not where:
        _discard_output()  # it was most likely printing that failed
    fix = ""
    if error.errno in _NO_ROOM:
        fix = " Free some space, then try again."
    elif error.errno in _NO_FOLDER:
        fix = " That must be a folder."
    elif error.errno in _NO_LEAVE:
        fix = " Give yourself write permission, or choose other places with --config and --state-dir."
    return one_line(f"{where}{error.strerror}.{fix}")


if __name__ == "__main__":
    sys.exit(run_app(sys.argv[1:]))
