"""What is in a settled file, and in which state does it enter the ledger?"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from watcher.errors import (
    InternalError,
    NotARecording,
    ReadTimeout,
    RecordingError,
    SourceChanged,
    Unreadable,
    sentences,
)
from watcher.files import exists
from watcher.folders import Filter, fingerprint
from watcher.ledger import NewEntry
from watcher.logs import get_logger
from watcher.models import EntryState, Existing, Fingerprint, MediaInfo
from watcher.scheduler.retry import TRIED_AGAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watcher.folders import Settled
    from watcher.media import Prober
    from watcher.runtime import RunInThread

__all__ = ["classify"]

_log = get_logger("intake")


async def classify(batch: Sequence[Settled], prober: Prober, in_thread: RunInThread) -> list[NewEntry | None]:
    """Probe and fingerprint settled files; an error that nobody thought of concerns only its own file.

    Returns:
        For each the entry to add; None if it is gone again, or not whole yet.
    """
    try:
        return await _classify(batch, prober, in_thread)
    except Exception as error:  # noqa: BLE001 - one poisonous file must not stop the others
        if len(batch) > 1:
            return [one for settled in batch for one in await classify([settled], prober, in_thread)]
        _log.exception("Dropscribe itself failed", file=str(batch[0].path))
        what = f"Dropscribe itself failed on {batch[0].path}: {type(error).__name__}: {error}."
        return [_held(batch[0], InternalError(what))]


async def _classify(batch: Sequence[Settled], prober: Prober, in_thread: RunInThread) -> list[NewEntry | None]:
    probed = await prober.probe_all([settled.path for settled in batch])
    digests = await in_thread(lambda: [_identify(settled) for settled in batch])
    found: list[NewEntry | None] = []
    for settled, media, digest in zip(batch, probed, digests, strict=True):
        if digest is None:
            found.append(None)
        elif isinstance(media, InternalError | ReadTimeout):
            found.append(_held(settled, media))
        else:
            found.append(_entry(settled, media, digest))
    return found


def _identify(settled: Settled) -> Fingerprint | Unreadable | None:
    """Take the fingerprint of a recording, or say why that can't be; None if it is gone, or being written. Blocking."""
    path = settled.path
    try:
        return fingerprint(path, settled.folder.path)
    except Unreadable as error:
        return error if exists(path) else None
    except SourceChanged as error:
        _log.debug("not whole yet", file=str(path), why=error.message)
        return None


def _entry(settled: Settled, media: MediaInfo | RecordingError, digest: Fingerprint | Unreadable) -> NewEntry:
    if isinstance(media, Unreadable):
        return _unread(settled, EntryState.FAILED, media.message, media.fix)
    if isinstance(digest, Unreadable):
        return _unread(settled, EntryState.FAILED, digest.message, digest.fix)
    if isinstance(media, MediaInfo) and not settled.complete:
        media = dataclasses.replace(media, cut_short=True)
    state, reason, fix = _judge(settled, media)
    if isinstance(media, MediaInfo) and media.cut_short:
        # Its header promises more than there is: nothing to hold the service to.
        media = dataclasses.replace(media, duration=None)
    folder = settled.folder
    return NewEntry(
        root=folder.path,
        path=settled.path,
        fingerprint=digest,
        engine=folder.engine,
        config=folder.transcription,
        formats=folder.formats,
        media=None if isinstance(media, RecordingError) else media,
        state=state,
        reason=reason,
        fix=fix,
    )


def _judge(settled: Settled, media: MediaInfo | RecordingError) -> tuple[EntryState, str, str]:
    """Decide the state, its reason, and what a person can do."""
    folder, path = settled.folder, settled.path
    if isinstance(media, NotARecording):
        return EntryState.SKIPPED, media.message, media.fix
    if isinstance(media, RecordingError):
        return EntryState.FAILED, media.message, media.fix
    if media.cut_short:
        # A copy that broke off, or a recorder that crashed: half a recording is never taken for a whole one.
        reason = f"{path} is incomplete, and no program is writing to it any more."
        return EntryState.FAILED, reason, "Copy it again; or transcribe what is there: dropscribe retry FILE"
    if bad := Filter(folder).duration_verdict(media.duration):
        return EntryState.SKIPPED, bad.reason, bad.fix
    if settled.preexisting and folder.existing is Existing.IGNORE:
        reason = "It was there before the folder was first watched."
        return EntryState.SKIPPED, reason, "To transcribe it all the same: dropscribe retry FILE"
    return EntryState.WAITING, "", ""


def _held(settled: Settled, error: InternalError | ReadTimeout) -> NewEntry:
    return _unread(settled, EntryState.HELD, error.message, sentences(error.fix, TRIED_AGAIN))


def _unread(settled: Settled, state: EntryState, reason: str, fix: str) -> NewEntry:
    """An entry without a digest: it stays unknown to `Ledger.known`, so that each scan tries again."""
    folder = settled.folder
    return NewEntry(
        root=folder.path,
        path=settled.path,
        fingerprint=Fingerprint(settled.size, settled.mtime_ns, ""),
        engine=folder.engine,
        config=folder.transcription,
        formats=folder.formats,
        state=state,
        reason=reason,
        fix=fix,
    )
