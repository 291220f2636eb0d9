"""`dropscribe service …`: install, watch and remove the background service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from watcher.errors import DropscribeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from service.background.base import Background, UnitState
    from service.background.spec import ServiceSpec

# What only one of these commands needs is imported there: `--help` is for people who wait for it.

__all__ = ["app"]

app = typer.Typer(
    name="service",
    no_args_is_help=True,
    help="Run Dropscribe in the background, from every login on.\n\n"
    "Linux: a systemd user unit. macOS: a launchd agent. Windows: a task at logon.",
)

_DRY_RUN = "Only show what would be written and run, exactly."
_FORCE = "Also replace or remove files that were edited by hand."


@app.command()
def install(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_DRY_RUN)] = False,
    tray: Annotated[bool, typer.Option(help="Show the tray icon at login, too.")] = True,
    start: Annotated[bool, typer.Option(help="Start the daemon now.")] = True,
    force: Annotated[bool, typer.Option("--force", help=_FORCE)] = False,
) -> None:
    """Start Dropscribe now, and at every login.

    Install again after you moved Dropscribe or its config; twice is as good as once.
    """
    from service.background.steps import apply, describe  # noqa: PLC0415

    with _explained():
        spec = _spec(context, tray=tray)
        background = _background(spec)
        _refuse_sudo()
        steps = background.plan_install(spec, start=start)
        if dry_run:
            typer.echo(describe(steps))
            return
        if start:
            _refuse_second_daemon(spec, background)
        for path in apply(steps, force=force):
            typer.echo(f"Written: {path}")
        typer.echo("Dropscribe runs now, and from every login on." if start else "Dropscribe starts at login.")
        if tray and sys.platform.startswith("linux"):
            typer.echo("The tray icon comes at your next login; `dropscribe tray &` shows it now.")
        if not spec.config_file.exists() and not (spec.config_file.parent / "folders.d").is_dir():
            typer.echo("It watches no folder yet: `dropscribe folders add ~/Recordings`.")


@app.command()
def uninstall(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=_DRY_RUN)] = False,
    force: Annotated[bool, typer.Option("--force", help=_FORCE)] = False,
) -> None:
    """Stop Dropscribe, and remove what `install` wrote. Config and ledger stay."""
    from service.background.steps import FileChange, apply, describe  # noqa: PLC0415

    with _explained():
        spec = _spec(context, tray=False)
        steps = _background(spec).plan_uninstall()
        if dry_run:
            typer.echo(describe(steps) or "Nothing is installed.")
            return
        removed = apply(steps, force=force)
        for path in removed:
            typer.echo(f"Removed: {path}")
        if not removed and any(isinstance(step, FileChange) for step in steps):
            typer.echo("The files were gone already.")
        elif not steps:
            typer.echo("Nothing was installed.")
        typer.echo(f"Left as they are: your config {spec.config_file}, and the ledger in {spec.state_dir}.")


@app.command()
def start(context: typer.Context) -> None:
    """Start the installed daemon."""
    from service.background.steps import apply  # noqa: PLC0415

    with _explained():
        spec = _spec(context, tray=False)
        background = _background(spec)
        _require_installed(background.state())
        _refuse_second_daemon(spec, background)
        apply(background.plan_start())
        typer.echo("Started.")


@app.command()
def stop(context: typer.Context) -> None:
    """Stop the daemon until the next login or `start`. Nothing is lost: it goes on where it was."""
    from service.background.steps import apply  # noqa: PLC0415

    with _explained():
        background = _background(_spec(context, tray=False))
        _require_installed(background.state())
        apply(background.plan_stop())
        typer.echo("Stopped.")


@app.command()
def status(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether the service is installed and runs. Exit status 1 when it doesn't run."""
    from service.tray.control import read_control  # noqa: PLC0415

    with _explained():
        spec = _spec(context, tray=False)
        background = _background(spec)
        state = background.state()
        daemon = read_control(spec.state_dir / "control.json")
        if as_json:
            facts = {name: getattr(state, name) for name in ("installed", "running", "at_login", "pid", "detail")}
            typer.echo(json.dumps({"manager": background.name, **facts, "url": daemon and daemon.url}))
        else:
            typer.echo(_status_words(background.name, state, daemon.url if daemon else None))
    if not state.running:
        raise typer.Exit(1)


