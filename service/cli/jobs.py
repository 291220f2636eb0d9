"""The commands that tell what is going on and take orders: from the running daemon, or else from the ledger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import one_line, print_json, say, settings_of, shown
from service.cli.source import Source, open_source
from watcher.config import expand
from watcher.errors import UsageError
from watcher.models import Engine, EntryState

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["register"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A recording, or any other path.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("jobs")(jobs)
    app.command("show")(show)
    app.command("explain")(explain)
    app.command("retry")(retry)
    app.command("cancel")(cancel)
    app.command("pause")(pause)
    app.command("resume")(resume)


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Say what Dropscribe is doing now, and what needs you."""
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
        share = f" {entry['progress']:.0%}" if entry.get("progress") is not None else ""
        lines.append(f"now: {entry['state'].lower()}{share}  {entry['path']}")
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
    if counts.get("HELD"):
        lines.append("Some recordings need your decision: dropscribe jobs --state held")
    if counts.get("FAILED"):
        lines.append("Some recordings failed: dropscribe jobs --state failed")
    return lines


def _in_words(snapshot: dict[str, Any]) -> str:
    words = {"attention": "running and needs you", "working": "working", "idle": "running; nothing to do"}
    return words.get(snapshot["state"], str(snapshot["state"]))


def jobs(
    context: typer.Context,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only these: waiting, failed, …")
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only names with this in them.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at the most.")] = 50,
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


def show(context: typer.Context, file: File, as_json: AsJson = False) -> None:
    """Show everything about one recording: state, outputs, history."""
    with open_source(settings_of(context)) as source:
        told = source.explain(expand(str(file)))
    if told["kind"] != "entry":
        raise UsageError(f"{shown(file)}: {told['reason']}", fix=told["fix"])
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


def explain(context: typer.Context, file: File, as_json: AsJson = False) -> None:
    """Say what happened to a file, what happens next, and why; also for files that are ignored."""
    with open_source(settings_of(context)) as source:
        told = source.explain(expand(str(file)))
        stopped = _stopped(told, source.status()) if told.get("state") == EntryState.WAITING else []
    if as_json:
        print_json(told)
        return
    if told["kind"] != "entry":
        say(one_line(f"{told['path']}: {told['kind']}. {told['reason']} {told['fix']}".rstrip()))
        return
    say(one_line(f"{told['path']} is {told['state'].lower()}. {told['reason']} {told['fix']}".rstrip()))
    _print_history(told)
    say(one_line(f"Next: {told['next']}"))
    for reason in stopped:
        say(one_line(f"But not now: {reason}".rstrip()))


def _stopped(told: dict[str, Any], snapshot: dict[str, Any]) -> list[str]:
    """Say what keeps a waiting recording from being submitted: a hold of its engine or of all, its paused folder."""
    mine = ("account:speechmatics", "account:local")[told["engine"] == Engine.LOCAL]
    holds = (h for h in snapshot.get("holds", []) if h["name"].startswith(mine) or ":" not in h["name"])
    reasons = [f"{hold['reason']} {hold['fix']}" for hold in holds]
    paused = [f["path"] for f in snapshot.get("folders", []) if f["paused"] and f["path"] == told["folder"]]
    return reasons + [f"Its folder is paused. dropscribe folders resume '{path}'" for path in paused]


def _print_history(told: dict[str, Any]) -> None:
    for change in told["history"]:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change["at"]))
        say(one_line(f"  {when}  {change['to'].lower():<12} {change['reason']}".rstrip()))


def retry(context: typer.Context, files: Files) -> int:
    """Try recordings again that failed, were skipped or cancelled, or are held (which may cost again)."""
    return _order(context, files, lambda source, uid: source.retry(uid))


def cancel(context: typer.Context, files: Files) -> int:
    """Give up recordings that are not done yet."""
    return _order(context, files, lambda source, uid: source.cancel(uid))


def _order(context: typer.Context, files: list[Path], order: Callable[[Source, str], dict[str, Any]]) -> int:
    bad = 0
    with open_source(settings_of(context), orders=True) as source:
        for file in files:
            told = source.explain(expand(str(file)))
            if told["kind"] != "entry":
                say(f"{shown(file)}: {one_line(told['reason'] + ' ' + told['fix'])}".rstrip(), error=True)
                bad += 1
                continue
            try:
                told = order(source, told["uid"])
            except UsageError as error:
                say(one_line(str(error)), error=True)
                bad += 1
                continue
            say(one_line(f"{told['path']} is {told['state'].lower()}. {told['next']}"))
    return 1 if bad else 0


def pause(
    context: typer.Context,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.1, help="Go on by itself after so long.")] = None,
) -> None:
    """Submit nothing until `dropscribe resume`; what runs at the service is still fetched."""
    with open_source(settings_of(context), orders=True) as source:
        source.pause(time.time() + minutes * 60 if minutes else None)
    say("Paused. `dropscribe resume` goes on.")


def resume(context: typer.Context) -> None:
    """Go on after `dropscribe pause`."""
    with open_source(settings_of(context), orders=True) as source:
        source.resume()
    say("Going on.")
