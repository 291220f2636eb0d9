"""Is a file complete? A pure state machine: observations and times go in, decisions come out.

A recording is complete when

- the OS reported that its writer closed it and it has been quiet for a moment since, or it has been quiet for
  `settle` seconds; and
- no process has it open for writing, where the platform can tell; and
- its container isn't visibly truncated. An interrupted copy stays truncated: once no process has it open and it has
  been quiet for long, it is delivered as truncated, so that it ends as an explained failure; and
- if its times have only whole seconds, they are older than the file system's resolution: a change within that time
  would go unnoticed.

If a writer pauses and continues, the quiet needed becomes twice its longest pause.
"""

from __future__ import annotations

import enum
import heapq
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.folders.model import Sighting

__all__ = ["Candidate", "CandidateQueue", "Decision", "Observation", "Outcome", "StabilityPolicy"]


@dataclass(frozen=True, slots=True)
class StabilityPolicy:
    """How long to wait, in seconds.

    Attributes:
        settle: quiet needed if the OS did not report that the file was closed.
        closed: quiet needed after it was closed, if its container is known to be complete.
        closed_unsure: quiet needed after it was closed, if its container doesn't tell.
        incomplete: quiet after which a truncated container that no process has open counts as final.
        abandoned: the same where the platform can't tell whether it is open: on a share, or on macOS.
        longest: the most quiet that a writer's pauses can require.
        trusted_age: how much older than `settle` a file's times must be to be trusted without observing the file
            for that long. Zero on a local disk; more on a share, whose clock may be wrong.
    """

    settle: float = 2.0
    closed: float = 0.2
    closed_unsure: float = 1.0
    incomplete: float = 60.0
    abandoned: float = 600.0
    longest: float = 120.0
    trusted_age: float = 0.0


@dataclass(frozen=True, slots=True)
class Observation:
    """A file as it was observed once.

    Attributes:
        sighting: its size, times and identity; None if it is gone, or no longer a regular file.
        has_writer: whether a process has it open for writing; None where the platform can't tell.
        complete: whether its container is complete; None if its format doesn't tell.
        problem: why it can't be read (e.g. no permission); empty if it can.
    """

    sighting: Sighting | None
    has_writer: bool | None = None
    complete: bool | None = None
    problem: str = ""


class Outcome(enum.Enum):
    """What to do with a candidate."""

    WAIT = enum.auto()
    WHOLE = enum.auto()
    TRUNCATED = enum.auto()
    UNREADABLE = enum.auto()
    GONE = enum.auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why.

    Attributes:
        outcome: what to do.
        reason: why, in words.
        wait: seconds until the next observation; zero unless the outcome is WAIT.
    """

    outcome: Outcome
    reason: str = ""
    wait: float = 0.0


@dataclass(slots=True)
class Candidate:
    """A file that may become a settled recording. Times are monotonic seconds.

    Attributes:
        since: when it was first noticed.
        changed_at: when it last changed or was closed, as far as is known.
        due: when to observe it next.
        event_at: when the OS last reported an event for it.
        observed_at: when it was last observed.
        last: the sighting at that time.
        closed: whether its writer closed it, and no writer was seen since.
        longest_quiet: the longest quiet seen since the last change.
        rhythm: the quiet that its writer's pauses require.
        writer_checks: how often in a row it was found open for writing.
        found_by_scan: a scan found it, and the OS reported no event for it.
        preexisting: it was in the folder before the folder was first watched, unless its times show otherwise.
        reason: why it isn't settled.
    """

    path: Path
    since: float
    changed_at: float
    due: float
    event_at: float
    observed_at: float = 0.0
    last: Sighting | None = None
    closed: bool = False
    longest_quiet: float = 0.0
    rhythm: float = 0.0
    writer_checks: int = 0
    found_by_scan: bool = False
    preexisting: bool = False
    reason: str = "It has just been noticed."


_WRITER_CHECKS = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds between observations of a file that is open for writing. The OS reports most closes anyway."""
_ROUNDING = 0.001
_SECOND = 1_000_000_000
_COARSEST = 2.0
_RARELY = 5.0
"""The most seconds between observations of a file that needs long quiet: its writer may finish earlier."""


