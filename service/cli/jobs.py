"""The commands that tell what is going on: from the running daemon, or else from the ledger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.context import one_line, print_json, say, settings_of, shown
from service.cli.manual import manual
from service.cli.source import open_source
from watcher.config import expand
from watcher.errors import DropscribeError, UsageError
from watcher.models import EntryState

__all__ = ["explain", "jobs", "show", "status"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_STATES_HELP = f"Only these; STATE is {', '.join(state.value.lower() for state in EntryState)}."
_SOON = 12 * 3600.0  # seconds within which an hour of the day says enough
File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording, or any other path.")]


@manual(
    ("dropscribe status", "The whole picture."),
    ("dropscribe status --json", "The same for a program: counts by state, holds, folders, what runs."),
    exits={78: "The ledger can't be used as it is."},
    see=("jobs", "explain", "open", "doctor"),
)
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Say what Dropscribe does now, and what needs you.

    The running daemon answers; without one, the ledger does, as far as it knows.
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
    for folder in snapshot.get("folders", []):
        how = f"{folder['state']}{', paused' if folder['paused'] else ''}"
        lines.append(
            f"folder: {folder['path']}  ({folder['engine']}, {how}) {folder['reason']} {folder['fix']}".rstrip()
        )
    for hold in snapshot.get("holds", []):
        lines.append(f"stopped: {hold['reason']} {hold['fix']}".rstrip())
    for account in snapshot.get("accounts", []):
        if account["reason"]:
            lines.append(f"waiting: {account['reason']}")
    if problem := snapshot.get("config_problem"):
        lines.append(f"config: {problem}")
    return lines + _advice(snapshot, counts)


def _advice(snapshot: dict[str, Any], counts: dict[str, int]) -> list[str]:
    lines = []
    if "pid" not in snapshot:
        lines.append("Start it: dropscribe run (or, from every login on: dropscribe service install)")
    elif not snapshot["folders"]:
        lines.append("No folder is watched yet: dropscribe folders add ~/Recordings")
    if counts.get("HELD"):
        lines.append("Some recordings need your decision: dropscribe jobs --state held")
    if counts.get("FAILED"):
        lines.append("Some recordings failed: dropscribe jobs --state failed")
    return lines


def _in_words(snapshot: dict[str, Any]) -> str:
    words = {"attention": "running and needs you", "working": "working", "idle": "running; nothing to do"}
    if until := snapshot.get("paused_until"):
        form = "%H:%M" if until - time.time() < _SOON else "%Y-%m-%d %H:%M"
        return f"paused until {time.strftime(form, time.localtime(until))}"
    return words.get(snapshot["state"], str(snapshot["state"]))


@manual(
    ("dropscribe jobs --state failed", "What failed, why, and what to do."),
    ("dropscribe jobs --search interview --limit 200", "The latest 200 with `interview` in their name."),
    exits={78: "The ledger can't be used as it is."},
    see=("status", "show", "retry"),
)
def jobs(
    context: typer.Context,
    state: Annotated[str | None, typer.Option("--state", metavar="STATE", help=_STATES_HELP)] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only names with this in them.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="How many at the most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List recordings, latest change first."""
    wanted = _parse_state(state)
    with open_source(settings_of(context)) as source:
        found = source.entries(state=wanted, search=search, limit=limit)
    if as_json:
        print_json(found)
        return
    for entry in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry["changed_at"]))
        say(f"{when}  {entry['state'].lower():<11}  {one_line(entry['path'])}{_because(entry)}")
    if not found:
        say("Nothing matches." if wanted or search else "No recordings yet.")


def _because(entry: dict[str, Any]) -> str:
    return "\n    " + one_line(f"{entry['reason']} {entry['fix']}".strip()) if entry["reason"] else ""


def _parse_state(state: str | None) -> EntryState | None:
    if state is None:
        return None
    try:
        return EntryState(state.upper())
    except ValueError:
        known = ", ".join(each.value.lower() for each in EntryState)
        raise UsageError(f"There is no state {state!r}.", fix=f"Known: {known}.") from None


@manual(
    ("dropscribe show talk.mp3", "Its state, outputs, and all that happened to it."),
    exits={1: "Dropscribe doesn't know this recording.", 78: "The ledger can't be used as it is."},
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
    say(one_line(f"  {told['state'].lower()}. {told['reason']} {told['fix']}".rstrip()))
    if told["duration"]:
        say(f"  {told['duration']:.1f} s, {told['size']:,} bytes, {told['engine']}, attempts: {told['attempts']}")
    for output in told["outputs"]:
        say(f"  {output['format']:<8} {one_line(output['path'])}")
    _print_history(told)


@manual(
    ("dropscribe explain talk.mp3", "Why there is no transcript yet."),
    ("dropscribe explain notes.docx", "Why it is left alone."),
    exits={78: "The ledger can't be used as it is."},
    see=("show", "retry", "doctor"),
)
def explain(context: typer.Context, file: File, as_json: AsJson = False) -> None:
    """Say what happened to a file, what comes next, and why.

    Any path may be asked about, also one that is left alone.
    """
    with open_source(settings_of(context)) as source:
        told = source.explain(expand(str(file)))
    if as_json:
        print_json(told)
        return
    if told["kind"] != "entry":
        say(one_line(f"{told['path']}: {told['kind']}. {told['reason']} {told['fix']}".rstrip()))
        return
    say(one_line(f"{told['path']} is {told['state'].lower()}. {told['reason']} {told['fix']}".rstrip()))
    _print_history(told)
    say(one_line(f"Next: {told['next']}"))


def _print_history(told: dict[str, Any]) -> None:
    for change in told["history"]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change["at"]))
        say(one_line(f"  {when}  {change['to'].lower():<12} {change['reason']}".rstrip()))
