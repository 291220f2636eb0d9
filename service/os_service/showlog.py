"""`dropscribe service logs`: the service's log, or where it is."""

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

    from service.os_service.manager import Background

__all__ = ["show_log"]


def show_log(background: Background, lines: int, *, follow: bool) -> None:
    """Print the last lines of the service's log.

    Args:
        background: the platform's service manager.
        lines: how many.
        follow: whether to go on as lines are added, until Ctrl-C.

    Raises:
        DropscribeError: there is no log; says where else to look.
    """
    source = background.logs(lines=lines, follow=follow)
    if isinstance(source, Command):
        _show_journal(background, source.argv, lines, follow=follow)
    else:
        _show_file(source, lines, follow=follow)


def _show_journal(background: Background, argv: tuple[str, ...], lines: int, *, follow: bool) -> None:
    """Show what the journal has; a journal that has nothing says so itself only in some versions."""
    try:
        first = background.logs(lines=lines or 1, follow=False)
        had = isinstance(first, Command) and subprocess.run(first.argv, check=False, stdout=subprocess.PIPE).stdout  # noqa: S603 - journalctl, no shell
        if not had:
            raise DropscribeError("The journal has nothing of Dropscribe's service.", fix=_where_the_log_is(background))
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


def _where_the_log_is(background: Background) -> str:
    by_hand = "A daemon that was started with `dropscribe run` logs to its own terminal."
    try:
        state = background.state()
    except ServiceError:
        return f"systemd's user manager isn't running here, and so isn't the service. {by_hand}"
    if not state.installed:
        return f"It isn't installed (`dropscribe service install`). {by_hand}"
    if not state.running:
        return "It has not logged anything yet: `dropscribe service start` starts it."
    return (
        "It runs, so the journal isn't kept, or not for you to read. "
        "As administrator: sudo journalctl _UID=$(id -u) _SYSTEMD_USER_UNIT=dropscribe.service"
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
