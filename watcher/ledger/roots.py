"""Watch folders: whether the first scan of each is complete."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.ledger.transaction import Transaction

__all__ = ["finish_baseline", "watch_root"]


def watch_root(tx: Transaction, path: Path, *, now: float) -> None:
    """Note that this folder is watched."""
    tx.execute("put_root", path=os.fsencode(path), now=now)


def finish_baseline(tx: Transaction, path: Path) -> None:
    """Note that the first scan of this folder is complete: what is found from now on is new."""
    tx.execute("finish_baseline", path=os.fsencode(path))
