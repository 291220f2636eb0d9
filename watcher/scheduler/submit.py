"""One attempt to submit one recording: hold back the tail, and commit before it is sent.

The order of things makes it safe to be killed at any instant:

1. The attempt is in the ledger, PREPARED (`Ledger.claim` did that). A job that a cancelled recording of the same
   content left behind does instead, where there is one: see `adopt`.
2. The upload runs; its last KiB and the closing boundary are withheld. A body that never completes makes no job.
3. The gate: same content, output folder writable, consent still given. Then ARMED is committed.
4. The tail is sent. 201: the job's id is committed. A clear refusal: no job exists. Anything else: a job may
   exist, the attempt stays ARMED, and `reconcile` looks for its reference. An answer that claims a job before the
   tail was sent, or is too broken to tell, arms the attempt, too. Each armed attempt counts, for its content, until
   its outcome is known, so that crashes count as well: after a few, the recording is HELD.

Consent is asked for before the first byte, while the upload runs and at the gate: see `consent` and `uploads`.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.errors import ConfigError, DropscribeError, OutputError, RecordingError, SourceChanged
from watcher.events import Event
from watcher.ledger import IllegalMove, JobOutcome, Ledger, display_name
from watcher.logs import get_logger
from watcher.models import AttemptState, EntryKind
from watcher.scheduler import retry
from watcher.scheduler.open_recording import ReplacedByLink, verified
from watcher.scheduler.uploads import ConsentWithdrawn, Upload
from watcher.speechmatics import (
    ApiError,
    JobConfig,
    SourceError,
    SpeechmaticsError,
    SubmissionUnknown,
    TransportError,
)

if TYPE_CHECKING:
    from watcher.events import EventBus
    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.runtime import Runtime
    from watcher.scheduler.account import Account
    from watcher.scheduler.adopt import Adopter
    from watcher.scheduler.holds import Holds
    from watcher.scheduler.upload_source import Preparer
    from watcher.scheduler.uploads import Uploads
    from watcher.settings import Settings
    from watcher.speechmatics import UploadReceipt
    from watcher.transcripts import TranscriptWriter

__all__ = ["Gate", "Submitter"]

_log = get_logger("submit")
_SPACE_FOR_TRANSCRIPTS = 1_000_000


@dataclass(frozen=True)
class Gate:
    """What must hold before a recording leaves, and again when all but the tail is sent.

    Attributes:
        uploads: watches over consent while an upload runs.
        settings: the config in force; it says where the transcript goes.
        writer: tries whether that folder can be written to.
    """

    uploads: Uploads
    settings: Settings
    writer: TranscriptWriter


class Submitter:
    """Submits claimed entries, one call each, and writes down what came of it."""

    def __init__(
        self,
        ledger: LedgerWorker,
        gate: Gate,
        preparer: Preparer,
        *,
        holds: Holds,
        adopter: Adopter,
        bus: EventBus,
        runtime: Runtime,
    ) -> None:
        self._ledger = ledger
        self._gate = gate
        self._preparer = preparer
        self._holds = holds
        self._adopter = adopter
        self._runtime = runtime
        self._bus = bus

    async def submit(self, account: Account, entry: Entry, attempt: Attempt) -> Entry:
        """Carry out one attempt; returns the entry as it is afterwards.

        An attempt whose outcome is unknown leaves the entry SUBMITTING and the attempt ARMED.
        """
        try:
            if (waiting := await self._adopter.adopt_orphan(account, entry, attempt)) is not None:
                return waiting
            job_id, key = await self._upload(account, entry, attempt)
        except Exception as error:  # noqa: BLE001 - every error is decided on, by its class
            return await self._after(error, account, entry, attempt)
        finally:
            account.progress.pop(entry.id, None)
        account.breaker.record_success()
        return await self._ledger(Ledger.accept, attempt, job_id, now=self._runtime.now(), key=key)

    async def _upload(self, account: Account, entry: Entry, attempt: Attempt) -> tuple[str, str]:
        """Upload; returns the job's id, and the digest of the key that it was submitted with."""
        upload = Upload(entry, account)
        return await self._gate.uploads.guard(upload, self._send(upload, attempt))

    async def _send(self, upload: Upload, attempt: Attempt) -> tuple[str, str]:
        account, entry = upload.account, upload.entry
        config = _job_config(entry, attempt)
        await self._gate.uploads.check(upload)
        client = await account.connector.connect()
        key = upload.key = account.visibility.key_of(client)

        def progress(sent: int, total: int) -> None:
            account.progress[entry.id] = (sent, total)
            data = {"uid": entry.uid, "stage": "upload", "sent": sent, "total": total}
            self._bus.publish(Event("progress", self._runtime.now(), data))

        async with AsyncExitStack() as stack:
            recording = await self._runtime.in_thread(stack.enter_context, verified(entry))
            upload.recording = recording
            await self._check_outputs(entry)
            wants_channels = entry.config.get("diarization") == "channel"
            prepared = await stack.enter_async_context(
                self._preparer.ready(
                    entry.path,
                    entry.media,
                    limit=account.upload_limit,
                    all_channels=wants_channels,
                    descriptor=recording.descriptor,
                )
            )
            as_it_is = prepared == entry.path

            async def before_commit(receipt: UploadReceipt) -> None:
                if as_it_is and receipt.sha256 != entry.fingerprint.sha256:
                    raise SourceChanged(f"{entry.path} changed while it was uploaded; nothing was submitted.")
                await self._check_outputs(entry)
                await self._gate.uploads.check(upload)
                await self._ledger(Ledger.arm, attempt, now=self._runtime.now(), key=key)
                self._gate.uploads.check_config(upload)  # nothing that was withdrawn meanwhile gets its tail
                upload.armed = True

            name = display_name(entry.path)
            source = stack.enter_context(os.fdopen(recording.descriptor, "rb", buffering=0, closefd=False))
            try:
                job = await client.submit_job(
                    source if as_it_is else prepared,
                    config=config,
                    data_name=name if as_it_is else f"{name}{prepared.suffix}",
                    before_commit=before_commit,
                    progress=progress,
                )
            except SubmissionUnknown:
                # An answer may claim a job before the tail was sent; after it, the attempt is armed already.
                upload.armed = True
                await self._ledger(Ledger.arm_answered, attempt, now=self._runtime.now(), key=key)
                raise
        return job.id, key

    async def _check_outputs(self, entry: Entry) -> None:
        place = self._gate.settings.target_of(entry)
        beside = place.folder == entry.path.parent
        await self._runtime.in_thread(
            self._gate.writer.check, place.folder, _SPACE_FOR_TRANSCRIPTS, create=not beside, root=place.root
        )

    async def _after(self, error: Exception, account: Account, entry: Entry, attempt: Attempt) -> Entry:
        now = self._runtime.now()
        if isinstance(error, IllegalMove | ConsentWithdrawn):
            return await self._withdrawn(error, entry, attempt, now)
        decision = await self._decide(error, entry, attempt, now, account.breaker.throttled)
        log = _log.info if isinstance(error, DropscribeError | SpeechmaticsError) else _log.exception
        log("not submitted", file=str(entry.path), why=str(error), decision=type(decision).__name__)
        if retry.is_the_services_fault(error):
            account.breaker.record_failure(
                str(error),
                now=now,
                delay=lambda tried: retry.retry_delay(tried, self._runtime.jitter(), self._runtime.timings.retry),
            )
        match decision:
            case retry.Look(reason):
                counts = not retry.is_unavailable(error)
                return await self._ledger(Ledger.note_unclear, entry, attempt, reason=reason, counts=counts)
            case retry.PauseAccount(until, reason, is_trouble):
                account.breaker.open(until, reason, now=now, is_trouble=is_trouble)
                return await self._give_back(attempt, now, until, reason, counts=False)
            case retry.StopAccount(reason, fix):
                await self._holds.stop(account, reason, fix)
                return await self._give_back(attempt, now, now, reason, fix, counts=False)
            case retry.TryAgain(at, reason, fix, counts):
                return await self._give_back(attempt, now, at, reason, fix, counts=counts)
            case retry.Fail(reason, fix):
                job = JobOutcome.NOT_CREATED
                return await self._ledger(Ledger.fail, entry, now=now, reason=reason, fix=fix, job=job)
            case retry.Hold(at, reason, fix):
                job = JobOutcome.NOT_CREATED
                return await self._ledger(Ledger.hold, entry, now=now, reason=reason, fix=fix, job=job, retry_at=at)
            case retry.Cancel(reason):
                return await self._ledger(Ledger.withdraw, entry, now=now, reason=reason)

    async def _withdrawn(
        self, error: IllegalMove | ConsentWithdrawn, entry: Entry, attempt: Attempt, now: float
    ) -> Entry:
        """The person or the config took the recording back before its tail was sent: no job exists."""
        _log.info("not submitted", file=str(entry.path), why=error.message)
        if isinstance(error, ConsentWithdrawn) and error.left_out:
            return await self._ledger(Ledger.withdraw, entry, now=now, reason=error.message)
        return await self._give_back(attempt, now, now, error.message, counts=False)

    async def _decide(
        self, error: Exception, entry: Entry, attempt: Attempt, now: float, throttled: int
    ) -> retry.Decision:
        # Once armed, just a clear refusal or a connection that broke before the tail mean that there is no job.
        if not isinstance(error, ApiError | TransportError | SubmissionUnknown) and await self._is_armed(attempt):
            return retry.Look(str(error))
        if isinstance(error, RecordingError | SourceError | OutputError | OSError):
            found = await self._runtime.in_thread(
                _look_at_source, entry, error, now + self._runtime.timings.retry.output
            )
            if found is not None:
                return found
        jitter = self._runtime.jitter()
        return retry.decide(
            error,
            attempts=entry.attempts + 1,
            now=now,
            jitter=jitter,
            delays=self._runtime.timings.retry,
            throttled=throttled,
            kind=entry.kind,
        )

    async def _is_armed(self, attempt: Attempt) -> bool:
        latest = await self._ledger(Ledger.latest_attempt, attempt.entry_id)
        return latest is not None and latest.state is AttemptState.ARMED

    async def _give_back(
        self, attempt: Attempt, now: float, at: float, reason: str, fix: str = "", *, counts: bool
    ) -> Entry:
        return await self._ledger(
            Ledger.requeue,
            attempt,
            AttemptState.REFUSED,
            now=now,
            next_attempt_at=at,
            reason=reason,
            fix=fix,
            counts=counts,
        )


