"""Chooses the service manager of this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from service.os_service.plan import ServiceError

if TYPE_CHECKING:
    from service.os_service.manager import ServiceManager

__all__ = ["detect_manager"]


def detect_manager(state_dir: Path) -> ServiceManager:
    """Choose the manager of this platform.

    Args:
        state_dir: where a platform without a log of its own has the daemon's log.

    Raises:
        ServiceError: this platform has none that Dropscribe knows.
    """
    found = _known(state_dir / "dropscribe.log", state_dir)
    if found is None:
        raise ServiceError(
            f"Dropscribe does not support background services on {sys.platform}.",
            fix="Set up your system to start: dropscribe run",
        )
    return found


def _known(log: Path, scratch: Path) -> ServiceManager | None:
    found: ServiceManager | None = None
    if sys.platform == "win32":
        from service.os_service.task_scheduler import WindowsTasks, this_user  # noqa: PLC0415 - only on its platform

        found = WindowsTasks(user=this_user(), scratch=scratch, log=log)
    elif sys.platform == "darwin":
        from service.os_service.launchd import Launchd  # noqa: PLC0415 - only on its platform

        found = Launchd(agents=Path.home() / "Library" / "LaunchAgents", uid=os.getuid(), log=log)
    elif sys.platform == "linux":
        from service.os_service.systemd import Systemd, config_home  # noqa: PLC0415 - only on its platform

        found = Systemd(config_home=config_home())
    return found
