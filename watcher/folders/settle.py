"""Is a file whole? A pure state machine: what was observed, and when, goes in; what to do comes out.

A recording is whole when

- the OS said that its writer closed it and it has been quiet for a moment since, or it has been quiet for
  `settle` seconds; and
- nobody holds it open for writing, where the platform can tell; and
- its container isn't visibly cut short. One that stays so for `patience` seconds is let through as
  incomplete, so that it ends as an explained failure instead of waiting for ever.

A writer that pauses and goes on teaches us its rhythm: from then on the quiet must be twice its longest pause.
"""

from __future__ import annotations

import enum
import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.folders.sightings import Sighting

__all__ = ["Candidate", "Decision", "Observation", "Outcome", "Patience", "Settler"]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds.

    Attributes:
        settle: quiet needed when nobody said that the file was closed.
        closed: quiet needed after it was closed.
        incomplete: quiet after which a container that is cut short is given up on.
        longest: no rhythm of a writer asks for more quiet than this.
        trusted_age: how much older than `settle` a file's times must be to be believed without watching it
            for that long. Zero on a local disk; more on a share, whose clock may be wrong.
    """

    settle: float = 2.0
    closed: float = 0.2
    incomplete: float = 60.0
    longest: float = 120.0
    trusted_age: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a file.

    Attributes:
        sighting: what it was; None when it is gone, or no regular file any more.
        written_by_others: whether somebody has it open for writing; None where the platform can't tell.
        complete: whether its container is all there; None where that can't be seen.
        problem: why it can't be looked at (no permission); empty when it can.
    """

    sighting: Sighting | None
    written_by_others: bool | None = None
    complete: bool | None = None
    problem: str = ""


