"""One attempt to submit one recording: hold back the tail, and commit before it is sent.

The order of things makes it safe to be killed at any instant:

1. The attempt is in the ledger, PREPARED (`Ledger.claim` did that). A job that a cancelled recording of the same
   content left behind does instead, where there is one: see `former`.
2. The upload runs; its last KiB and the closing boundary are withheld. A body that never completes makes no job.
3. The gate: same content, output folder writable, no hold. Then ARMED is committed.
4. The tail is sent. 201: the job's id is committed. A clear refusal: no job exists. Anything else: a job may
   exist, the attempt stays ARMED, and `reconcile` looks for its reference.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.errors import ConfigError, DropscribeError, OutputError, RecordingError, SourceChanged
from watcher.events import Event
from watcher.folders import fingerprint
from watcher.ledger import IllegalMove, Ledger, display_name
from watcher.logs import get_logger
from watcher.models import AttemptState, EntryState
from watcher.scheduler import retry
from watcher.speechmatics import ApiError, JobConfig, SourceError, SpeechmaticsError, TransportError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from watcher.clock import Clock
    from watcher.events import EventBus
    from watcher.ledger import LedgerWorker
    from watcher.models import Attempt, Entry
    from watcher.scheduler.account import Account
    from watcher.scheduler.former import FormerJobs
    from watcher.scheduler.holds import Holds
    from watcher.scheduler.preparation import Preparer
    from watcher.speechmatics import UploadReceipt
    from watcher.transcripts import TranscriptWriter

__all__ = ["Gate", "HoldInForce", "Submitter"]

_log = get_logger("submit")
_SPACE_FOR_TRANSCRIPTS = 1_000_000


class HoldInForce(DropscribeError):
    """Submission was stopped while this recording was being uploaded; nothing was submitted."""


@dataclass(frozen=True)
class Gate:
    """What must hold when all but the tail is sent.

    Attributes:
        stopped: says whether submission to this account is stopped now.
        folder_of: the folder that an entry's outputs go to.
        writer: tries whether that folder can be written to.
    """

    stopped: Callable[[Account, Entry], bool]
    folder_of: Callable[[Entry], Path]
    writer: TranscriptWriter


class Submitter:
    """Submits claimed entries, one call each, and writes down what came of it."""

    def __init__(
        self,
        ledger: LedgerWorker,
        gate: Gate,
        preparer: Preparer,
        holds: Holds,
        former: FormerJobs,
        *,
        clock: Clock,
        chance: random.Random,
        bus: EventBus,
    ) -> None:
        self._ledger = ledger
        self._gate = gate
        self._preparer = preparer
        self._holds = holds
        self._former = former
        self._clock = clock
        self._chance = chance
        self._bus = bus

    async def submit(self, account: Account, entry: Entry, attempt: Attempt) -> Entry:
        """Carry out one attempt; returns the entry as it is afterwards.

        An attempt whose outcome is unknown leaves the entry SUBMITTING and the attempt ARMED.
        """
        try:
            if (waiting := await self._former.take_up(account, entry, attempt)) is not None:
                return waiting
            job_id, key = await self._upload(account, entry, attempt)
        except Exception as error:  # noqa: BLE001 - every error is decided on, by its class
            return await self._after(error, account, entry, attempt)
        finally:
            account.progress.pop(entry.id, None)
        account.accepted()
        return await self._ledger(Ledger.accept, attempt, job_id, now=self._clock.now(), key=key)

    async def _upload(self, account: Account, entry: Entry, attempt: Attempt) -> tuple[str, str]:
        """Upload; returns the job's id, and the digest of the key that it was submitted with."""
        config = _job_config(entry, attempt)
        await self._check(account, entry)
        client = await account.connector.connect()
        key = account.key_of(client)

        def progress(sent: int, total: int) -> None:
            account.progress[entry.id] = (sent, total)
            data = {"uid": entry.uid, "stage": "upload", "sent": sent, "total": total}
            self._bus.publish(Event("progress", self._clock.now(), data))

        wants_channels = entry.config.get("diarization") == "channel"
        ready = self._preparer.ready(entry.path, entry.media, limit=account.upload_limit, all_channels=wants_channels)
        async with ready as source:

            async def before_commit(receipt: UploadReceipt) -> None:
                sent = receipt.sha256 if source == entry.path else await asyncio.to_thread(_digest_of, entry)
                if sent != entry.fingerprint.sha256:
                    raise SourceChanged(f"{entry.path} changed while it was uploaded; nothing was submitted.")
                await self._check(account, entry)
                await self._ledger(Ledger.arm, attempt, now=self._clock.now(), key=key)

            name = display_name(entry.path)
            job = await client.submit_job(
                source,
                config=config,
                data_name=name if source == entry.path else f"{name}{source.suffix}",
                before_commit=before_commit,
                progress=progress,
            )
        return job.id, key

    async def _check(self, account: Account, entry: Entry) -> None:
        if self._gate.stopped(account, entry):
            raise HoldInForce("Submission is stopped for now.")
        folder = self._gate.folder_of(entry)
        beside = folder == entry.path.parent
        await asyncio.to_thread(self._gate.writer.check, folder, _SPACE_FOR_TRANSCRIPTS, create=not beside)

    async def _after(self, error: Exception, account: Account, entry: Entry, attempt: Attempt) -> Entry:
        now = self._clock.now()
        if isinstance(error, IllegalMove | HoldInForce):  # a person cancelled it meanwhile, or stopped submission
            return await self._give_back(attempt, now, now, error.message, counts=False)
        decision = await self._decide(error, entry, attempt, now, account.throttled)
        log = _log.info if isinstance(error, DropscribeError | SpeechmaticsError) else _log.exception
        log("not submitted", file=str(entry.path), why=str(error), decision=type(decision).__name__)
        if retry.is_the_services_fault(error):
            account.failed(str(error), now=now, delay=lambda tried: retry.backoff(tried, self._chance.random()))
        match decision:
            case retry.Look(reason):
                await self._ledger(Ledger.annotate, entry, reason=reason)
                return await self._ledger(Ledger.entry, entry.id)
            case retry.PauseAccount(until, reason, is_trouble):
                account.pause(until, reason, now=now, is_trouble=is_trouble)
                return await self._give_back(attempt, now, until, reason, counts=False)
            case retry.StopAccount(reason, fix):
                await self._holds.stop(account, reason, fix)
                return await self._give_back(attempt, now, now, reason, fix, counts=False)
            case retry.TryAgain(at, reason, fix, counts):
                return await self._give_back(attempt, now, at, reason, fix, counts=counts)
            case retry.Fail(reason, fix):
                return await self._end(entry, EntryState.FAILED, now, reason, fix)
            case retry.Hold(at, reason, fix):
                return await self._end(entry, EntryState.HELD, now, reason, fix, next_attempt_at=at)
            case retry.Cancel(reason):
                return await self._end(entry, EntryState.CANCELLED, now, reason, gone=True)

    async def _decide(
        self, error: Exception, entry: Entry, attempt: Attempt, now: float, throttled: int
    ) -> retry.Decision:
        # Once armed, just a clear refusal or a connection that broke before the tail mean that there is no job.
        if not isinstance(error, ApiError | TransportError) and await self._is_armed(attempt):
            return retry.Look(str(error))
        if isinstance(error, RecordingError | SourceError | OutputError | OSError):
            found = await asyncio.to_thread(_look_at_source, entry, error, now)
            if found is not None:
                return found
        chance = self._chance.random()
        return retry.decide(error, attempts=entry.attempts, now=now, chance=chance, throttled=throttled)

    async def _is_armed(self, attempt: Attempt) -> bool:
        latest = await self._ledger(Ledger.latest_attempt, attempt.entry_id)
        return latest is not None and latest.state is AttemptState.ARMED

    async def _give_back(
        self, attempt: Attempt, now: float, at: float, reason: str, fix: str = "", *, counts: bool
    ) -> Entry:
        return await self._ledger(
            Ledger.give_back,
            attempt,
            AttemptState.REFUSED,
            now=now,
            next_attempt_at=at,
            reason=reason,
            fix=fix,
            counts=counts,
        )

    async def _end(
        self,
        entry: Entry,
        state: EntryState,
        now: float,
        reason: str,
        fix: str = "",
        *,
        gone: bool = False,
        next_attempt_at: float = 0.0,
    ) -> Entry:
        return await self._ledger(
            Ledger.end,
            entry,
            state,
            now=now,
            reason=reason,
            fix=fix,
            ended=AttemptState.REFUSED,
            gone=gone,
            next_attempt_at=next_attempt_at,
        )


