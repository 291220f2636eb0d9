"""The commands that tell what is going on: from the running daemon, or else from the ledger."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.context import one_line, print_json, say, settings_of, shown
from service.cli.manual import manual
from service.cli.source import open_source
from watcher.config import expand
from watcher.errors import DropscribeError, UsageError, sentences
from watcher.models import EntryState

__all__ = ["explain", "jobs", "show", "status"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_STATES_HELP = f"Only these; STATE is {', '.join(state.value.lower() for state in EntryState)}."
_SOON = 12 * 3600.0  # seconds within which an hour of the day says enough
_LATEST = 3
_WHERE = {"local": "on this machine", "speechmatics": "sent to Speechmatics"}
_WATCHED = {"events": "watched", "polling": "looked through now and then", "unavailable": "not there"}
File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording, or any other path.")]


@manual(
    ("dropscribe status", "What runs, what waits and for what, where the latest transcripts are."),
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
    lines += [_latest_line(entry) for entry in snapshot.get("recent", [])[:_LATEST]]
    lines += [_folder_line(folder) for folder in snapshot.get("folders", [])]
    for hold in snapshot.get("holds", []):
        lines.append(f"stopped: {sentences(hold['reason'], hold['fix'])}")
    for account in snapshot.get("accounts", []):
        if account["reason"]:
            lines.append(f"waiting: {sentences(account['reason'], _again_at(account['paused_until']))}")
    if problem := snapshot.get("config_problem"):
        lines.append(f"config: {problem}")
    return lines + _advice(snapshot, counts)


def _latest_line(entry: dict[str, Any]) -> str:
    beside = os.path.dirname(entry["path"])  # noqa: PTH120 - text, not a path of this machine's
    outputs = (path.removeprefix(f"{beside}{os.sep}") for path in entry["outputs"])
    return f"latest: {entry['path']} -> {', '.join(outputs)}  ({_when(entry['done_at'])})"


def _folder_line(folder: dict[str, Any]) -> str:
    how = [_WHERE.get(folder["engine"], "not in the config"), _WATCHED.get(folder["state"], folder["state"])]
    how += ["paused"] if folder["paused"] else []
    coming = f"{folder['pending']} not whole yet; `dropscribe explain FILE` says why." if folder["pending"] else ""
    return f"folder: {folder['path']}  ({', '.join(how)}) {sentences(coming, folder['reason'], folder['fix'])}".rstrip()


def _again_at(at: float | None) -> str:
    return f"Next try at {time.strftime('%H:%M:%S', time.localtime(at))}." if at else ""


def _when(at: float) -> str:
    """The hour where that says enough, else with the day."""
    return time.strftime("%H:%M" if abs(at - time.time()) < _SOON else "%Y-%m-%d %H:%M", time.localtime(at))


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
        return f"paused until {_when(until)}"
    if snapshot["state"] == "idle" and any(folder["pending"] for folder in snapshot["folders"]):
        return "running; it waits for files to be whole"
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
    return "\n    " + one_line(sentences(entry["reason"], entry["fix"])) if entry["reason"] else ""


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
    say(one_line(f"  {_how_it_stands(told)}"))
    if told["duration"]:
        say(f"  {told['duration']:.1f} s, {told['size']:,} bytes, {told['engine']}, attempts: {told['attempts']}")
    say(one_line(f"  {told['billing']}"))
    _print_outputs(told)
    _print_history(told)


@manual(
    ("dropscribe explain talk.mp3", "Why there is no transcript yet, or where it is, and whether it was paid for."),
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
        say(one_line(f"{told['path']}: {sentences(told['kind'] + '.', told['reason'], told['fix'])}"))
        return
    say(one_line(f"{told['path']}: {_how_it_stands(told)}"))
    _print_history(told)
    _print_outputs(told)
    say(one_line(f"  {told['billing']}"))
    say(one_line(f"Next: {told['next']}"))


def _how_it_stands(told: dict[str, Any]) -> str:
    gone = "" if told["there"] else "The recording itself is not there any more."
    return sentences(f"{told['state'].lower()}.", told["reason"], told["fix"], gone)


def _print_outputs(told: dict[str, Any]) -> None:
    for output in told["outputs"]:
        say(one_line(f"  {output['format']:<8} {output['path']}{'' if output['there'] else '  (removed since)'}"))


def _print_history(told: dict[str, Any]) -> None:
    for change in told["history"]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change["at"]))
        say(one_line(f"  {when}  {change['to'].lower():<12} {change['reason']}".rstrip()))
