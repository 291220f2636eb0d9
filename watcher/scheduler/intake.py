"""From a settled file to an entry: probe it, fingerprint it, and put it into the ledger.

Copies and renamed recordings are recognised here by their content. What is no recording gets an entry too, SKIPPED
or FAILED with its reason, so that it is not looked at again and `explain` can tell.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.errors import LedgerDamaged, OutputError, RecordingError
from watcher.files import exists, has_left, went_to
from watcher.folders import Moved
from watcher.ledger import IllegalMove, Ledger, NewEntry, config_key
from watcher.logs import get_logger
from watcher.models import EntryState
from watcher.scheduler.classify import classify
from watcher.scheduler.loop import Loop
from watcher.scheduler.retry import fault_delay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from watcher.folders import Settled
    from watcher.ledger import LedgerWorker
    from watcher.media import Prober
    from watcher.models import Entry, Fingerprint, Output, WatchFolder
    from watcher.runtime import Runtime
    from watcher.transcripts import TranscriptWriter

__all__ = ["Intake"]

_log = get_logger("intake")
_WORKERS = 3
"""One more than there are processes that probe, so that these needn't wait while fingerprints are taken."""
_LOOKED_AT_ONCE = 32
_BYTES_AT_ONCE = 16 << 20
"""Recordings this large together are a batch, so that none waits until many large ones are read."""
_BATCH = 200


@dataclass(frozen=True, slots=True)
class _Ready:
    settled: Settled
    new: NewEntry


