"""Holds: why submission is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watcher.ledger.transaction import Transaction

__all__ = ["lift_hold", "put_hold"]


def put_hold(tx: Transaction, name: str, *, now: float, reason: str, fix: str = "", until: float | None = None) -> None:
    """Stop submission, or change the reason and end of a hold that is in force."""
    tx.execute("put_hold", name=name, now=now, until=until, reason=reason, fix=fix)


def lift_hold(tx: Transaction, name: str) -> bool:
    """Lift a hold; returns whether it was in force."""
    return tx.execute("drop_hold", name=name) > 0
