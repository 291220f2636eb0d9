"""Opens files, folders and pages with the programs of the user's desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CannotOpen", "menu_hint", "open_page", "open_path"]


class CannotOpen(Exception):
    """Nothing could be opened; says what, and why."""


def menu_hint() -> str:
    """Say what the icon's menu needs here that isn't installed; empty where it has one.

    On Linux the menu is drawn by GTK, through PyGObject; with plain X11 a click opens the page.
    """
    hint = ""
    if sys.platform == "linux" and find_spec("gi") is None:
        hint = (
            "The icon has no menu yet: a click opens the page. For a menu, install PyGObject for this Python "
            f"({sys.executable} -m pip install PyGObject) and your system's GTK for it (Debian: gir1.2-gtk-3.0 "
            "gir1.2-ayatanaappindicator3-0.1)."
        )
    return hint


def open_page(url: str) -> None:
    """Open an address in the browser.

    Raises:
        CannotOpen: there is no browser.
    """
    if not webbrowser.open(url):
        raise CannotOpen("No browser was found. `dropscribe open` prints the page's address.")


def open_path(path: str) -> None:
    """Open a file with its program, a folder in the file manager.

    Raises:
        CannotOpen: it isn't there, or nothing opens it.
    """
    if not Path(path).is_absolute():
        raise CannotOpen(f"{path} is no absolute path.")
    if not Path(path).exists():
        raise CannotOpen(f"{path} isn't there any more; it was moved or deleted.")
    if sys.platform == "win32":
        os.startfile(path)  # noqa: S606 - a transcript of ours or a folder of the config
    else:
        _spawn(_opener(), path)


def _opener() -> Sequence[str]:
    for candidate in (("open",),) if sys.platform == "darwin" else (("xdg-open",), ("gio", "open")):
        if shutil.which(candidate[0]):
            return candidate
    raise CannotOpen("Neither xdg-open nor gio is installed (Debian: xdg-utils).")


def _spawn(opener: Sequence[str], path: str) -> None:
    """Start the opener without waiting for it, and let it outlive the tray."""
    process = subprocess.Popen(  # noqa: S603 - fixed programs; an absolute path can't be taken for an option
        [*opener, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    threading.Thread(target=process.wait, daemon=True, name="opener").start()  # or it would stay as a zombie
