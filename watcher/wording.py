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
    "about_it",
    "billing",
    "describe_done",
    "describe_entry",
    "describe_hold",
    "describe_output",
    "doing",
    "hindrances",
    "minutes",
    "next_step",
    "shown",
    "so_far",
]


def shown(path: Path) -> str:
    """A path as text that can be shown and sent, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "replace")


def about_it(sentence: str, path: Path) -> str:
    """Shorten a sentence about a file for where its path is shown beside it: `It is empty.`, not `/a.wav is empty.`."""
    for name in (str(path), shown(path)):
        if sentence.startswith(f"{name} "):
            return f"It{sentence.removeprefix(name)}"
    return sentence


def hindrances(entry: Entry, holds: Sequence[Hold], *, folder_paused: bool = False) -> list[str]:
    """Say what keeps a waiting entry from being submitted: holds of all or of its engine, its paused folder."""
    engine = f"account:{entry.engine.value}"
    mine = (hold for hold in holds if ":" not in hold.name or hold.name.split()[0] == engine)
    reasons = [sentences(hold.reason, hold.fix) for hold in mine]
    paused = f"Its folder is paused. dropscribe folders resume '{shown(entry.root)}'"
    return [*reasons, paused] if folder_paused else reasons


def next_step(
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
            return f"Nothing: {names} was removed since. To write it again, at no cost: dropscribe retry FILE"
        case EntryState.SUBMITTING:
            return "It is being uploaded, or its answer is being looked for."
        case EntryState.SUBMITTED:
            where = _where_its_job_stands(job)
            return f"{where}; the transcript is fetched as soon as it is ready."
        case EntryState.TRANSCRIBED:
            return "Its transcript is safe and is written beside it as soon as that is possible."
        case EntryState.DONE:
            return "Nothing: its transcript is there."
        case EntryState.HELD:
            return _while_held(entry)
        case _:
            return "Nothing, unless you ask: dropscribe retry FILE"


def _while_held(entry: Entry) -> str:
    if entry.next_attempt_at:
        again = datetime.fromtimestamp(entry.next_attempt_at).astimezone()
        return f"It is tried again with the next start of Dropscribe, at {again:%H:%M} at the latest."
    if not entry.fingerprint.sha256:
        return "It is tried again with the next start of Dropscribe, and at growing intervals until then."
    return "Nothing, until you decide."


def doing(
    entry: Entry, *, sent: int = 0, total: int = 0, ahead: int = 0, job: JobProgress | None = None, now: float
) -> str:
    """Say what is going on with an entry at this moment, in a few words.

    The local engine says how far a transcription is. The cloud doesn't: there, the time since the submission is shown
    beside the recording's length.

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
            return "about to be uploaded, or its answer is being looked for"
        case EntryState.SUBMITTED if ahead:
            return f"submitted, {ahead} ahead of it"
        case EntryState.SUBMITTED if job is not None and job.seconds_done is not None:
            return f"transcribing, {so_far(job.seconds_done, job.duration)}"
        case EntryState.SUBMITTED:
            length = entry.media.duration if entry.media else None
            much = f" {minutes(length)} of sound" if length else ""
            return f"transcribing{much}, {minutes(now - entry.changed_at)} since it was submitted"
        case EntryState.TRANSCRIBED:
            return "writing its transcript"
        case _:
            return "waiting"


def so_far(seconds_done: float, duration: float | None) -> str:
    """Say how much of a recording is done; both in seconds of audio."""
    return f"{minutes(seconds_done)} {f'of {minutes(duration)}' if duration else 'done'}"