def _job_config(entry: Entry, attempt: Attempt) -> JobConfig:
    tracking = {"reference": attempt.reference}
    try:
        return JobConfig.from_dict(
            {"type": "transcription", "transcription_config": entry.config, "tracking": tracking}
        )
    except (SpeechmaticsError, ValueError, TypeError) as error:
        whose = entry.path if entry.kind is EntryKind.REQUESTED else entry.root
        raise ConfigError(f"The settings of {whose} can't be turned into a job: {error}.") from error


def _look_at_source(entry: Entry, error: Exception, again_at: float) -> retry.Decision | None:
    """Decide by what is at the recording's path now; None if it is there as it was found.

    Args:
        entry: whose recording it is.
        error: why its submission failed.
        again_at: unix time at which to try again if its watch folder isn't there.
    """
    if isinstance(error, ReplacedByLink):
        return retry.Cancel(f"{error.message} Links are not followed.")
    try:
        found = entry.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        if not entry.root.is_dir():
            fix = "Mount or plug it in; Dropscribe continues automatically."
            why = f"The folder {entry.root} is not there."
            return retry.TryAgain(again_at, why, fix, counts=False)
        return retry.Cancel("It was removed before it was submitted.")
    except OSError:
        return None
    same = (found.st_size, found.st_mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns)
    if not same or isinstance(error, SourceChanged):
        if entry.kind is EntryKind.REQUESTED:
            return retry.Cancel("It changed before it was submitted. Request it again.")
        return retry.Cancel("It changed before it was submitted; its new content gets an entry of its own.")
    return None
