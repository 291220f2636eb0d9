"""Recordings that a person names with `dropscribe transcribe`: they enter the ledger without a watch folder."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from watcher.folders import fingerprint
from watcher.folders.stability.observe import observe
from watcher.ledger import Ledger, NewEntry
from watcher.models import EntryKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watcher.ledger import LedgerWorker
    from watcher.media import Prober
    from watcher.models import Engine, Entry, OutputFormat
    from watcher.runtime import Runtime
    from watcher.transcripts import TranscriptWriter

__all__ = ["Request", "Requests"]

_SPACE_FOR_TRANSCRIPTS = 1_000_000
_CONSENT = {
    "local": "Requested with `dropscribe transcribe`, on this machine.",
    "speechmatics": "Requested with `dropscribe transcribe`, which allows sending it to Speechmatics.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What one recording is to be transcribed to.

    Attributes:
        path: the recording: absolute, and no symbolic link.
        engine: where it may go.
        config: the `transcription_config` of its job.
        formats: which outputs to write.
        target: the folder to write them to.
    """

    path: Path
    engine: Engine
    config: dict[str, Any]
    formats: tuple[OutputFormat, ...]
    target: Path


class Requests:
    """Takes requests into the ledger.

    Args:
        ledger: gets them.
        prober: says whether a file is a recording.
        writer: finds out whether the outputs can be written.
        runtime: the clock and the threads.
        on_new: called after a request was taken in.
    """

    def __init__(
        self,
        ledger: LedgerWorker,
        prober: Prober,
        writer: TranscriptWriter,
        runtime: Runtime,
        *,
        on_new: Callable[[Entry], None],
    ) -> None:
        self._ledger = ledger
        self._prober = prober
        self._writer = writer
        self._runtime = runtime
        self._on_new = on_new

    async def add(self, request: Request) -> tuple[Entry, bool]:
        """Take a request in. The same request as an earlier one gets the earlier one's entry.

        Returns:
            The entry, and whether it was DONE before.

        Raises:
            RecordingError: the file can't be transcribed; nothing was taken in.
            OutputError: the outputs or the ledger can't be written; nothing was taken in.
        """
        path, target = request.path, request.target
        media = await self._prober.probe(path)
        digest = await self._runtime.in_thread(fingerprint, path)
        observed = await self._runtime.in_thread(observe, path)
        beside = target == path.parent
        await self._runtime.in_thread(self._writer.check, target, _SPACE_FOR_TRANSCRIPTS, create=not beside)
        if media.cut_short or observed.complete is False:
            # A person who names a file wants what is there. Its header promises more, so its duration proves nothing.
            media = dataclasses.replace(media, cut_short=True, duration=None)
        new = NewEntry(
            root=path.parent,
            path=path,
            fingerprint=digest,
            engine=request.engine,
            config=request.config,
            formats=request.formats,
            media=media,
            reason=_CONSENT[request.engine.value],
            kind=EntryKind.REQUESTED,
            target=target,
        )
        entry, was_done = await self._ledger(Ledger.request, new, now=self._runtime.now())
        self._on_new(entry)
        return entry, was_done