@app.command()
def logs(
    context: typer.Context,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are added.")] = False,
) -> None:
    """Show the daemon's log."""
    from service.background.steps import Command  # noqa: PLC0415

    with _explained():
        source = _background(_spec(context, tray=False)).logs(lines=lines, follow=follow)
        if isinstance(source, Command):
            code = _run_in_terminal(source.argv)
            if code:
                raise typer.Exit(1)
        else:
            _show_file(source, lines, follow=follow)


def _spec(context: typer.Context, *, tray: bool) -> ServiceSpec:
    """Describe this installation, with the global options that stand before `service`."""
    from service.background.spec import ServiceSpec  # noqa: PLC0415
    from watcher.paths import default_config_file, default_state_dir  # noqa: PLC0415

    options = context.find_root().params
    config = _path(options.get("config"))
    state_dir = _path(options.get("state_dir"))
    config_file = Path(os.path.abspath(config or default_config_file()))  # noqa: PTH100 - resolve() follows links
    used = state_dir or _configured_state_dir(config_file, given=config is not None) or default_state_dir()
    return ServiceSpec.of_this_machine(
        config=config, state_dir=state_dir, default_config=config_file, used_state_dir=used, tray=tray
    )


def _path(value: object) -> Path | None:
    return Path(os.path.expanduser(str(value))) if value else None  # noqa: PTH111 - may be any text


def _configured_state_dir(config_file: Path, *, given: bool) -> Path | None:
    """Look the state directory up in the config; a broken config is the daemon's to report."""
    from watcher.config import load_config  # noqa: PLC0415
    from watcher.errors import ConfigError  # noqa: PLC0415

    try:
        return load_config(config_file, required=given).state_path
    except ConfigError:
        return None


def _background(spec: ServiceSpec) -> Background:
    from service.background.base import background_of_this_machine  # noqa: PLC0415

    return background_of_this_machine(spec.state_dir)


def _refuse_sudo() -> None:
    if sys.platform != "win32" and os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        raise UsageError(
            "The service belongs to a user, and sudo makes that user root.",
            fix=f"Run this without sudo, as {os.environ['SUDO_USER']}.",
        )


def _require_installed(state: UnitState) -> None:
    if not state.installed:
        raise DropscribeError("The service isn't installed.", fix="`dropscribe service install` installs it.")


def _refuse_second_daemon(spec: ServiceSpec, background: Background) -> None:
    """A daemon that somebody started by hand holds the ledger; the service would end with status 78."""
    from service.tray.control import is_alive, read_control  # noqa: PLC0415

    daemon = read_control(spec.state_dir / "control.json")
    if daemon is None or not is_alive(daemon):
        return
    state = background.state()
    if not state.running:
        raise DropscribeError(
            f"A daemon that was started by hand is running (process {daemon.pid}).",
            fix="Stop it (Ctrl-C in its terminal) and repeat this; or install with --no-start.",
        )


def _status_words(manager: str, state: UnitState, url: str | None) -> str:
    if not state.installed:
        return f"The service isn't installed with {manager}. `dropscribe service install` installs it."
    words = [f"Installed with {manager}; {'starts' if state.at_login else 'does not start'} at login."]
    if state.running:
        words += [f"Running{f' as process {state.pid}' if state.pid else ''}: {state.detail}."]
    else:
        words += [f"Not running: {state.detail}. `dropscribe service logs` says why; `dropscribe service start`."]
    if url and state.running:
        words += [f"Its page: `dropscribe open` ({url})."]
    return "\n".join(words)


def _run_in_terminal(argv: tuple[str, ...]) -> int:
    from service.background.steps import ServiceError  # noqa: PLC0415

    try:
        return subprocess.run(argv, check=False).returncode  # noqa: S603 - journalctl, no shell
    except FileNotFoundError:
        raise ServiceError(
            f"'{argv[0]}' isn't on this machine.", fix="Run `dropscribe run` in a terminal to see its log."
        ) from None
    except KeyboardInterrupt:
        return 0


def _show_file(file: Path, lines: int, *, follow: bool) -> None:
    from service.background import logview  # noqa: PLC0415

    try:
        if not follow:
            typer.echo(logview.tail(file, lines), nl=False)
            return
        for text in logview.follow(file, lines):
            typer.echo(text, nl=False)
    except FileNotFoundError:
        raise DropscribeError(
            f"There is no log yet: {file}.", fix="The installed service writes it once it has started."
        ) from None
    except OSError as error:
        raise DropscribeError(f"{file} can't be read: {error.strerror}.") from None
    except KeyboardInterrupt:
        return


@contextmanager
def _explained() -> Iterator[None]:
    """Turn our errors into their sentence and their exit status."""
    try:
        yield
    except DropscribeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(error.exit_status) from None
