"""The commands that show what is going on: `status`, `jobs`, `show` and `explain`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.console import one_line, print_json, say, shown
from service.cli.daemon import DOWN, explain_file, open_source
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.attention import ATTENTION
from watcher.config import expand
from watcher.errors import DropscribeError, UsageError, sentences
from watcher.models import EntryState

__all__ = ["explain", "jobs", "show", "status"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_STATES_HELP = (
    f"Only recordings in this state; STATE is {', '.join(state.value.lower() for state in EntryState)}, "
    "or attention: failed and held recordings that were not dismissed."
)
_SOON = 12 * 3600.0  # seconds within which a time is unambiguous without its date
_LATEST = 3
_WHERE = {"local": "on this machine", "speechmatics": "sent to Speechmatics"}
_WATCHED = {"events": "watched", "polling": "checked every few seconds", "unavailable": "missing"}
File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording, or any other path.")]


@manual(
    ("dropscribe status", "What is running, what is waiting and why, and where the latest transcripts are."),
    ("dropscribe status --json", "The same as JSON: counts by state, holds, folders, active recordings."),
    exits={78: "The ledger can't be used."},
    see=("jobs", "explain", "open", "doctor"),
)
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what Dropscribe is doing and what needs you.

    If no daemon is running, the answer comes from the ledger.
    """
    with open_source(settings_of(context)) as source:
        snapshot = source.status()
    if as_json:
        print_json(snapshot)
        return
    for line in _status_lines(snapshot):
        say(one_line(line))


def _status_lines(snapshot: dict[str, Any]) -> list[str]:
    counts = {state: number for state, number in snapshot["counts"].items() if number}
    lines = [f"Dropscribe is {_in_words(snapshot)}."]
    lines += [f"  {state.lower():<12}{number:>8,}" for state, number in counts.items()]
    for entry in snapshot.get("active", []):
        lines.append(f"now: {entry['path']}: {entry['doing']}")
    lines += [_latest_line(entry) for entry in snapshot.get("recent", [])[:_LATEST]]
    lines += [_folder_line(folder) for folder in snapshot.get("folders", [])]
    lines += [f"needs you: {sentences(item['reason'], item['fix'])}" for item in snapshot["attention"]]
    for account in snapshot.get("accounts", []):
        if account["reason"]:
            lines.append(f"waiting: {sentences(account['reason'], _again_at(account['paused_until']))}")
    return lines + _advice(snapshot)


def _latest_line(entry: dict[str, Any]) -> str:
    beside = os.path.dirname(entry["path"])  # noqa: PTH120 - text, not a path of this machine's
    outputs = (path.removeprefix(f"{beside}{os.sep}") for path in entry["outputs"])
    return f"latest: {entry['path']} -> {', '.join(outputs)}  ({_when(entry['done_at'])})"


def _folder_line(folder: dict[str, Any]) -> str:
    how = [_WHERE.get(folder["engine"], "not in the config"), _WATCHED.get(folder["state"], folder["state"])]
    how += ["paused"] if folder["paused"] else []
    coming = (
        f"{folder['pending']} still being written; for details: dropscribe explain FILE" if folder["pending"] else ""
    )
    return f"folder: {folder['path']}  ({', '.join(how)}) {sentences(coming, folder['reason'], folder['fix'])}".rstrip()


def _again_at(at: float | None) -> str:
    return f"Next try at {time.strftime('%H:%M:%S', time.localtime(at))}." if at else ""


def _when(at: float) -> str:
    """Format a time; with its date unless it is close to now."""
    return time.strftime("%H:%M" if abs(at - time.time()) < _SOON else "%Y-%m-%d %H:%M", time.localtime(at))


def _advice(snapshot: dict[str, Any]) -> list[str]:
    if snapshot["state"] == DOWN:
        return ["Start it: dropscribe run (or, to start it at every login: dropscribe service install)"]
    return [] if snapshot["folders"] else ["No folder is watched yet: dropscribe folders add ~/Recordings"]


def _in_words(snapshot: dict[str, Any]) -> str:
    until = snapshot.get("paused_until")
    paused = f"paused until {_when(until)}" if until else "paused"
    match snapshot["state"]:
        case "attention":
            return f"{paused} and needs you" if snapshot["paused"] else "running and needs you"
        case "paused":
            return paused
        case "idle" if any(folder["pending"] for folder in snapshot["folders"]):
            return "running; waiting for files to be complete"
        case "idle":
            return "running; nothing to do"
        case state if state != DOWN:
            return str(state)
    if not snapshot["counts"]:
        return "not running, and has never run here"
    return f"not running{f' ({paused})' if snapshot['paused'] else ''}; this is what its ledger says"


