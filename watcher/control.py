"""Answers questions about a running daemon and takes orders: what the page, the tray and the command line use.

Answers are plain JSON-ready data, so that every surface tells the same story.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from watcher.attention import attention, is_paused, overall_state
from watcher.errors import ConfigError, UsageError
from watcher.events import Event
from watcher.files import exists
from watcher.folders import Explanation, Phase
from watcher.folders.rules.overrides import OverrideFiles
from watcher.ledger import Ledger, config_key, display_name
from watcher.models import PAUSE, Engine, EntryKind, EntryState
from watcher.wording import (
    activity_text,
    blockers,
    describe_done,
    describe_entry,
    describe_hold,
    describe_output,
    display_path,
    next_step_text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watcher.events import EventBus
    from watcher.folders import FolderStatus, FolderWatch
    from watcher.ledger import LedgerWorker
    from watcher.models import Entry, JobProgress, OutputFormat, WatchFolder
    from watcher.runtime import Runtime
    from watcher.scheduler import Account, Request, Requests, Scheduler
    from watcher.settings import Settings
    from watcher.transcripts import TranscriptStore

__all__ = ["Control"]

_RECENT = 10
_ACTIVE = (EntryState.SUBMITTING, EntryState.SUBMITTED, EntryState.TRANSCRIBED)


class Control:
    """Questions and orders. Every method is safe to call while the daemon works."""

    def __init__(
        self,
        ledger: LedgerWorker,
        watch: FolderWatch,
        scheduler: Scheduler,
        store: TranscriptStore,
        settings: Settings,
        *,
        requests: Requests,
        accounts: Sequence[Account],
        bus: EventBus,
        runtime: Runtime,
    ) -> None:
        self._ledger = ledger
        self._watch = watch
        self._scheduler = scheduler
        self._store = store
        self._settings = settings
        self._requests = requests
        self._accounts = accounts
        self._runtime = runtime
        self._started_at = runtime.now()
        self.config_problem = ""
        self.bus = bus

    # Questions

    async def snapshot(self) -> dict[str, Any]:
        """The whole picture: state, counts, holds, folders, what is going on, what was done last."""
        now = self._runtime.now()
        counts = await self._ledger(Ledger.counts)
        holds = [describe_hold(hold) for hold in await self._ledger(Ledger.holds, now)]
        folders = [self._describe_folder(status) for status in self._watch.status()]
        recordings = await self._ledger(Ledger.count_attention)
        needs = attention(recordings, holds, folders, self.config_problem)
        paused = is_paused(holds)
        active = [entry for state in _ACTIVE for entry in await self._ledger(Ledger.in_state, state, limit=20)]
        recent = await self._ledger(Ledger.entries, state=EntryState.DONE, limit=_RECENT)
        return {
            "state": overall_state(counts, needs_attention=bool(needs), paused=paused),
            "attention": needs,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "paused": paused,
            "paused_until": next((hold["until"] for hold in holds if hold["name"] == PAUSE), None),
            "counts": {state.value: number for state, number in counts.items()},
            "holds": holds,
            "accounts": [self._describe_account(account, now) for account in self._accounts],
            "config_problem": self.config_problem,
            "folders": folders,
            "active": [self._describe_active(entry, active, now) for entry in active],
            "recent": [await self._describe_recent(entry) for entry in recent],
        }

    async def entries(self, **choice: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - Ledger.entries' arguments
        """A page of entries, latest change first; takes the arguments of `Ledger.entries`."""
        return [describe_entry(entry) for entry in await self._ledger(Ledger.entries, **choice)]

    async def entry(self, uid: str) -> dict[str, Any]:
        """One entry with its outputs, its history and what happens next.

        Raises:
            KeyError: there is none with this id.
        """
        return await self._tell(await self._find(uid))

    async def model(self, uid: str) -> Entry:
        """One entry, for those who need its path; KeyError if there is none with this id."""
        return await self._find(uid)

    async def transcript(self, uid: str) -> dict[str, bytes]:
        """The service's own bytes of a transcript, by format; empty if there is none."""
        entry = await self._find(uid)
        owner = await self._ledger(Ledger.entry, entry.copy_of) if entry.copy_of else entry
        try:
            found = await self._runtime.in_thread(self._store.get, owner.uid)
        except FileNotFoundError:
            return {}
        return {form.value: data for form, data in found.items()}

    async def explain(self, path: Path) -> dict[str, Any]:
        """One answer for any path: what happened to it, what happens next, and why."""
        entry = await self._ledger(Ledger.latest_at_path, path)
        if entry is not None:
            there = await self._runtime.in_thread(exists, path)
            return {**await self._tell(entry), "kind": "entry", "there": there}
        source = await self._ledger(Ledger.of_output, path)
        if source is not None:
            return describe_output(path, source)
        told = await self._watch.explain(path)
        if told.phase is Phase.NOT_WATCHED and not await self._runtime.in_thread(exists, path):
            told = Explanation(path, Phase.MISSING, "There is no such file.")
        answer = {"kind": told.phase.value, "path": display_path(path), "rule": told.rule, "since": told.since}
        reason = told.reason
        if told.phase is Phase.SETTLING and told.since is not None:
            reason += f" It has been waiting since {datetime.fromtimestamp(told.since).astimezone():%H:%M:%S}."
        if told.phase is Phase.MISSING and (last := await self._ledger(Ledger.once_at_path, path)):
            reason += f" A recording that was there is {last.state.lower()}. {last.reason}".rstrip()
            answer["entry"] = last.uid
        return {**answer, "reason": reason, "fix": told.fix}

    async def outputs(self, uid: str) -> dict[OutputFormat, Path]:
        """Where the outputs of an entry are, by format: real paths, whatever their bytes.

        Raises:
            KeyError: there is no entry with this id.
        """
        entry = await self._find(uid)
        return {output.format: output.path for output in await self._ledger(Ledger.outputs, entry.id)}

    # Orders

    async def pause(self, until: float | None = None) -> None:
        """Stop submission, until a unix time or until `resume`."""
        reason = "You paused it."
        fix = "dropscribe resume"
        await self._ledger(Ledger.put_hold, PAUSE, now=self._runtime.now(), reason=reason, fix=fix, until=until)
        await self._holds_changed()

    async def resume(self) -> None:
        """Let submission go on."""
        await self._ledger(Ledger.lift_hold, PAUSE)
        await self._holds_changed(user_request=True)

    async def lift(self, name: str) -> bool:
        """Lift a hold by its name; returns whether it was there."""
        lifted = await self._ledger(Ledger.lift_hold, name)
        await self._holds_changed(user_request=True)
        return lifted

    async def retry(self, uid: str) -> dict[str, Any]:
        """Try an ended or held entry again, with its folder's present settings. A held one may cost again."""
        entry = await self._find(uid)
        if entry.state.is_active:
            raise UsageError(f"{display_name(entry.path)} is {entry.state}: there is nothing to retry.")
        if not entry.fingerprint.sha256:
            return await self._look_again(entry)
        again = await self._settings_now(entry)
        resume = await self._can_ask_for_job(entry)
        now = self._runtime.now()
        if again and config_key(again[0], again[1]) != entry.config_key and entry.state is not EntryState.DONE:
            await self._runtime.in_thread(self._store.remove, entry.uid)  # it was made with other settings
        reason = "You asked for it."
        entry = await self._ledger(Ledger.retry, entry, now=now, reason=reason, again=again, resume=resume)
        return await self._tell(entry)

    async def _look_again(self, entry: Entry) -> dict[str, Any]:
        """It could not be read or looked into: a scan finds it again, and then it has an entry of its own."""
        reason = "You asked for it: a new scan looks at it again."
        entry = await self._ledger(Ledger.look_again, entry, now=self._runtime.now(), reason=reason)
        self._watch.redeliver(entry.path)
        return await self._tell(entry)

    async def request(self, request: Request) -> dict[str, Any]:
        """Transcribe a recording that need not be in a watch folder; the request is the consent to it.

        Returns:
            The entry; `was_done` says whether the same request was done before.

        Raises:
            RecordingError: the file can't be transcribed.
            OutputError: its outputs can't be written.
        """
        entry, was_done = await self._requests.add(request)
        for account in self._accounts:
            if account.engine is request.engine:  # whoever asks now wants it to be tried now
                await self._ledger(Ledger.lift_hold, account.hold_name)
        await self._holds_changed(user_request=True)
        return {**await self._tell(entry), "was_done": was_done}

    async def cancel(self, uid: str, reason: str = "You cancelled it.") -> dict[str, Any]:
        """Cancel an entry that is not done or has failed. Its job, if any, is deleted as soon as possible."""
        entry = await self._find(uid)
        if entry.state.is_settled and entry.state is not EntryState.FAILED:
            raise UsageError(f"{display_name(entry.path)} is already {entry.state.lower()}.")
        now = self._runtime.now()
        ended = await self._ledger(Ledger.cancel, entry, now=now, reason=reason)
        await self._lift_unused_hold(entry.engine)
        return await self._tell(ended)

    async def dismiss(self, uid: str | None = None) -> list[dict[str, Any]]:
        """Stop asking for attention for a failed entry, or for all of them; returns those that changed.

        Raises:
            KeyError: there is no entry with this id.
            IllegalMove: it has not failed.
        """
        entry = None if uid is None else await self._find(uid)
        changed = await self._ledger(Ledger.dismiss, entry, now=self._runtime.now())
        if changed:
            data = {} if uid is None else {"uid": uid}
            self.bus.publish(Event("attention", self._runtime.now(), data))
        return [describe_entry(each) for each in changed]

    async def watch_folders(self, folders: Sequence[WatchFolder]) -> None:
        """Remember folders that the config names now."""
        for folder in folders:
            await self._ledger(Ledger.watch_root, folder.path, now=self._runtime.now())

    # Inside

    async def _lift_unused_hold(self, engine: Engine) -> None:
        """Lift the hold of an account that no watch folder and no unfinished entry uses."""
        if any(folder.engine is engine for folder in self._settings.folders):
            return
        for state in (EntryState.WAITING, *_ACTIVE):
            if any(entry.engine is engine for entry in await self._ledger(Ledger.in_state, state)):
                return
        for account in self._accounts:
            if account.engine is engine:
                await self._ledger(Ledger.lift_hold, account.hold_name)
        await self._holds_changed()

    async def _settings_now(self, entry: Entry) -> tuple[Engine, dict[str, Any], tuple[OutputFormat, ...]] | None:
        """What the config and the `.dropscribe.toml` on the way say now about an entry; None: it keeps its settings.

        Raises:
            UsageError: its folder is not watched any more, or a `.dropscribe.toml` can't be used.
        """
        if entry.kind is EntryKind.REQUESTED:
            return None
        folder = self._settings.folder_of(entry)
        if folder is None and entry.state is EntryState.DONE:
            return None
        if folder is None:
            fix = f"Watch it again: dropscribe folders add {display_path(entry.root)}"
            raise UsageError(f"The folder {display_path(entry.root)} is not watched any more.", fix=fix)
        try:
            settings = await self._runtime.in_thread(OverrideFiles(folder).settings, entry.path.parent)
        except ConfigError as error:
            raise UsageError(error.message, fix=error.fix) from None
        return settings.engine, settings.transcription, settings.formats

    async def _can_ask_for_job(self, entry: Entry) -> bool:
        """Whether the job of a held entry, if it has one, can be asked for; not if the present key doesn't see it."""
        account = next((account for account in self._accounts if account.name == entry.account), None)
        if account is None or entry.job_id is None:
            return False
        key = await account.present_key()
        return key is None or account.visibility.is_visible(entry.key_digest, key)

    async def _find(self, uid: str) -> Entry:
        entry = await self._ledger(Ledger.find, uid)
        if entry is None:
            raise KeyError(uid)
        return entry

    async def _tell(self, entry: Entry) -> dict[str, Any]:
        outputs = await self._ledger(Ledger.outputs, entry.id)
        history = await self._ledger(Ledger.history, entry.id)
        now = self._runtime.now()
        twin, stopped = None, []
        if entry.state is EntryState.WAITING:
            twin = await self._ledger(Ledger.twin_in_flight, entry)
            paused = entry.kind is EntryKind.WATCHED and self._settings.is_paused(entry.root)
            stopped = blockers(entry, await self._ledger(Ledger.holds, now), folder_paused=paused)
            stopped += [reason for a in self._accounts if a.engine is entry.engine and (reason := await self._busy(a))]
        told = describe_entry(entry, outputs, history)
        cleanups = await self._ledger(Ledger.cleanups, entry.id)
        missing = await self._runtime.in_thread(lambda: [output.path for output in outputs if not exists(output.path)])
        for output, place in zip(told["outputs"], outputs, strict=True):
            output["there"] = place.path not in missing
        told["waits_for"] = twin.uid if twin else None
        told["next"] = next_step_text(
            entry,
            twin=twin,
            stopped=stopped,
            cleanups=cleanups,
            missing=missing,
            job=self._job_progress(entry),
            now=now,
        )
        return told

    async def _busy(self, account: Account) -> str:
        """Say why an account takes no recording at the moment; empty if it does."""
        if reason := self._scheduler.stops_all(account):
            return reason
        if account.breaker.is_open(self._runtime.now()):
            return account.breaker.reason
        if await self._ledger(Ledger.count_in_flight, account.engine) >= account.max_running:
            return f"As many recordings as it takes at a time ({account.max_running}) are at work."
        return ""

    def _describe_folder(self, status: FolderStatus) -> dict[str, Any]:
        folder = self._settings.folder_at(status.path)
        return {
            "path": display_path(status.path),
            "engine": folder.engine.value if folder else None,
            "paused": folder.paused if folder else False,
            "state": status.watching.value,
            "reason": " ".join((status.why, *status.problems)).strip(),
            "problems": list(status.problems),
            "fix": status.fix,
            "since": status.since,
            "pending": status.pending,
            "seen": status.seen,
        }

    def _describe_account(self, account: Account, now: float) -> dict[str, Any]:
        paused = account.breaker.is_open(now)
        return {
            "engine": account.engine.value,
            "name": account.name,
            "paused_until": account.breaker.open_until if paused else None,
            "reason": account.breaker.reason if paused else "",
        }

    def _describe_active(self, entry: Entry, active: Sequence[Entry], now: float) -> dict[str, Any]:
        sent, total = next((a.progress[entry.id] for a in self._accounts if entry.id in a.progress), (0, 0))
        job = self._job_progress(entry)
        ahead = 0
        if job is not None and job.ahead is not None:
            ahead = job.ahead
        elif entry.state is EntryState.SUBMITTED and entry.engine is Engine.LOCAL:  # one at a time, oldest first
            others = (e for e in active if e.state is EntryState.SUBMITTED and e.engine is Engine.LOCAL)
            ahead = sum((other.changed_at, other.id) < (entry.changed_at, entry.id) for other in others)
        return {
            **describe_entry(entry),
            "doing": activity_text(entry, sent=sent, total=total, ahead=ahead, job=job, now=now),
            "progress": sent / total if total else job.share if job else None,
            "sent": sent if total else None,
            "total": total or None,
            "ahead": ahead,
            "seconds_done": job.seconds_done if job else None,
        }

    def _job_progress(self, entry: Entry) -> JobProgress | None:
        return next((a.job_progress[entry.id] for a in self._accounts if entry.id in a.job_progress), None)

    async def _describe_recent(self, entry: Entry) -> dict[str, Any]:
        return describe_done(entry, await self._ledger(Ledger.outputs, entry.id))

    async def _holds_changed(self, *, user_request: bool = False) -> None:
        if user_request:
            self._scheduler.ask_now()
        await self._scheduler.refresh_holds()