def decide(candidate: Candidate, seen: Observation, policy: StabilityPolicy, *, now: float, wall: float) -> Decision:
    """Decide about a candidate after one more observation, which is recorded in the candidate.

    Args:
        candidate: what is known about the file.
        seen: the new observation.
        policy: how long to wait.
        now: monotonic seconds.
        wall: Unix time, to compare with the file's own times.
    """
    if seen.problem:
        # Waiting longer doesn't help: the intake reports what is wrong with it.
        left = policy.settle - (now - candidate.since)
        outcome = Outcome.WAIT if left > 0 else Outcome.UNREADABLE
        return Decision(outcome, seen.problem, wait=max(left, 0.0))
    if seen.sighting is None:
        return Decision(Outcome.GONE, "It is gone.")
    compared = _note(candidate, seen.sighting, policy, now)
    candidate.observed_at = now
    if seen.has_writer:
        wait = _WRITER_CHECKS[min(candidate.writer_checks, len(_WRITER_CHECKS) - 1)]
        candidate.writer_checks += 1
        candidate.closed = False
        return Decision(Outcome.WAIT, "A program still has it open for writing.", wait=wait)
    candidate.writer_checks = 0
    needed = _quiet_needed(candidate, seen, policy)
    quiet = _quiet(candidate, seen, policy, compared=compared, now=now, wall=wall)
    if quiet < needed - _ROUNDING:
        why = f"It has not been unchanged for {needed:g} s yet."
        if seen.complete is False:
            why = f"It is not complete yet. If nothing writes to it for {needed:g} s, it counts as interrupted."
        return Decision(Outcome.WAIT, why, wait=min(needed - quiet, _RARELY))
    if (blurred := _blurred(seen.sighting, wall)) > 0:
        return Decision(
            Outcome.WAIT,
            "Its file system's timestamps are too coarse; Dropscribe waits a moment to be sure.",
            wait=blurred,
        )
    if seen.complete is False:
        return Decision(Outcome.TRUNCATED, "The file is incomplete, and nothing is writing to it any more.")
    return Decision(Outcome.WHOLE)


def _blurred(found: Sighting, wall: float) -> float:
    """Return the seconds until any further change is certain to change the file's times.

    FAT has timestamps in steps of 2 s, some NFS servers in steps of 1 s. Content that is replaced by different content
    of the same length within such a step would look as if it were in the ledger already.
    """
    if found.mtime_ns % _SECOND:
        return 0.0
    age = wall - found.mtime_ns / _SECOND
    return _COARSEST - age if 0 <= age < _COARSEST else 0.0


def _note(candidate: Candidate, found: Sighting, policy: StabilityPolicy, now: float) -> bool:
    """Record a sighting; return whether there was an earlier one to compare with."""
    before, candidate.last = candidate.last, found
    if before is None:
        return False
    if (before.version, before.ctime_ns) == (found.version, found.ctime_ns):
        candidate.longest_quiet = max(candidate.longest_quiet, now - candidate.changed_at)
        return True
    went_on = before.inode == found.inode and before.size > 0 and before.version != found.version
    if went_on and candidate.longest_quiet > policy.closed:
        candidate.rhythm = min(max(candidate.rhythm, 2 * candidate.longest_quiet), policy.longest)
    candidate.longest_quiet = 0.0
    explained = candidate.closed and candidate.event_at >= candidate.observed_at
    if not explained:
        candidate.changed_at = now
    return True


def _quiet_needed(candidate: Candidate, seen: Observation, policy: StabilityPolicy) -> float:
    if seen.complete is False:
        free = seen.has_writer is False
        return max(policy.incomplete if free else policy.abandoned, candidate.rhythm)
    closed = policy.closed if seen.complete else policy.closed_unsure
    return max(min(closed, policy.settle) if candidate.closed else policy.settle, candidate.rhythm)


