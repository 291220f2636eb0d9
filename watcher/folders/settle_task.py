"""Looks at a watch folder's candidates when they are due, and hands on those that are whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from watcher.errors import ConfigError
from watcher.folders.model import Settled, Sighting
from watcher.folders.stability.decide import Candidate, Outcome
from watcher.folders.stability.observe import inspect_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from watcher.folders.outbox import Delivery
    from watcher.folders.root import Root
    from watcher.folders.rules.overrides import Marks
    from watcher.folders.stability.decide import Observation

__all__ = ["Settling"]

_HANDED_ON = frozenset({Outcome.WHOLE, Outcome.CUT_SHORT, Outcome.UNREADABLE})


class Settling:
    """The task that settles one watch folder's candidates.

    Args:
        root: the watch folder.
        delivery: where whole recordings go.
        own_outputs: says whether a file is one that Dropscribe wrote.
    """

    def __init__(self, root: Root, delivery: Delivery, own_outputs: Callable[[Path], Awaitable[bool]] | None) -> None:
        self._root = root
        self._delivery = delivery
        self._own_outputs = own_outputs

    async def run(self) -> None:
        """Look at what is due, for ever."""
        root = self._root
        while True:
            now = root.clock.monotonic()
            if due := root.settler.due(now):
                root.in_hand += len(due)
                try:
                    await self._look(due)
                finally:
                    root.in_hand -= len(due)
                self._delivery.progressed()
                continue
            root.settle_wake.clear()
            at = root.settler.next_due()
            try:
                async with asyncio.timeout(None if at is None else max(0.0, at - now)):
                    await root.settle_wake.wait()
            except TimeoutError:
                continue

    async def _look(self, due: list[Candidate]) -> None:
        root = self._root
        began = root.clock.monotonic()
        seen = await root.run(_inspect, root.marks, [candidate.path for candidate in due])
        now, wall = root.clock.monotonic(), root.clock.now()
        whole: list[tuple[Candidate, Sighting, Outcome]] = []
        for candidate, observation in zip(due, seen, strict=True):
            decision = root.settler.look(candidate, observation, began=began, now=now, wall=wall)
            root.unreadable.pop(candidate.path, None)
            if decision.outcome is Outcome.UNREADABLE:
                root.unreadable[candidate.path] = decision.reason
            if decision.outcome in _HANDED_ON:
                sighting = observation.sighting or Sighting(candidate.path, 0, 0, 0, 0, 0)
                whole.append((candidate, sighting, decision.outcome))
        if not whole:
            return
        known = await self._delivery.known([sighting for _, sighting, _ in whole])
        for (candidate, sighting, outcome), is_known in zip(whole, known, strict=True):
            if not is_known and self._delivery.is_new(sighting):
                await self._hand_on(candidate, sighting, outcome)

    async def _hand_on(self, candidate: Candidate, found: Sighting, outcome: Outcome) -> None:
        root = self._root
        if not root.verdict(found.path, size=found.size).accepted:
            return
        root.blocked.pop(found.path, None)
        try:
            folder = root.marks.settings(found.path.parent)
        except ConfigError as error:
            root.blocked[found.path] = root.clock.now(), str(error)
            return
        if root.folder.include and self._own_outputs is not None and await self._own_outputs(found.path):
            return
        settled = Settled(
            folder=folder,
            path=found.path,
            size=found.size,
            mtime_ns=found.mtime_ns,
            inode=found.inode,
            was_there_before=root.baseline.was_there(candidate, found),
            complete=outcome is Outcome.WHOLE,
        )
        await self._delivery.settled(settled)


def _inspect(marks: Marks, paths: list[Path]) -> list[Observation]:
    """Do all the I/O that deciding about candidates takes. Blocking, perhaps for long on a dead share."""
    seen = inspect_all(paths)
    marks.check({path.parent for path in paths})
    return seen