class Outcome(enum.Enum):
    """What to do with a candidate."""

    WAIT = enum.auto()
    WHOLE = enum.auto()
    CUT_SHORT = enum.auto()
    UNREADABLE = enum.auto()
    GONE = enum.auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why.

    Attributes:
        outcome: what to do.
        reason: why, in words.
        wait: seconds until the next look; zero unless the outcome is WAIT.
    """

    outcome: Outcome
    reason: str = ""
    wait: float = 0.0


@dataclass(slots=True)
class Candidate:
    """A file that may become a settled recording. Times are monotonic seconds.

    Attributes:
        path: where it is.
        since: when it was first noticed.
        last: how it was at the last look.
        changed_at: when it was last known to change.
        quiet_since_close: when its writer last closed it; None when it wasn't seen being closed.
        rhythm: the quiet that its writer's pauses ask for.
        looks: how often it was found still open for writing in a row.
        only_found: a scan found it and the OS said nothing of it.
        reason: why it isn't settled.
        due: when to look at it next.
    """

    path: Path
    since: float
    changed_at: float
    due: float
    last: Sighting | None = None
    quiet_since_close: float | None = None
    rhythm: float = 0.0
    looks: int = 0
    only_found: bool = False
    reason: str = "It was just noticed."


_GROWING_LOOKS = (0.5, 1.0, 2.0, 5.0, 10.0)


def decide(candidate: Candidate, seen: Observation, patience: Patience, *, now: float, wall: float) -> Decision:
    """Look at a candidate once more; updates it.

    Args:
        candidate: what is known about the file.
        seen: how it is now.
        patience: how long to wait.
        now: monotonic seconds.
        wall: unix time, for comparing with the file's own times.
    """
    if seen.sighting is None and not seen.problem:
        return Decision(Outcome.GONE, "It is gone.")
    if seen.sighting is None or seen.problem:
        # Waiting longer doesn't help: whoever takes it next says what is wrong with it.
        left = patience.settle - (now - candidate.since)
        return (
            Decision(Outcome.WAIT, seen.problem, wait=left) if left > 0 else Decision(Outcome.UNREADABLE, seen.problem)
        )
    known = _note_change(candidate, seen.sighting, patience, now)
    if seen.written_by_others:
        wait = _GROWING_LOOKS[min(candidate.looks, len(_GROWING_LOOKS) - 1)]
        candidate.looks += 1
        return Decision(Outcome.WAIT, "A program still has it open for writing.", wait=wait)
    candidate.looks = 0
    needed = _quiet_needed(candidate, seen, patience)
    quiet = _quiet(candidate, seen, patience, known=known, now=now, wall=wall)
    if quiet < needed:
        return Decision(Outcome.WAIT, f"It has not been quiet for {needed:g} s yet.", wait=needed - quiet)
    if seen.complete is False:
        return Decision(Outcome.CUT_SHORT, "Its container is cut short, and nobody goes on writing it.")
    return Decision(Outcome.WHOLE)


def _note_change(candidate: Candidate, now_is: Sighting, patience: Patience, now: float) -> bool:
    """Take in how the file is; return whether an earlier look can be compared with this one."""
    before, candidate.last = candidate.last, now_is
    if before is None:
        return False
    if before.version != now_is.version or before.ctime_ns != now_is.ctime_ns:
        pause = now - candidate.changed_at
        if before.version != now_is.version and pause > patience.closed:
            candidate.rhythm = min(max(candidate.rhythm, 2 * pause), patience.longest)
        candidate.changed_at = now
    return True


def _quiet_needed(candidate: Candidate, seen: Observation, patience: Patience) -> float:
    if seen.complete is False:
        return max(patience.incomplete, candidate.rhythm)
    closed = candidate.quiet_since_close is not None
    return max(patience.closed if closed else patience.settle, candidate.rhythm)


def _quiet(
    candidate: Candidate, seen: Observation, patience: Patience, *, known: bool, now: float, wall: float
) -> float:
    """Seconds since the file last changed, as far as that can be told."""
    assert seen.sighting is not None  # noqa: S101 - the caller has looked
    watched = now - candidate.changed_at
    if candidate.quiet_since_close is not None:
        free = seen.written_by_others is False
        return watched if known or free else 0.0
    age = wall - max(seen.sighting.mtime_ns, seen.sighting.ctime_ns) / 1e9 - patience.trusted_age
    return max(watched if known else 0.0, age)


@dataclass(slots=True)
class Settler:
    """All candidates of a watch folder, and when to look at which. Pure: time is passed in."""

    patience: Patience
    candidates: dict[Path, Candidate] = field(default_factory=dict)
    _queue: list[tuple[float, int, Path]] = field(default_factory=list)
    _count: int = 0

    def notice(self, path: Path, now: float, *, closed: bool = False, found: bool = False) -> bool:
        """Take in a sign of life of a file; return whether it is a new candidate.

        Args:
            path: the file.
            now: monotonic seconds.
            closed: the OS said that its writer closed it, or it got its name by a rename.
            found: a scan found it, which says nothing about when it changed.
        """
        candidate = self.candidates.get(path)
        fresh = candidate is None
        if candidate is None:
            candidate = self.candidates[path] = Candidate(path, now, now, now, only_found=found)
            self._schedule(candidate, now if found else now + self.patience.closed)
        elif found:
            return False
        candidate.only_found = candidate.only_found and found
        if closed:
            self._note_close(candidate, now)
        elif not fresh:
            # Written again after it was closed: the close no longer means that it is whole.
            candidate.changed_at = now
        return fresh

    def _note_close(self, candidate: Candidate, now: float) -> None:
        if candidate.quiet_since_close is not None:
            pause = now - candidate.quiet_since_close
            if pause > self.patience.closed:
                candidate.rhythm = min(max(candidate.rhythm, 2 * pause), self.patience.longest)
        candidate.quiet_since_close = candidate.changed_at = now
        candidate.looks = 0
        self._schedule(candidate, now + self.patience.closed)

    def moved(self, old: Path, new: Path, now: float) -> None:
        """A candidate got another name: what is known about it goes along."""
        candidate = self.candidates.pop(old, None)
        if candidate is not None and new not in self.candidates:
            candidate.path = new
            self.candidates[new] = candidate
            self._schedule(candidate, now + self.patience.closed)

    def forget(self, path: Path) -> None:
        """The file is no candidate any more."""
        self.candidates.pop(path, None)

    def due(self, now: float, limit: int = 500) -> list[Candidate]:
        """Take the candidates that want to be looked at now, at most `limit`."""
        ready: list[Candidate] = []
        while self._queue and self._queue[0][0] <= now and len(ready) < limit:
            at, _, path = heapq.heappop(self._queue)
            candidate = self.candidates.get(path)
            if candidate is not None and candidate.due == at:
                ready.append(candidate)
        return ready

    def next_due(self) -> float | None:
        """When the next candidate wants to be looked at, in monotonic seconds."""
        while self._queue:
            at, _, path = self._queue[0]
            candidate = self.candidates.get(path)
            if candidate is not None and candidate.due == at:
                return at
            heapq.heappop(self._queue)
        return None

    def look(self, candidate: Candidate, seen: Observation, *, now: float, wall: float) -> Decision:
        """Decide about a candidate; one that goes on waiting is scheduled anew, any other is let go."""
        decision = decide(candidate, seen, self.patience, now=now, wall=wall)
        if decision.outcome is Outcome.WAIT:
            candidate.reason = decision.reason
            self._schedule(candidate, now + max(decision.wait, 0.02))
        else:
            self.candidates.pop(candidate.path, None)
        return decision

    def look_again(self, candidate: Candidate, at: float, reason: str) -> None:
        """Keep a candidate for another reason, and look at it at `at` (monotonic seconds)."""
        candidate.reason = reason
        self.candidates[candidate.path] = candidate
        self._schedule(candidate, at)

    def _schedule(self, candidate: Candidate, at: float) -> None:
        self._count += 1
        candidate.due = at
        heapq.heappush(self._queue, (at, self._count, candidate.path))