def minutes(seconds: float) -> str:
    """A length of time as a clock has it: 0:07, 12:30, 1:02:03."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    head = f"{hours}:{rest // 60:02}" if hours else f"{rest // 60}"
    return f"{head}:{rest % 60:02}"


def billing(entry: Entry, history: Sequence[Change]) -> str:
    """Say whether a recording left the machine, and whether it was paid for, as far as that is known."""
    cloud = Engine.SPEECHMATICS
    if entry.copy_of is not None:
        return "It shares the transcript of another recording with the same content: it was not submitted itself."
    if entry.engine is not cloud and not (entry.account or "").startswith(cloud.value):
        return "On this machine: nothing of it leaves, nothing is billed."
    where = (entry.account or "").removeprefix(f"{cloud} ") or "Speechmatics"
    if entry.job_id:
        return f"Sent to {where} as job {entry.job_id}, which is billed there once."
    if any(change.target is EntryState.SUBMITTED for change in history):
        return (
            f"Sent to {where} and billed there, if its job began; that job was or will be deleted, which costs nothing."
        )
    if entry.state is EntryState.SUBMITTING or any(_left_a_doubt(change) for change in history):
        return f"It may have been sent to {where}: no job of it is known, but there may be one."
    return f"There is no job of it at {where}, so nothing is billed."


def _left_a_doubt(change: Change) -> bool:
    """Whether it was given up while the service might have had a job already."""
    return change.origin is EntryState.SUBMITTING and change.target in {EntryState.HELD, EntryState.CANCELLED}


def _before_submission(entry: Entry, twin: Entry | None, stopped: Sequence[str], now: float) -> str:
    if stopped:
        return sentences("It is submitted once nothing stops it.", *stopped)
    if twin is not None:
        return f"It waits for {display_name(twin.path)}, which has the same content, so that it is paid once."
    if entry.next_attempt_at > now:
        return f"It is tried again in {entry.next_attempt_at - now:.0f} s."
    return "It is submitted as soon as it is its turn."


def _where_its_job_stands(job: JobProgress | None) -> str:
    if job is not None and job.ahead:
        return f"It waits at the server, {job.ahead} ahead of it"
    if job is not None and job.seconds_done is not None:
        return f"It is being transcribed ({so_far(job.seconds_done, job.duration)})"
    return "It is being transcribed"


def _left_to_do(cleanup: Cleanup) -> str:
    what = "Its job is deleted at the service" if cleanup.kind == "job" else f"It is put away ({cleanup.what})"
    return sentences(f"{what} as soon as that is possible.", cleanup.reason)


def describe_entry(entry: Entry, outputs: Sequence[Output] = (), history: Sequence[Change] = ()) -> dict[str, Any]:
    """Make the JSON of an entry; what it cost is told where its history is."""
    media = entry.media
    return {
        "uid": entry.uid,
        "name": display_name(entry.path),
        "path": shown(entry.path),
        "folder": shown(entry.root),
        "requested": entry.kind is EntryKind.REQUESTED,
        "state": entry.state.value,
        "reason": about_it(entry.reason, entry.path),
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
        "outputs": [{"format": o.format.value, "path": shown(o.path)} for o in outputs],
        "history": [
            {
                "at": c.at,
                "from": c.origin.value if c.origin else None,
                "to": c.target.value,
                "reason": about_it(c.reason, entry.path),
            }
            for c in history
        ],
    }


def describe_done(entry: Entry, outputs: Sequence[Output]) -> dict[str, Any]:
    """Make the JSON of a recording that was done lately: where its transcript is."""
    place = {"uid": entry.uid, "name": display_name(entry.path), "path": shown(entry.path)}
    return {**place, "outputs": [shown(output.path) for output in outputs], "done_at": entry.changed_at}


def describe_output(path: Path, source: Entry) -> dict[str, Any]:
    """Make the JSON of a file that is an output of an entry."""
    reason = f"It is a transcript that Dropscribe wrote for {display_name(source.path)}."
    return {"kind": "output", "path": shown(path), "reason": reason, "fix": "", "entry": source.uid}


def describe_hold(hold: Hold) -> dict[str, Any]:
    """Make the JSON of a hold."""
    return {"name": hold.name, "since": hold.since, "until": hold.until, "reason": hold.reason, "fix": hold.fix}
