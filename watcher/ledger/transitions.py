"""Which state of an entry may follow which. Pure.

    WAITING ──► SUBMITTING ──► SUBMITTED ──► TRANSCRIBED ──► DONE
       ▲            │              │              │
       └── retry ───┴──────────────┴──────────────┘        FAILED  SKIPPED  CANCELLED  HELD

A user request (retry, cancel) may make moves that Dropscribe never makes by itself, so the two tables are separate.
An entry that is added as SKIPPED or FAILED gets that state without a move.
"""

from __future__ import annotations

from watcher.errors import DropscribeError
from watcher.models import EntryState

__all__ = ["AUTOMATIC", "USER_REQUESTS", "IllegalMove", "check_move"]

_S = EntryState

AUTOMATIC: dict[EntryState, frozenset[EntryState]] = {
    # A copy of a recording that is already transcribed goes straight to TRANSCRIBED.
    _S.WAITING: frozenset({_S.SUBMITTING, _S.TRANSCRIBED, _S.CANCELLED}),
    _S.SUBMITTING: frozenset({_S.SUBMITTED, _S.WAITING, _S.FAILED, _S.CANCELLED, _S.HELD}),
    _S.SUBMITTED: frozenset({_S.TRANSCRIBED, _S.FAILED, _S.HELD}),
    # Back to SUBMITTED: the stored transcript is damaged; it is fetched from the job again, at no cost.
    _S.TRANSCRIBED: frozenset({_S.DONE, _S.SUBMITTED, _S.CANCELLED, _S.HELD}),
    _S.DONE: frozenset(),
    _S.FAILED: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.CANCELLED: frozenset(),
    # Only with certainty. Its job was found and is adopted at no cost; or it was never created, and then the entry
    # waits again, or is cancelled if other content took its place.
    _S.HELD: frozenset({_S.SUBMITTED, _S.WAITING, _S.CANCELLED}),
}

USER_REQUESTS: dict[EntryState, frozenset[EntryState]] = {
    _S.WAITING: frozenset({_S.CANCELLED}),
    _S.SUBMITTING: frozenset({_S.CANCELLED}),
    _S.SUBMITTED: frozenset({_S.CANCELLED}),
    _S.TRANSCRIBED: frozenset({_S.CANCELLED}),
    # Publishing the stored transcript again costs nothing.
    _S.DONE: frozenset({_S.TRANSCRIBED}),
    _S.FAILED: frozenset({_S.WAITING, _S.CANCELLED}),
    _S.SKIPPED: frozenset({_S.WAITING}),
    # SUBMITTING: a job may exist, and is looked for before anything is paid again.
    _S.CANCELLED: frozenset({_S.WAITING, _S.SUBMITTING}),
    _S.HELD: frozenset({_S.WAITING, _S.SUBMITTED, _S.CANCELLED}),
}


class IllegalMove(DropscribeError):
    """An entry can't go from its present state to the requested one."""


def check_move(name: str, origin: EntryState, target: EntryState, *, user_request: bool = False) -> None:
    """Raise IllegalMove unless an entry of this name may go from `origin` to `target`.

    The user may not make every automatic move: an entry that is being submitted waits again only if no job exists.
    """
    if target in (USER_REQUESTS if user_request else AUTOMATIC)[origin]:
        return
    if target is origin:
        raise IllegalMove(f"{name} is already {origin.lower()}.")
    raise IllegalMove(f"{name} is {origin.lower()} and can't become {target.lower()}.")
