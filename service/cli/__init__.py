"""The `dropscribe` command."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 failed, 2 wrong usage, 78 config or ledger)."""
    if arguments is None:
        _leave_out_the_scripts_folder()
    from service.cli.app import run_app  # noqa: PLC0415 - `import service.cli` stays cheap

    return run_app(sys.argv[1:] if arguments is None else arguments)


def _leave_out_the_scripts_folder() -> None:
    """Take the folder of the `dropscribe` script off the module path, where the interpreter put it first.

    After `pip install --user` that is `~/.local/bin`: a `random.py` of the user's there would run as ours.
    """
    folder = os.path.dirname(os.path.realpath(sys.argv[0]))  # noqa: PTH120 - pathlib takes long to import
    if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0]) == folder:
        del sys.path[0]
