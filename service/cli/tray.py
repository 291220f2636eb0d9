"""`dropscribe tray`: the icon in the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import say
from service.cli.help import manual
from service.cli.settings import settings_of

if TYPE_CHECKING:
    from service.cli.settings import Settings
    from service.os_service.manager import ServiceManager
    from service.os_service.spec import ServiceSpec

__all__ = ["tray"]


@manual(
    ("dropscribe tray &", "Show the icon in the background."),
    ("dropscribe tray --wait 120", "Wait two minutes for a panel that starts late."),
    exits={1: "There is no display, or no panel that shows icons."},
    see=("open", "status", "service install"),
)
def tray(
    context: typer.Context,
    *,
    wait: Annotated[
        float, typer.Option(metavar="N", min=0, help="Seconds to wait for the panel, which may start late at login.")
    ] = 30.0,
) -> None:
    """Show an icon with a menu in the panel.

    The icon is a separate process. It stays visible while the daemon is stopped, and shows that. Hiding it doesn't stop
    Dropscribe.
    """
    # All of this takes longer to import than `--help` may take.
    from service.tray.app import TrayApp  # noqa: PLC0415
    from watcher import logs  # noqa: PLC0415

    settings = settings_of(context)
    logs.configure(verbose=settings.verbose)
    manager, spec = _service(settings)
    app = TrayApp(settings.paths, manager=manager, spec=spec, report=_report)
    app.run(patience=wait)


def _service(settings: Settings) -> tuple[ServiceManager | None, ServiceSpec | None]:
    """Find what `Start at login` needs; without it the menu leaves that item out."""
    from service.cli.os_service import spec_of  # noqa: PLC0415
    from service.os_service.detect import detect_manager  # noqa: PLC0415
    from watcher.errors import DropscribeError  # noqa: PLC0415

    try:
        return detect_manager(settings.paths.root), spec_of(settings, tray=True)
    except DropscribeError:
        return None, None


def _report(message: str) -> None:
    import asyncio  # noqa: PLC0415

    from service.desktop_notifications import notify_once  # noqa: PLC0415

    say(f"dropscribe: {message}", error=True)
    asyncio.run(notify_once("Dropscribe", message))
