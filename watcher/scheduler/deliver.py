"""From a job that is done to outputs on disk: fetch, keep, publish."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from watcher.errors import (
    LedgerDamaged,
    NotWritable,
    OutputError,
    RecordingError,
    describe_os_error,
)
from watcher.files import has_left, is_empty
from watcher.folders import fingerprint
from watcher.ledger import IllegalMove, JobOutcome, Ledger, display_name
from watcher.logs import get_logger
from watcher.models import EntryState, OutputFormat
from watcher.transcripts import DamagedTranscript, needed_originals, render, transcript_duration

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.ledger import LedgerWorker
    from watcher.models import Entry, Output
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.settings import Settings
    from watcher.speechmatics import AsyncClient
    from watcher.transcripts import TranscriptStore, TranscriptWriter

__all__ = ["Deliverer", "covers_too_little"]

_log = get_logger("deliver")


def covers_too_little(probed: float | None, covered: float | None) -> bool:
    """Whether a transcript covers clearly less than the recording: half a recording is never called done.

    Durations in seconds. Services round to whole seconds, and containers are vague about their length.
    """
    if probed is None or covered is None:
        return False
    return covered < probed * 0.95 - 2.0


class Deliverer:
    """Fetches transcripts (SUBMITTED → TRANSCRIBED) and writes outputs (TRANSCRIBED → DONE)."""

    def __init__(
        self,
        ledger: LedgerWorker,
        store: TranscriptStore,
        writer: TranscriptWriter,
        settings: Settings,
        runtime: Runtime,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._writer = writer
        self._settings = settings
        self._runtime = runtime

    async def fetch(self, account: Account, client: AsyncClient, entry: Entry) -> Entry:
        """Fetch a finished job's transcript and keep it safe: SUBMITTED → TRANSCRIBED.

        Raises:
            SpeechmaticsError: it could not be fetched now.
            OutputError: it could not be kept now.
        """
        if entry.job_id is None:  # pragma: no cover - SUBMITTED entries have a job
            raise KeyError(entry.id)
        job_id = entry.job_id
        wanted = needed_originals((*entry.formats, OutputFormat.JSON_V2))
        originals = {form: await client.get_transcript(job_id, form.value) for form in wanted}
        covered = transcript_duration(originals[OutputFormat.JSON_V2])
        probed = entry.media.duration if entry.media else None
        if covers_too_little(probed, covered):
            reason = f"The transcript covers {covered:.0f} s of a recording that is {probed:.0f} s long."
            fix = "Check the recording; then `dropscribe retry FILE` submits it again, which may cost."
            job = JobOutcome.NO_TRANSCRIPT
            return await self._ledger(Ledger.hold, entry, now=self._runtime.now(), reason=reason, fix=fix, job=job)
        try:
            await self._runtime.in_thread(self._store.put, entry.uid, originals)
        except OSError as error:
            raise describe_os_error(error, doing=f"keep the transcript of {entry.path}") from error
        now, delete_job = self._runtime.now(), account.delete_after_download
        return await self._ledger(Ledger.transcribed, entry, now=now, delete_job=delete_job)

    async def publish(self, entry: Entry) -> Entry:
        """Write the outputs beside the recording: TRANSCRIBED → DONE.

        Raises:
            OutputError: they can't be written now; nothing was.
        """
        owner = await self._ledger(Ledger.entry, entry.copy_of) if entry.copy_of else entry
        try:
            originals = await self._runtime.in_thread(self._store.get, owner.uid)
        except FileNotFoundError:
            return await self._fetch_again(entry, owner, "Its stored transcript is gone.")
        except DamagedTranscript as error:
            return await self._fetch_again(entry, owner, error.message)
        if not set(needed_originals(entry.formats)) <= set(originals):
            return await self._fetch_again(entry, owner, "Not every format was stored.")
        if not entry.current or await self._runtime.in_thread(self._was_replaced, entry):
            reason = (
                "The recording changed while it was transcribed, "
                "so the transcript of the earlier version is not written."
            )
            return await self._ledger(Ledger.discard, entry, now=self._runtime.now(), reason=reason)
        if entry.copy_of and await self._never_came_to_be(entry):
            reason = "The recording was removed before its transcript was written; nothing was paid for it."
            return await self._ledger(Ledger.withdraw, entry, now=self._runtime.now(), reason=reason)
        claimed = await self._ledger(
            Ledger.claimed_outputs, entry.id, self._settings.target_of(entry).folder, entry.path.stem
        )
        outputs = await self._runtime.in_thread(self._write, entry, originals, claimed)
        folder = self._settings.folder_of(entry)
        after = folder.after if folder else "keep"
        done = await self._ledger(Ledger.done, entry, outputs, now=self._runtime.now(), after=after)
        _log.info("done", file=str(entry.path), wrote=[str(output.path) for output in outputs])
        return done

    async def try_publish(self, entry: Entry) -> None:
        """Publish; if that can't be done now, write the reason into the ledger and leave it for later.

        Raises:
            OutputError: the ledger can't be written.
        """
        try:
            entry = await self._ledger(Ledger.entry, entry.id)
            if entry.state is EntryState.TRANSCRIBED:
                await self.publish(entry)
        except LedgerDamaged:
            raise
        except IllegalMove as error:
            _log.info("left as it is", file=str(entry.path), why=error.message)
        except DamagedTranscript as error:  # the service's own bytes make no such output
            fix = "dropscribe retry FILE fetches it again."
            await self._ledger(Ledger.hold, entry, now=self._runtime.now(), reason=error.message, fix=fix)
        except (OutputError, RecordingError) as error:
            _log.warning("not written yet", file=str(entry.path), why=error.message)
            await self._later(entry, error.message, error.fix, self._runtime.timings.retry.output)
        except Exception as error:  # noqa: BLE001 - one entry must not stop the rest
            _log.exception("not written yet", file=str(entry.path))
            why = f"An unexpected error: {type(error).__name__}: {error}"
            await self._later(entry, why, "Please report it.", self._runtime.timings.retry.longest)

    async def _later(self, entry: Entry, reason: str, fix: str, delay: float) -> None:
        at = self._runtime.now() + delay
        await self._ledger(Ledger.annotate, entry, reason=reason, fix=fix, next_attempt_at=at)

    async def _fetch_again(self, entry: Entry, owner: Entry, why: str) -> Entry:
        """What is stored doesn't do: fetch it from the job that it came from, which costs nothing."""
        now = self._runtime.now()
        if owner.job_id and owner.account:
            return await self._ledger(Ledger.fetch_again, entry, owner, now=now, reason=why)
        fix = "To transcribe it again (this may cost): dropscribe retry FILE"
        return await self._ledger(Ledger.hold, entry, now=now, reason=why, fix=fix)

    async def _never_came_to_be(self, entry: Entry) -> bool:
        """Whether a copy was removed before it ever had outputs. What was paid for is written all the same."""
        if await self._ledger(Ledger.outputs, entry.id):
            return False
        return await self._runtime.in_thread(has_left, entry)

    def _was_replaced(self, entry: Entry) -> bool:
        """Whether other content is at the path now. A file that is gone was not replaced."""
        try:
            found = entry.path.lstat()
        except OSError:
            return False
        if (found.st_size, found.st_mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns):
            return False
        if not stat.S_ISREG(found.st_mode):
            return True
        return fingerprint(entry.path, entry.root).sha256 != entry.fingerprint.sha256

    def _write(self, entry: Entry, originals: dict[OutputFormat, bytes], claimed: list[Path]) -> tuple[Output, ...]:
        place = self._settings.target_of(entry)
        folder = self._settings.folder_of(entry)
        root = folder.path if folder else entry.root
        if not root.is_dir():
            raise NotWritable(
                f"The folder {root} is not there.", fix="Mount or plug it in; Dropscribe continues automatically."
            )
        contents = {form: render(form, originals, title=display_name(entry.path)) for form in entry.formats}
        try:
            if place.folder.is_relative_to(root) and is_empty(root):
                # What is written below a mount point is out of sight as soon as the disk is back.
                raise NotWritable(
                    f"The folder {root} is empty, so its disk may be unmounted.",
                    fix="Mount or plug it in; Dropscribe continues automatically. "
                    "If you emptied it: dropscribe cancel FILE",
                )
            return self._writer.publish(entry.path, place.folder, contents, claimed=claimed, root=place.root)
        except OSError as error:
            raise describe_os_error(error, doing=f"write the transcript of {entry.path}") from error
