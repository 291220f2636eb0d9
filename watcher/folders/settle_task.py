"""Checks a watch folder's candidates when they are due, and delivers those that are complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.errors import ConfigError
from watcher.folders.model import Settled, Sighting
from watcher.folders.stability.decide import Candidate, Outcome
from watcher.loop import repeat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from watcher.folders.outbox import Outbox
    from watcher.folders.root import Root
    from watcher.folders.stability.decide import Observation

__all__ = ["SettleTask"]

_DELIVERED = frozenset({Outcome.WHOLE, Outcome.TRUNCATED, Outcome.UNREADABLE})


class SettleTask:
    """The task that settles one watch folder's candidates.

    Args:
        outbox: receives the complete recordings.
        is_own_output: returns whether Dropscribe wrote a file.
    """

    def __init__(self, root: Root, outbox: Outbox, is_own_output: Callable[[Path], Awaitable[bool]] | None) -> None:
        self._root = root
        self._outbox = outbox
        self._is_own_output = is_own_output

    async def run(self) -> None:
        """Check candidates when they are due, until cancelled."""
        await repeat(self._step, self._root.settle_wake)

    async def _step(self) -> float | None:
        """Check the candidates that are due; return the seconds until the next one is, or None without candidates."""
        root = self._root
        now = root.clock.monotonic()
        if due := root.queue.due(now):
            root.busy += len(due)
            try:
                await self._check(due)
            finally:
                root.busy -= len(due)
            self._outbox.notify_progress()
            return 0.0
        at = root.queue.next_due()
        return None if at is None else max(0.0, at - now)

    async def _check(self, due: list[Candidate]) -> None:
        root = self._root
        began = root.clock.monotonic()
        seen = await root.run(_observe, root, [candidate.path for candidate in due])
        now, wall = root.clock.monotonic(), root.clock.now()
        whole: list[tuple[Candidate, Sighting, Outcome]] = []
        for candidate, observation in zip(due, seen, strict=True):
            decision = root.queue.decide(candidate, observation, began=began, now=now, wall=wall)
            root.unreadable.pop(candidate.path, None)
            if decision.outcome is Outcome.UNREADABLE:
                root.unreadable[candidate.path] = decision.reason
            if decision.outcome in _DELIVERED:
                sighting = observation.sighting or Sighting(candidate.path, 0, 0, 0, 0, 0)
                whole.append((candidate, sighting, decision.outcome))
        if not whole:
            return
        known = await self._outbox.known([sighting for _, sighting, _ in whole])
        for (candidate, sighting, outcome), is_known in zip(whole, known, strict=True):
            if not is_known and self._outbox.is_new(sighting):
                await self._deliver(candidate, sighting, outcome)

    async def _deliver(self, candidate: Candidate, found: Sighting, outcome: Outcome) -> None:
        root = self._root
        if not root.verdict(found.path, size=found.size).accepted:
            return
        root.blocked.pop(found.path, None)
        try:
            folder = root.overrides.settings(found.path.parent)
        except ConfigError as error:
            root.blocked[found.path] = root.clock.now(), str(error)
            return
        if root.folder.include and self._is_own_output is not None and await self._is_own_output(found.path):
            return
        settled = Settled(
            folder=folder,
            path=found.path,
            size=found.size,
            mtime_ns=found.mtime_ns,
            inode=found.inode,
            preexisting=root.baseline.is_preexisting(candidate, found),
            complete=outcome is Outcome.WHOLE,
        )
        await self._outbox.put_settled(settled)


def _observe(root: Root, paths: list[Path]) -> list[Observation]:
    """Do all I/O needed to decide about candidates. Blocks, possibly for long on an unresponsive share."""
    seen = [root.files.observe(path) for path in paths]
    root.overrides.check({path.parent for path in paths})
    return seen