class Intake:
    """Takes settled files in: several are probed at a time, and they enter the ledger in batches."""

    def __init__(
        self,
        ledger: LedgerWorker,
        prober: Prober,
        writer: TranscriptWriter,
        runtime: Runtime,
    ) -> None:
        self._ledger = ledger
        self._prober = prober
        self._writer = writer
        self._runtime = runtime
        self._ready: asyncio.Queue[_Ready] = asyncio.Queue(_BATCH)
        self._pending = 0
        self._faults: dict[Path, tuple[int, float]] = {}
        """How often reading it failed for a reason that is not its own, and the time before which it is left alone."""
        self._drained = asyncio.Event()
        self._drained.set()

    async def run(self, found: AsyncIterator[Settled | Moved]) -> None:
        """Take in what settles, for ever; cancel to stop."""
        work: asyncio.Queue[Settled] = asyncio.Queue(_WORKERS * _LOOKED_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            group.create_task(Loop("writing to the ledger", self._write).run())
            for _ in range(_WORKERS):
                group.create_task(Loop("classifying", lambda: self._classify_next(work)).run())
            async for item in found:
                if isinstance(item, Moved):
                    await self._follow_move(item)
                    continue
                self._pending += 1
                self._drained.clear()
                await work.put(item)

    async def drained(self) -> None:
        """Wait until everything taken in so far is in the ledger."""
        await self._drained.wait()

    async def _classify_next(self, work: asyncio.Queue[Settled]) -> float:
        """Take what has come together, up to a bound, and pass on what becomes of it."""
        batch = [await work.get()]
        size = batch[0].size
        while len(batch) < _LOOKED_AT_ONCE and size < _BYTES_AT_ONCE and not work.empty():
            batch.append(work.get_nowait())
            size += batch[-1].size
        due = [settled for settled in batch if await self._is_due(settled.path)]
        self._finish(len(batch) - len(due))
        for settled, new in zip(due, await classify(due, self._prober, self._runtime.in_thread), strict=True):
            self._note_fault(settled.path, failed=new is not None and new.state is EntryState.HELD)
            if new is None:
                self._finish(1)
            else:
                await self._ready.put(_Ready(settled, new))
        return 0.0

    async def _is_due(self, path: Path) -> bool:
        """Whether to look at a recording now: each scan finds again those whose reading failed."""
        if self._runtime.monotonic() >= self._faults.get(path, (0, 0.0))[1]:
            return True
        entry = await self._ledger(Ledger.at_path, path)
        return entry is None or entry.state is not EntryState.HELD  # a person asked for it

    def _note_fault(self, path: Path, *, failed: bool) -> None:
        times, _ = self._faults.pop(path, (0, 0.0))
        if failed:
            self._faults[path] = (
                times + 1,
                self._runtime.monotonic() + fault_delay(times + 1, self._runtime.timings.retry),
            )

    def _finish(self, count: int) -> None:
        self._pending -= count
        if not self._pending:
            self._drained.set()

    async def _write(self) -> float:
        """Add what is ready to the ledger, as many at a time as have come together."""
        batch = [await self._ready.get()]
        while len(batch) < _BATCH and not self._ready.empty():
            batch.append(self._ready.get_nowait())
        try:
            await self._add(batch)
        finally:
            # Should it have failed: what isn't in the ledger is handed on again by a later scan.
            self._finish(len(batch))
        return 0.0

    async def _add(self, batch: list[_Ready]) -> None:
        found = [(ready.new.path, ready.new.fingerprint.sha256) for ready in batch]
        alike = await self._ledger(Ledger.same_content_elsewhere, found)
        left = await self._runtime.in_thread(_which_have_left, alike)
        rest = [ready for ready, same in zip(batch, alike, strict=True) if not await self._follow(ready, same, left)]
        if not rest:
            return
        added = await self._add_when_possible(rest)
        for entry, is_new in added:
            if not is_new and entry.state is EntryState.DONE:
                await self._publish_again(entry)

    async def _add_when_possible(self, batch: list[_Ready]) -> list[tuple[Entry, bool]]:
        while True:
            try:
                return await self._ledger(Ledger.add, [ready.new for ready in batch], now=self._runtime.now())
            except OutputError as error:
                _log.warning("waiting until the ledger can be written", why=error.message)
                await asyncio.sleep(5)

    async def _follow_move(self, moved: Moved) -> None:
        """The OS said that a recording was renamed: its entry follows. What can't be done here, a scan does."""
        try:
            entry = await self._ledger(Ledger.at_path, moved.old)
            if entry is None or not _is_same_job(entry, moved.folder):
                return
            taken = await self._ledger(Ledger.at_path, moved.new) is not None
            if await self._runtime.in_thread(went_to, entry, moved.new, taken=taken):
                await self._relocate(entry, moved.folder.path, moved.new, entry.fingerprint)
        except LedgerDamaged:
            raise
        except Exception as error:  # noqa: BLE001 - what comes after it must still be taken in
            _log.warning("a move is looked into later", file=str(moved.new), why=str(error))

    async def _follow(self, ready: _Ready, same: list[Entry], left: set[int]) -> bool:
        """If this is a known recording that was renamed or moved, let its entry follow.

        Where it is to be transcribed otherwise than before, it is a new one.

        Args:
            ready: what was found.
            same: the entries with its content.
            left: the ids of those whose recording isn't where it was; one that follows is taken out.
        """
        new = ready.new
        for entry in same:
            if entry.id in left and _is_same_job(entry, ready.settled.folder):
                left.remove(entry.id)
                await self._relocate(entry, new.root, new.path, new.fingerprint)
                if entry.state is EntryState.DONE:
                    await self._publish_again(entry)
                return True
        return False

    async def _relocate(self, entry: Entry, root: Path, path: Path, found: Fingerprint) -> None:
        await self._ledger(
            Ledger.relocate,
            entry.id,
            root=root,
            path=path,
            size=found.size,
            mtime_ns=found.mtime_ns,
            now=self._runtime.now(),
        )
        _log.info("renamed", file=str(path), was=str(entry.path))
        outputs = await self._ledger(Ledger.outputs, entry.id)
        beside = tuple(output for output in outputs if output.path.parent == entry.path.parent)
        if not beside:
            return
        claimed = await self._ledger(Ledger.claimed_outputs, entry.id, path.parent, path.stem)
        try:
            now_at: tuple[Output, ...] = await self._runtime.in_thread(
                self._writer.move_outputs, beside, path, path.parent, claimed=claimed, root=root
            )
        except (OutputError, RecordingError) as error:
            _log.warning("its outputs stay where they are", file=str(path), why=error.message)
            return
        await self._ledger(Ledger.record_outputs, entry.id, now_at)

    async def _publish_again(self, entry: Entry) -> None:
        """A recording was dropped again after its outputs were removed: write them again, at no cost."""
        outputs = await self._ledger(Ledger.outputs, entry.id)
        if not outputs or await self._runtime.in_thread(_any_is_there, outputs):
            return
        try:
            now_as = await self._ledger(Ledger.entry, entry.id)  # it may have another path since it was read
            await self._ledger(Ledger.retry, now_as, now=self._runtime.now(), reason="It was dropped again.")
        except IllegalMove as error:
            _log.info("left as it is", file=str(entry.path), why=error.message)


def _is_same_job(entry: Entry, folder: WatchFolder) -> bool:
    key = config_key(folder.engine, folder.transcription)
    return entry.config_key == key and entry.formats == folder.formats


def _which_have_left(alike: list[list[Entry]]) -> set[int]:
    """Of entries that occur in several lists, perhaps, return the ids of those whose recording has left its path."""
    entries = {entry.id: entry for same in alike for entry in same}
    return {entry.id for entry in entries.values() if has_left(entry)}


def _any_is_there(outputs: tuple[Output, ...]) -> bool:
    return any(exists(output.path) for output in outputs)