@manual(
    ("dropscribe jobs --state attention", "What needs you, why, and what to do."),
    ("dropscribe jobs --state failed", "Everything that failed, including what you dismissed."),
    ("dropscribe jobs --search interview --limit 200", "The latest 200 with `interview` in their names."),
    exits={78: "The ledger can't be used."},
    see=("status", "show", "retry"),
)
def jobs(
    context: typer.Context,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help=_STATES_HELP)] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only names that contain this.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="Maximum number to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List recordings, latest change first."""
    attention = state is not None and state.lower() == ATTENTION
    wanted = None if attention else _parse_state(state)
    with open_source(settings_of(context)) as source:
        found = source.entries(state=wanted, attention=attention, search=search, limit=limit)
    if as_json:
        print_json(found)
        return
    for entry in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["changed_at"]))
        say(f"{when}  {entry['state'].lower():<11}  {one_line(entry['path'])}{_because(entry)}")
    if not found:
        say("No recordings match." if wanted or attention or search else "No recordings yet.")


def _because(entry: dict[str, Any]) -> str:
    why = sentences(entry["reason"], entry["fix"], _dismissed(entry))
    return f"\n    {one_line(why)}" if why else ""


def _dismissed(entry: dict[str, Any]) -> str:
    at = entry["dismissed_at"]
    return f"Dismissed on {time.strftime('%Y-%m-%d at %H:%M', time.localtime(at))}." if at else ""


def _parse_state(state: str | None) -> EntryState | None:
    if state is None:
        return None
    try:
        return EntryState(state.upper())
    except ValueError:
        known = ", ".join([*(each.value.lower() for each in EntryState), ATTENTION])
        raise UsageError(f"There is no state {state!r}.", fix=f"Known: {known}.") from None


@manual(
    ("dropscribe show talk.mp3", "Its state, outputs, and everything that happened to it."),
    exits={1: "Dropscribe doesn't know this recording.", 78: "The ledger can't be used."},
    see=("explain", "jobs"),
)
def show(context: typer.Context, file: File, as_json: AsJson = False) -> None:
    """Show one recording: its state, outputs and history."""
    with open_source(settings_of(context)) as source:
        told = source.explain(expand(str(file)))
    if told["kind"] != "entry":
        raise DropscribeError(f"{shown(file)}: {told['reason']}", fix=told["fix"])
    if as_json:
        print_json(told)
        return
    say(one_line(told["path"]))
    say(one_line(f"  {_how_it_stands(told)}"))
    if told["duration"]:
        say(f"  {told['duration']:.1f} s, {told['size']:,} bytes, {told['engine']}, attempts: {told['attempts']}")
    say(one_line(f"  {told['billing']}"))
    _print_outputs(told)
    _print_history(told)


@manual(
    ("dropscribe explain talk.mp3", "Where its transcript is or why there is none yet, and whether it was billed."),
    ("dropscribe explain notes.docx", "Why it is ignored."),
    exits={78: "The ledger can't be used."},
    see=("show", "retry", "doctor"),
)
def explain(context: typer.Context, file: File, as_json: AsJson = False) -> None:
    """Explain what happened to a file, what happens next, and why.

    Works for any path, also for files that Dropscribe ignores.
    """
    with open_source(settings_of(context)) as source:
        told = explain_file(source, expand(str(file)))
    if as_json:
        print_json(told)
        return
    if told["kind"] != "entry":
        say(one_line(f"{told['path']}: {sentences(told['kind'] + '.', told['reason'], told['fix'])}"))
        return
    say(one_line(f"{told['path']}: {_how_it_stands(told)}"))
    _print_history(told)
    _print_outputs(told)
    say(one_line(f"  {told['billing']}"))
    say(one_line(f"Next: {told['next']}"))


def _how_it_stands(told: dict[str, Any]) -> str:
    gone = "" if told["there"] else "The recording itself is gone."
    return sentences(f"{told['state'].lower()}.", told["reason"], told["fix"], _dismissed(told), gone)


def _print_outputs(told: dict[str, Any]) -> None:
    for output in told["outputs"]:
        say(one_line(f"  {output['format']:<8} {output['path']}{'' if output['there'] else '  (removed since)'}"))


def _print_history(told: dict[str, Any]) -> None:
    for change in told["history"]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change["at"]))
        say(one_line(f"  {when}  {change['to'].lower():<12} {change['reason']}".rstrip()))
