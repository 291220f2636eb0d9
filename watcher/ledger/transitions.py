"""Which state of an entry may follow which. Pure.

    WAITING ──► SUBMITTING ──► SUBMITTED ──► TRANSCRIBED ──► DONE
       ▲            │              │              │
       └── retry ───┴──────────────┴──────────────┘        FAILED  SKIPPED  CANCELLED  HELD

A person's word (retry, approve, cancel) may do what Dropscribe never does by itself: those moves are apart.
"""

from __future__ import annotations

from watcher.errors import DropscribeError
from watcher.models import EntryState

__all__ = ["AUTOMATIC", "USER_REQUESTS", "IllegalMove", "check_move"]

_S = EntryState

AUTOMATIC: dict[EntryState, frozenset[EntryState]] = {
    # A copy of a recording that is already transcribed goes straight to TRANSCRIBED.
    _S.WAITING: frozenset({_S.SUBMITTING, _S.TRANSCRIBED, _S.SKIPPED, _S.CANCELLED, _S.FAILED, _S.HELD}),
    _S.SUBMITTING: frozenset({_S.SUBMITTED, _S.WAITING, _S.FAILED, _S.CANCELLED, _S.HELD}),
    _S.SUBMITTED: frozenset({_S.TRANSCRIBED, _S.FAILED, _S.CANCELLED, _S.HELD}),
    # Back to SUBMITTED: what was stored is damaged; it is fetched from the job again, at no cost.
    _S.TRANSCRIBED: frozenset({_S.DONE, _S.SUBMITTED, _S.FAILED, _S.CANCELLED, _S.HELD}),
    # A read that failed for want of permission is tried again by each scan.
    _S.FAILED: frozenset({_S.WAITING}),
    _S.DONE: frozenset(),
    _S.SKIPPED: frozenset(),
    _S.CANCELLED: frozenset(),
    # Only with certainty: its job was found (it is adopted, at no cost), or was shown never to have been created; then
    # it waits again, or is given up where other content took its place.
    _S.HELD: frozenset({_S.SUBMITTED, _S.WAITING, _S.CANCELLED}),
}

USER_REQUESTS: dict[EntryState, frozenset[EntryState]] = {
    _S.WAITING: frozenset({_S.CANCELLED, _S.WAITING}),
    _S.SUBMITTING: frozenset({_S.CANCELLED}),
    _S.SUBMITTED: frozenset({_S.CANCELLED}),
    _S.TRANSCRIBED: frozenset({_S.CANCELLED, _S.TRANSCRIBED}),
    # Publishing again what is stored costs nothing.
    _S.DONE: frozenset({_S.TRANSCRIBED}),
    _S.FAILED: frozenset({_S.WAITING, _S.CANCELLED}),
    _S.SKIPPED: frozenset({_S.WAITING}),
    # A job that may exist is looked for before anything is paid again.
    _S.CANCELLED: frozenset({_S.WAITING, _S.SUBMITTING}),
    _S.HELD: frozenset({_S.WAITING, _S.SUBMITTED, _S.CANCELLED}),
}


class IllegalMove(DropscribeError):
    """An entry can't go from the state it is in to the one that was asked for."""


def check_move(origin: EntryState, target: EntryState, *, user_request: bool = False) -> None:
    """Raise IllegalMove unless an entry may go from `origin` to `target`.

    A person may not do all that Dropscribe does by itself: what is being submitted waits again only if no job exists.
    """
    if target in (USER_REQUESTS if user_request else AUTOMATIC)[origin]:
        return
    raise IllegalMove(f"An entry that is {origin} can't become {target}.")