def _job_config(entry: Entry, attempt: Attempt) -> JobConfig:
    tracking = {"reference": attempt.reference}
    try:
        return JobConfig.from_dict(
            {"type": "transcription", "transcription_config": entry.config, "tracking": tracking}
        )
    except (SpeechmaticsError, ValueError, TypeError) as error:
        raise ConfigError(f"The settings of {entry.root} make no job: {error}.") from error


def _look_at_source(entry: Entry, error: Exception, now: float) -> retry.Decision | None:
    """Decide by what is at the recording's path now; None if it is there as it was found."""
    try:
        found = entry.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        if not entry.root.is_dir():
            fix = "Mount or plug it in; Dropscribe goes on by itself."
            why = f"The folder {entry.root} is not there."
            return retry.TryAgain(now + retry.OUTPUT_DELAY, why, fix, counts=False)
        return retry.Cancel("It was removed before it was submitted.")
    except OSError:
        return None
    same = (found.st_size, found.st_mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns)
    if not same or isinstance(error, SourceChanged):
        return retry.Cancel("It changed before it was submitted; what is there now is taken in anew.")
    return None


def _digest_of(entry: Entry) -> str:
    """The digest of a recording as it is now; as it was found if size and mtime haven't changed since."""
    found = entry.path.lstat()
    if (found.st_size, found.st_mtime_ns) == (entry.fingerprint.size, entry.fingerprint.mtime_ns):
        return entry.fingerprint.sha256
    return fingerprint(entry.path).sha256
