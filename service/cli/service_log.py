"""Shows the service's log for `dropscribe service logs`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import typer

from service.cli.console import say
from service.os_service import tail
from service.os_service.plan import Command, ServiceError
from watcher.errors import DropscribeError

if TYPE_CHECKING:
    from pathlib import Path

    from service.os_service.manager import ServiceManager

__all__ = ["show_log"]


def show_log(manager: ServiceManager, lines: int, *, follow: bool) -> None:
    """Print the last lines of the service's log.

    Args:
        manager: the platform's service manager.
        lines: how many.
        follow: whether to keep printing as lines are added, until Ctrl-C.

    Raises:
        DropscribeError: there is no log; the fix names where else to look.
    """
    source = manager.logs(lines=lines, follow=follow)
    if isinstance(source, Command):
        _show_journal(manager, source.argv, lines, follow=follow)
    else:
        _show_file(source, lines, follow=follow)


def _show_journal(manager: ServiceManager, argv: tuple[str, ...], lines: int, *, follow: bool) -> None:
    """Show the journal's lines. Only some versions of journalctl say so when there are none; this always does."""
    try:
        first = manager.logs(lines=lines or 1, follow=False)
        had = isinstance(first, Command) and subprocess.run(first.argv, check=False, stdout=subprocess.PIPE).stdout  # noqa: S603 - journalctl, no shell
        if not had:
            raise DropscribeError(
                "The journal has no entries from Dropscribe's service.", fix=_where_the_log_is(manager)
            )
        if follow:
            status = subprocess.run(argv, check=False).returncode  # noqa: S603 - same
            raise typer.Exit(1 if status else 0)
        if lines:
            say(had.decode("utf-8", "replace").rstrip("\n"))
    except FileNotFoundError:
        raise ServiceError(
            f"'{argv[0]}' isn't on this machine.", fix="Run `dropscribe run` in a terminal to see its log."
        ) from None
    except KeyboardInterrupt:
        return


def _where_the_log_is(manager: ServiceManager) -> str:
    by_hand = "A daemon started with `dropscribe run` logs to its own terminal."
    try:
        state = manager.state()
    except ServiceError:
        return f"systemd's user manager isn't running, so the service isn't either. {by_hand}"
    if not state.installed:
        return f"The service isn't installed (to install it: dropscribe service install). {by_hand}"
    if not state.running:
        return "The service isn't running and hasn't logged anything yet. Start it: dropscribe service start."
    return (
        "The service is running, so either the journal isn't kept or you may not read it. "
        "As an administrator: sudo journalctl _UID=$(id -u) _SYSTEMD_USER_UNIT=dropscribe.service"
    )


def _show_file(file: Path, lines: int, *, follow: bool) -> None:
    try:
        if not follow:
            typer.echo(tail.tail(file, lines), nl=False)
            return
        for text in tail.follow(file, lines):
            typer.echo(text, nl=False)
    except FileNotFoundError:
        raise DropscribeError(
            f"There is no log yet: {file}.", fix="The installed service writes it once it has started."
        ) from None
    except OSError as error:
        raise DropscribeError(f"{file} can't be read: {error.strerror}.") from None
    except KeyboardInterrupt:
        return
