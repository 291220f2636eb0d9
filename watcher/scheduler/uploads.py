"""Uploads under way: cut off as soon as a recording may not leave any more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from watcher.errors import DropscribeError, EngineUnavailable
from watcher.loop import wait_event
from watcher.models import EntryState
from watcher.scheduler.consent import Refusal
from watcher.speechmatics import ConfigurationError, SpeechmaticsError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from watcher.models import Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.scheduler.consent import Consent
    from watcher.scheduler.open_recording import OpenRecording

__all__ = ["ConsentWithdrawn", "Upload", "Uploads"]

_T = TypeVar("_T")
_LOOK = 1.0
"""Seconds between looks at what no event tells of: the key, the file, a `.dropscribe-ignore`."""


class ConsentWithdrawn(DropscribeError):
    """A recording may not leave any more. Its upload was cut off, or not begun; no job exists."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.left_out = refusal.left_out


@dataclass(eq=False)
class Upload:
    """One upload under way.

    Attributes:
        entry: the recording.
        account: where it goes.
        key: digest of the key that it is sent with; None while it isn't known.
        recording: the open file; None while it isn't open.
        armed: whether a job may exist from here on: then it is not cut off any more.
        refusal: why it is to be cut off.
    """

    entry: Entry
    account: Account
    key: str | None = None
    recording: OpenRecording | None = None
    armed: bool = False
    refusal: Refusal | None = None
    look_now: asyncio.Event = field(default_factory=asyncio.Event)


class Uploads:
    """Watches over uploads.

    Args:
        consent: says whether a recording may leave.
        runtime: the threads that look at files.
    """

    def __init__(self, consent: Consent, runtime: Runtime) -> None:
        self._consent = consent
        self._runtime = runtime
        self._under_way: dict[int, Upload] = {}

    def recheck(self) -> None:
        """The config or a hold has changed: cut off what may not leave any more."""
        for upload in self._under_way.values():
            upload.look_now.set()

    def moved(self, entries: Iterable[Entry]) -> None:
        """Entries moved in the ledger: cut off the uploads of those that are not to be submitted any more."""
        for entry in entries:
            upload = self._under_way.get(entry.id)
            if upload is not None and entry.state is not EntryState.SUBMITTING:
                upload.refusal = Refusal(f"It is {entry.state.value.lower()} now.")
                upload.look_now.set()

    async def guard(self, upload: Upload, work: Coroutine[None, None, _T]) -> _T:
        """Do the work of an upload, unless its recording may not leave, or until it may not any more.

        Raises:
            ConsentWithdrawn: it was cut off.
            ConfigurationError: there is no key any more.
            SourceChanged: the recording is not at its path any more, or is not what it was.
            Exception: what the work raised.
        """
        self._under_way[upload.entry.id] = upload
        working = asyncio.ensure_future(work)
        watching = asyncio.ensure_future(self._until_refused(upload))
        try:
            await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done() and not upload.armed:
                working.cancel()
                await asyncio.wait({working})
                if working.cancelled():
                    watching.result()  # raises why
            return await working
        finally:
            del self._under_way[upload.entry.id]
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    async def check(self, upload: Upload) -> None:
        """Check that a recording may leave now, looking at everything.

        Raises: as `guard` does.
        """
        self.check_config(upload)
        if refusal := await self._runtime.in_thread(self._consent.refusal_on_disk, upload.entry):
            raise ConsentWithdrawn(refusal)
        if upload.recording is not None:
            await self._runtime.in_thread(upload.recording.check_still_there)
        if upload.key is not None and not upload.account.any_key:
            await _check_key(upload.account, upload.key)
        self.check_config(upload)  # once more: the looks above took their time

    def check_config(self, upload: Upload) -> None:
        """Check what needs no I/O; raises ConsentWithdrawn."""
        if refusal := upload.refusal or self._consent.refusal(upload.entry, upload.account):
            raise ConsentWithdrawn(refusal)

    async def _until_refused(self, upload: Upload) -> None:
        while True:
            upload.look_now.clear()
            await self.check(upload)
            await wait_event(upload.look_now, _LOOK)


async def _check_key(account: Account, key: str) -> None:
    try:
        client = await account.connector.connect()
    except ConfigurationError:
        raise
    except (SpeechmaticsError, EngineUnavailable):
        return  # unreachable: the upload finds that out by itself
    if account.visibility.key_of(client) != key:
        raise ConsentWithdrawn(Refusal("The API key was changed while it was uploaded."))