def _quiet(
    candidate: Candidate, seen: Observation, policy: StabilityPolicy, *, compared: bool, now: float, wall: float
) -> float:
    """Return the seconds since the file last changed, as far as is known."""
    assert seen.sighting is not None  # noqa: S101 - checked by the caller
    watched = now - candidate.changed_at
    if candidate.closed:
        # Without knowing that it has no writer, only a second observation shows that it stays the same.
        return watched if compared or seen.has_writer is False else 0.0
    age = wall - max(seen.sighting.mtime_ns, seen.sighting.ctime_ns) / 1e9 - policy.trusted_age
    return max(watched if compared else 0.0, age)


@dataclass(slots=True)
class CandidateQueue:
    """The candidates of a watch folder, and when to observe each. Pure: time is passed in."""

    policy: StabilityPolicy
    candidates: dict[Path, Candidate] = field(default_factory=dict)
    _queue: list[tuple[float, int, Path]] = field(default_factory=list)
    _count: int = 0

    def notice(self, path: Path, now: float, *, closed: bool = False, found: bool = False, wait: float = 0.0) -> bool:
        """Record activity on a file; return whether it is a new candidate.

        Args:
            path: the file.
            now: monotonic seconds.
            closed: the OS reported that its writer closed it, or that it was renamed to this path.
            found: a scan found it, which doesn't tell when it changed.
            wait: seconds until the first observation of a new candidate that a scan found.
        """
        candidate = self.candidates.get(path)
        if candidate is None:
            first = now + (wait if found else self.policy.closed)
            self.candidates[path] = Candidate(path, now, now, first, now, closed=closed, found_by_scan=found)
            self._schedule(self.candidates[path], first)
            return True
        if found:
            return False
        candidate.found_by_scan = False
        candidate.event_at = candidate.changed_at = now
        candidate.closed = candidate.closed or closed
        if closed:
            candidate.writer_checks = 0
            self._schedule(candidate, now + self.policy.closed)
        return False

    def moved(self, old: Path, new: Path, now: float) -> None:
        """Record a rename of a candidate; any other candidate at the new path is gone."""
        candidate = self.candidates.pop(old, None)
        self.candidates.pop(new, None)
        if candidate is not None:
            candidate.path = new
            candidate.event_at = now
            self.candidates[new] = candidate
            self._schedule(candidate, now + self.policy.closed)

    def forget(self, path: Path) -> None:
        """Drop a candidate, if the file is one."""
        self.candidates.pop(path, None)

    def due(self, now: float, limit: int = 500) -> list[Candidate]:
        """Return the candidates that are due, at most `limit`; each must then be passed to `decide`."""
        ready: list[Candidate] = []
        while self._queue and self._queue[0][0] <= now and len(ready) < limit:
            at, _, path = heapq.heappop(self._queue)
            candidate = self.candidates.get(path)
            if candidate is not None and candidate.due == at:
                candidate.due = math.inf  # the queue may contain it twice
                ready.append(candidate)
        return ready

    def next_due(self) -> float | None:
        """Return when the next candidate is due, in monotonic seconds; None without candidates."""
        while self._queue:
            at, _, path = self._queue[0]
            candidate = self.candidates.get(path)
            if candidate is not None and candidate.due == at:
                return at
            heapq.heappop(self._queue)
        return None

    def decide(self, candidate: Candidate, seen: Observation, *, began: float, now: float, wall: float) -> Decision:
        """Decide about a candidate. One that has to wait is scheduled again, any other is dropped.

        Args:
            candidate: one that `due` returned.
            seen: the new observation.
            began: when the observation began, in monotonic seconds; OS events since then are newer.
            now: monotonic seconds.
            wall: Unix time.
        """
        if self.candidates.get(candidate.path) is not candidate:
            return Decision(Outcome.GONE, "It was renamed or deleted.")
        if candidate.event_at > began:
            if candidate.due == math.inf:
                self._schedule(candidate, candidate.event_at + self.policy.closed)
            return Decision(Outcome.WAIT, candidate.reason)
        decision = decide(candidate, seen, self.policy, now=now, wall=wall)
        if decision.outcome is Outcome.WAIT:
            candidate.reason = decision.reason
            self._schedule(candidate, now + max(decision.wait, 0.02))
        else:
            del self.candidates[candidate.path]
        return decision

    def _schedule(self, candidate: Candidate, at: float) -> None:
        self._count += 1
        candidate.due = at
        heapq.heappush(self._queue, (at, self._count, candidate.path))
