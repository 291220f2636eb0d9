"""The `dropscribe` command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status (0 done, 1 failed, 2 wrong usage, 78 config or ledger)."""
    from service.cli.app import run_app  # noqa: PLC0415 - `import service.cli` stays cheap

    return run_app(sys.argv[1:] if arguments is None else arguments)
