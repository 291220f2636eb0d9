"""How child processes of our own interpreter are started, so that no file of the user's can run as code in them.

`-P` keeps the current folder, or the script's folder, off the module path. The working directory is the interpreter's
own folder: who can write there can change the program anyway. An empty entry of PYTHONPATH, a common slip, means the
current folder, and is left out. What PYTHONPATH names, and the user's site-packages with their `usercustomize`, are
kept: the user chose them, and a Dropscribe that was installed with `pip install --user` is found in no other way.
PYTHONSAFEPATH is not set, because the commands in `on_done` would inherit it.
"""

from __future__ import annotations

import os
import sys

__all__ = ["WORKING_DIRECTORY", "child_environment", "python_command"]

WORKING_DIRECTORY = sys.prefix


def python_command(*arguments: str) -> list[str]:
    """Return the command that runs this interpreter with these arguments."""
    return [sys.executable, "-P", *arguments]


def child_environment(**more: str) -> dict[str, str]:
    """Return this process's environment for a child that runs elsewhere, with `more` added."""
    environment = {**os.environ, **more}
    if "PYTHONPATH" in environment:
        named = [os.path.abspath(entry) for entry in environment["PYTHONPATH"].split(os.pathsep) if entry]  # noqa: PTH100 - links stay
        environment["PYTHONPATH"] = os.pathsep.join(named)
    return environment
