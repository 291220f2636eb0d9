"""`dropscribe service`: installs, shows and removes the background service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import print_json, say
from service.cli.help import Command, manual, new_group
from service.cli.settings import settings_of
from watcher.errors import DropscribeError, UsageError

if TYPE_CHECKING:
    from service.cli.settings import Settings
    from service.os_service.manager import ServiceManager, UnitState
    from service.os_service.spec import ServiceSpec

# What only one of these commands needs is imported there, so that `--help` stays quick.

__all__ = ["app", "spec_of"]

app = new_group()

_DRY_RUN = "Only show what would be written and run."
_FORCE = "Also replace or remove files that you edited."
_REFUSED = {1: "The service manager failed or can't be reached (see the message)."}


@app.callback()
@manual(
    ("dropscribe service install", "Run now and after every login."),
    ("dropscribe service status", "Is it running?"),
    ("dropscribe service logs -f", "Follow its log."),
    see=("run", "tray", "doctor"),
)
def service() -> None:
    """Run Dropscribe in the background, starting at every login.

    Linux: a systemd user unit. macOS: a launchd agent. Windows: a task at logon.
    """


@app.command("install", cls=Command)
@manual(
    ("dropscribe service install", "Run now and after every login, with the tray icon."),
    ("dropscribe service install --dry-run", "Only show what would be written and run."),
    ("dropscribe service install --no-tray", "For a machine without a desktop."),
    exits=_REFUSED,
    see=("folders add", "service status", "service uninstall"),
)
def install(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_DRY_RUN)] = False,
    tray: Annotated[bool, typer.Option(help="Also show the tray icon at login.")] = True,
    start: Annotated[bool, typer.Option(help="Start the daemon now.")] = True,
    force: Annotated[bool, typer.Option("--force", help=_FORCE)] = False,
) -> None:
    """Start Dropscribe now and at every login.

    Run it again after you have moved Dropscribe or its config.
    """
    from service.os_service.plan import apply, describe  # noqa: PLC0415

    settings = settings_of(context)
    folders = settings.config.folders  # report a broken config now, not by a service that fails to start
    spec = spec_of(settings, tray=tray)
    manager = _manager(settings)
    _refuse_sudo()
    steps = manager.plan_install(spec, start=start)
    if dry_run:
        say(describe(steps))
        return
    if start:
        _refuse_second_daemon(settings, manager)
    for path in apply(steps, force=force):
        say(f"Written: {path}")
    say("Dropscribe is running, and starts at every login." if start else "Dropscribe starts at login.")
    if tray and sys.platform.startswith("linux"):
        from service.tray.opener import menu_hint  # noqa: PLC0415

        say("The tray icon appears at your next login. To show it now: dropscribe tray &")
        if hint := menu_hint():
            say(hint)
    if not folders:
        say("It has no folder to watch yet. Add one: dropscribe folders add ~/Recordings")


@app.command("uninstall", cls=Command)
@manual(
    ("dropscribe service uninstall", "Remove it; your config, the ledger and all transcripts stay."),
    exits=_REFUSED,
    see=("service stop", "service install"),
)
def uninstall(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_DRY_RUN)] = False,
    force: Annotated[bool, typer.Option("--force", help=_FORCE)] = False,
) -> None:
    """Stop Dropscribe and remove what `install` wrote.

    Your config, the ledger and all transcripts stay.
    """
    from service.os_service.plan import FileChange, apply, describe  # noqa: PLC0415

    settings = settings_of(context)
    steps = _manager(settings).plan_uninstall()
    if dry_run:
        say(describe(steps) or "Nothing is installed.")
        return
    removed = apply(steps, force=force)
    for path in removed:
        say(f"Removed: {path}")
    if not removed and any(isinstance(step, FileChange) for step in steps):
        say("The files were already gone.")
    elif not steps:
        say("Nothing was installed.")
    say(f"Kept: your config in {settings.config_file.parent}, and the ledger in {settings.paths.root}.")


@app.command("start", cls=Command)
@manual(("dropscribe service start", "Start it."), exits=_REFUSED, see=("service stop", "service status"))
def start(context: typer.Context) -> None:
    """Start the installed service."""
    from service.os_service.plan import apply  # noqa: PLC0415

    settings = settings_of(context)
    manager = _manager(settings)
    _require_installed(manager.state())
    _refuse_second_daemon(settings, manager)
    apply(manager.plan_start())
    say("Started.")


@app.command("stop", cls=Command)
@manual(("dropscribe service stop", "Stop it for now."), exits=_REFUSED, see=("pause", "service uninstall"))
def stop(context: typer.Context) -> None:
    """Stop the service until the next login or `start`.

    Nothing is lost: it continues where it stopped.
    """
    from service.os_service.plan import apply  # noqa: PLC0415

    manager = _manager(settings_of(context))
    _require_installed(manager.state())
    apply(manager.plan_stop())
    say("Stopped.")


@app.command("status", cls=Command)
@manual(
    ("dropscribe service status", "Is it installed, and is it running?"),
    exits={1: "It isn't running."},
    see=("status", "service logs"),
)
def status(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show whether the service is installed and running."""
    from service.control.client import ControlClient  # noqa: PLC0415

    settings = settings_of(context)
    manager = _manager(settings)
    state = manager.state()
    daemon = ControlClient.from_state(settings.paths)
    if as_json:
        facts = {name: getattr(state, name) for name in ("installed", "running", "at_login", "pid", "detail")}
        missing = str(state.missing) if state.missing else None
        print_json({"manager": manager.name, **facts, "missing": missing, "url": daemon and daemon.url})
    else:
        say(_status_words(manager.name, state, daemon.url if daemon else None))
    if not state.running:
        raise typer.Exit(1)


