"""What is known about entries and holds, as JSON-ready data and in sentences: every surface tells the same story.

Pure, and light to import: the command line answers from here without loading the daemon.
"""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from watcher.attention import entry_needs_attention
from watcher.errors import sentences
from watcher.ledger import display_name
from watcher.models import Engine, EntryKind, EntryState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from watcher.ledger import Change, Cleanup, Hold
    from watcher.models import Entry, JobProgress, Output

__all__ = [
    "activity_text",
    "billing",
    "blockers",
    "describe_done",
    "describe_entry",
    "describe_hold",
    "describe_output",
    "display_path",
    "format_duration",
    "next_step_text",
    "progress_text",
    "strip_path",
]


def display_path(path: Path) -> str:
    """A path as text that can be shown and sent, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "replace")


def strip_path(sentence: str, path: Path) -> str:
    """Replace the path at the start of a sentence with "It", for use where the path is shown anyway."""
    for name in (str(path), display_path(path)):
        if sentence.startswith(f"{name} "):
            return f"It{sentence.removeprefix(name)}"
    return sentence


def blockers(entry: Entry, holds: Sequence[Hold], *, folder_paused: bool = False) -> list[str]:
    """List what blocks the submission of a waiting entry: holds that apply to it, or its paused folder."""
    engine = f"account:{entry.engine.value}"
    mine = (hold for hold in holds if ":" not in hold.name or hold.name.split()[0] == engine)
    reasons = [sentences(hold.reason, hold.fix) for hold in mine]
    paused = f"Its folder is paused. To resume it: dropscribe folders resume '{display_path(entry.root)}'"
    return [*reasons, paused] if folder_paused else reasons


def next_step_text(
    entry: Entry,
    *,
    twin: Entry | None = None,
    stopped: Sequence[str] = (),
    cleanups: Sequence[Cleanup] = (),
    missing: Sequence[Path] = (),
    job: JobProgress | None = None,
    now: float = 0.0,
) -> str:
    """Say what happens next with an entry, in a sentence.

    Args:
        entry: any.
        twin: an entry with the same content that is on its way already.
        stopped: what keeps it from being submitted.
        cleanups: what is left to do after its transcript.
        missing: outputs that are not where they were written.
        job: how far its job is, where the server tells.
        now: unix time.
    """
    match entry.state:
        case EntryState.WAITING:
            return _before_submission(entry, twin, stopped, now)
        case EntryState.DONE | EntryState.CANCELLED if cleanups:
            return " ".join(_left_to_do(cleanup) for cleanup in cleanups)
        case EntryState.DONE if missing:
            names = ", ".join(display_name(path) for path in missing)
            return f"Nothing left to do, but {names} was removed. To write it again at no cost: dropscribe retry FILE"
        case EntryState.SUBMITTING:
            return "It is being uploaded, or Dropscribe is checking whether the upload arrived."
        case EntryState.SUBMITTED:
            where = _where_its_job_stands(job)
            return f"{where}. The transcript is fetched as soon as it is ready."
        case EntryState.TRANSCRIBED:
            return "Its transcript has been fetched, and is written as soon as possible."
        case EntryState.DONE:
            return "Nothing left to do."
        case EntryState.HELD:
            return _while_held(entry)
        case _:
            return "Nothing. To try again: dropscribe retry FILE"


def _while_held(entry: Entry) -> str:
    if entry.next_attempt_at:
        again = datetime.fromtimestamp(entry.next_attempt_at).astimezone()
        return f"It is tried again when Dropscribe restarts, or at {again:%H:%M}."
    if not entry.fingerprint.sha256:
        return "It is tried again when Dropscribe restarts, and from time to time before that."
    return "Nothing until you decide."


def activity_text(
    entry: Entry, *, sent: int = 0, total: int = 0, ahead: int = 0, job: JobProgress | None = None, now: float
) -> str:
    """Describe what is happening with an entry now, in a few words.

    The local engine reports how far a transcription is. The cloud doesn't; there, the text shows the time since the
    submission and the length of the recording.

    Args:
        entry: on its way.
        sent: bytes that are uploaded.
        total: bytes to upload; 0 while that isn't known.
        ahead: how many jobs the service does first.
        job: how far its job is, where the server tells.
        now: unix time.
    """
    match entry.state:
        case EntryState.SUBMITTING if total:
            return f"uploading, {sent / 1e6:.1f} of {total / 1e6:.1f} MB"
        case EntryState.SUBMITTING:
            return "uploading"
        case EntryState.SUBMITTED if ahead:
            return f"queued, {ahead} ahead of it"
        case EntryState.SUBMITTED if job is not None and job.seconds_done is not None:
            return f"transcribing, {progress_text(job.seconds_done, job.duration)}"
        case EntryState.SUBMITTED:
            length = entry.media.duration if entry.media else None
            much = f" {format_duration(length)} of audio" if length else ""
            return f"transcribing{much}, submitted {format_duration(now - entry.changed_at)} ago"
        case EntryState.TRANSCRIBED:
            return "writing its transcript"
        case _:
            return "waiting"


def progress_text(seconds_done: float, duration: float | None) -> str:
    """Format how much of a recording is done; both values are seconds of audio."""
    return f"{format_duration(seconds_done)} {f'of {format_duration(duration)}' if duration else 'done'}"


def format_duration(seconds: float) -> str:
    """Format a number of seconds like a clock: 0:07, 12:30, 1:02:03."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    head = f"{hours}:{rest // 60:02}" if hours else f"{rest // 60}"
    return f"{head}:{rest % 60:02}"


def billing(entry: Entry, history: Sequence[Change]) -> str:
    """Tell whether a recording left the machine and whether it was billed, as far as is known."""
    cloud = Engine.SPEECHMATICS
    if entry.copy_of is not None:
        return "Not submitted: it uses the transcript of another recording with the same content."
    if entry.engine is not cloud and not (entry.account or "").startswith(cloud.value):
        return "Stays on this machine; nothing is billed."
    where = (entry.account or "").removeprefix(f"{cloud} ") or "Speechmatics"
    if entry.job_id:
        return f"Sent to {where} as job {entry.job_id}, and billed there once."
    if any(change.target is EntryState.SUBMITTED for change in history):
        return f"Sent to {where}, and billed there if its job started. The job was or will be deleted, at no cost."
    if entry.state is EntryState.SUBMITTING or any(_left_a_doubt(change) for change in history):
        return f"It may have been sent to {where}: no job is known, but there may be one."
    return f"It has no job at {where}; nothing is billed."


def _left_a_doubt(change: Change) -> bool:
    """Whether it was abandoned while the service may have had a job already."""
    return change.origin is EntryState.SUBMITTING and change.target in {EntryState.HELD, EntryState.CANCELLED}


def _before_submission(entry: Entry, twin: Entry | None, stopped: Sequence[str], now: float) -> str:
    if stopped:
        return sentences("It waits to be submitted.", *stopped)
    if twin is not None:
        return f"It waits for {display_name(twin.path)}, which has the same content, so that it is billed only once."
    if entry.next_attempt_at > now:
        return f"It is tried again in {entry.next_attempt_at - now:.0f} s."
    return "It is next in line to be submitted."


def _where_its_job_stands(job: JobProgress | None) -> str:
    if job is not None and job.ahead:
        return f"It is queued at the server, {job.ahead} ahead of it"
    if job is not None and job.seconds_done is not None:
        return f"It is being transcribed ({progress_text(job.seconds_done, job.duration)})"
    return "It is being transcribed"


def _left_to_do(cleanup: Cleanup) -> str:
    what = (
        "Its job at the service is deleted"
        if cleanup.kind == "job"
        else f"The recording is moved or deleted ({cleanup.what})"
    )
    return sentences(f"{what} as soon as possible.", cleanup.reason)


def describe_entry(entry: Entry, outputs: Sequence[Output] = (), history: Sequence[Change] = ()) -> dict[str, Any]:
    """Make the JSON of an entry. With a history it includes what was billed."""
    media = entry.media
    return {
        "uid": entry.uid,
        "name": display_name(entry.path),
        "path": display_path(entry.path),
        "folder": display_path(entry.root),
        "requested": entry.kind is EntryKind.REQUESTED,
        "state": entry.state.value,
        "reason": strip_path(entry.reason, entry.path),
        "fix": entry.fix,
        "needs_attention": entry_needs_attention(entry.state, dismissed_at=entry.dismissed_at, current=entry.current),
        "dismissed_at": entry.dismissed_at,
        "engine": entry.engine.value,
        "size": entry.fingerprint.size,
        "sha256": entry.fingerprint.sha256,
        "duration": media.duration if media else None,
        "attempts": entry.attempts,
        "next_attempt_at": entry.next_attempt_at or None,
        "job_id": entry.job_id,
        **({"billing": billing(entry, history)} if history else {}),
        "added_at": entry.added_at,
        "changed_at": entry.changed_at,
        "formats": [form.value for form in entry.formats],
        "outputs": [{"format": o.format.value, "path": display_path(o.path)} for o in outputs],
        "history": [
            {
                "at": c.at,
                "from": c.origin.value if c.origin else None,
                "to": c.target.value,
                "reason": strip_path(c.reason, entry.path),
            }
            for c in history
        ],
    }


def describe_done(entry: Entry, outputs: Sequence[Output]) -> dict[str, Any]:
    """Make the JSON of a recently finished recording, with its transcripts."""
    place = {"uid": entry.uid, "name": display_name(entry.path), "path": display_path(entry.path)}
    return {**place, "outputs": [display_path(output.path) for output in outputs], "done_at": entry.changed_at}


def describe_output(path: Path, source: Entry) -> dict[str, Any]:
    """Make the JSON of a file that is an output of an entry."""
    reason = f"It is a transcript that Dropscribe wrote for {display_name(source.path)}."
    return {"kind": "output", "path": display_path(path), "reason": reason, "fix": "", "entry": source.uid}


def describe_hold(hold: Hold) -> dict[str, Any]:
    """Make the JSON of a hold."""
    return {"name": hold.name, "since": hold.since, "until": hold.until, "reason": hold.reason, "fix": hold.fix}