@app.command("logs", cls=Command)
@manual(
    ("dropscribe service logs -n 20", "The last twenty lines."),
    ("dropscribe service logs -f", "Follow the log until Ctrl-C."),
    exits={1: "There is no log."},
    see=("service status", "explain"),
)
def logs(
    context: typer.Context,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="Number of lines to show.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing new lines.")] = False,
) -> None:
    """Show the log of the service."""
    from service.cli.service_log import show_log  # noqa: PLC0415

    show_log(_manager(settings_of(context)), lines, follow=follow)


def spec_of(settings: Settings, *, tray: bool) -> ServiceSpec:
    """Describe this installation of Dropscribe.

    Raises:
        ServiceError: the `dropscribe` command isn't found.
    """
    from service.os_service.spec import ServiceSpec  # noqa: PLC0415

    return ServiceSpec.of_this_machine(
        config=settings.config_option,
        state_dir=settings.state_option,
        default_config=Path(os.path.abspath(settings.config_file)),  # noqa: PTH100 - resolve() follows links
        used_state_dir=settings.paths.root,
        tray=tray,
    )


def _manager(settings: Settings) -> ServiceManager:
    from service.os_service.detect import detect_manager  # noqa: PLC0415

    return detect_manager(settings.paths.root)


def _refuse_sudo() -> None:
    if sys.platform != "win32" and os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        raise UsageError(
            "The service belongs to your user account; with sudo it would belong to root.",
            fix=f"Run this without sudo, as {os.environ['SUDO_USER']}.",
        )


def _require_installed(state: UnitState) -> None:
    if not state.installed:
        raise DropscribeError("The service isn't installed.", fix="Install it: dropscribe service install")


def _refuse_second_daemon(settings: Settings, manager: ServiceManager) -> None:
    """Refuse while a daemon that was started by hand uses the ledger: the service would fail with status 78."""
    from service.control.client import ControlClient  # noqa: PLC0415

    daemon = ControlClient.from_state(settings.paths)
    if daemon is None:
        return
    state = manager.state()
    if not state.running:
        raise DropscribeError(
            f"A daemon that was started by hand is running (process {daemon.pid}).",
            fix="Stop it (Ctrl-C in its terminal) and try again, or install with --no-start.",
        )


def _status_words(manager: str, state: UnitState, url: str | None) -> str:
    if not state.installed:
        return f"The service isn't installed with {manager}. To install it: dropscribe service install"
    words = [f"Installed with {manager}; {'starts' if state.at_login else 'does not start'} at login."]
    if state.running:
        words += [f"Running{f' as process {state.pid}' if state.pid else ''}: {state.detail}."]
    else:
        why = "" if state.missing else " For the reason: dropscribe service logs. To start it: dropscribe service start"
        words += [f"Not running: {state.detail}.{why}"]
    if state.fix:
        words += [state.fix]
    if url and state.running:
        words += [f"Status page: dropscribe open ({url})"]
    return "\n".join(words)
