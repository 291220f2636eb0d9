"""`make demo`: the main job, for real. A daemon watches a folder; recordings are dropped; transcripts appear.

It uses the command that everyone uses, in a folder of its own, and stops the daemon that it started.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from service.cli.console import say
from watcher.errors import DropscribeError, LedgerError, sentences
from watcher.ledger import open_readonly
from watcher.models import EntryState
from watcher.paths import StatePaths
from watcher.wording import strip_path

if TYPE_CHECKING:
    from types import FrameType

    from watcher.models import Entry

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
RECORDINGS = ROOT / "tests" / "data"
NAMES = {"leisure.flac": "Letter to John.flac", "dashwood.flac": "Meeting notes.flac"}
PATIENCE = 180.0


class DemoFailed(DropscribeError):
    """The demo did not get its transcripts."""


def main(folder: Path = ROOT / "demo", recordings: Path = RECORDINGS) -> int:
    """Show the main job; returns the exit status.

    Args:
        folder: where to work; what is in it is removed.
        recordings: where the recordings to drop are.

    Raises:
        DemoFailed: a recording was not transcribed; the error says why.
    """
    watched = folder / "Recordings"
    shutil.rmtree(folder, ignore_errors=True)
    watched.mkdir(parents=True)
    say(f"1. Dropscribe watches {watched}")
    log = (folder / "dropscribe.log").open("wb")
    command = [sys.executable, "-P", "-m", "service.cli.app", "--state-dir", str(folder / "state"), "run", str(watched)]
    environment = {**os.environ, "SPEECHMATICS_API_KEY": "", "HF_HUB_OFFLINE": "1"}
    with log, subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment) as daemon:  # noqa: S603 - ours
        try:
            for step, (source, name) in enumerate(NAMES.items(), start=1):
                _drop(2 * step, recordings / source, watched / name)
                _show(2 * step + 1, daemon, watched / name, folder)
        finally:
            daemon.terminate()
    say("\nThis ran on this machine alone: no key, no network, nothing paid.")
    say("Now with your own folder:  make run FOLDER=~/Recordings")
    return 0


def _drop(step: int, source: Path, target: Path) -> None:
    say(f"\n{step}. Dropping {target.name!r}, real speech")
    shutil.copy(source, target)


def _show(step: int, daemon: subprocess.Popen[bytes], recording: Path, folder: Path) -> None:
    began = time.monotonic()
    transcript, details = recording.with_suffix(".txt"), recording.with_suffix(".json")
    while not (transcript.exists() and details.exists()):
        _check(daemon, recording, folder, waited=time.monotonic() - began)
        time.sleep(0.05)
    took = time.monotonic() - began
    say(f"{step}. {took:.1f} s later there are {transcript.name!r} and {details.name!r}:\n")
    text = transcript.read_text(encoding="utf-8").strip()
    if not text:
        raise DemoFailed(f"The transcript {transcript} is empty.")
    say("   " + "\n   ".join(text.splitlines()))


def _check(daemon: subprocess.Popen[bytes], recording: Path, folder: Path, *, waited: float) -> None:
    """Find out whether a transcript is still to be expected.

    Raises:
        DemoFailed: it is not.
    """
    entry = _entry(StatePaths(folder / "state"), recording)
    log = f"Its log: {folder / 'dropscribe.log'}"
    if entry is not None and not entry.state.is_active and entry.state is not EntryState.DONE:
        reason = sentences(strip_path(entry.reason, recording), entry.fix)
        raise DemoFailed(f"{recording.name!r} was not transcribed ({entry.state.lower()}): {reason}", fix=log)
    if daemon.poll() is not None:
        raise DemoFailed(f"Dropscribe ended early, with exit status {daemon.returncode}.", fix=log)
    if waited > PATIENCE:
        reason = entry.reason if entry is not None else ""
        raise DemoFailed(sentences(f"No transcript of {recording.name!r} after {PATIENCE:.0f} s.", reason), fix=log)


def _entry(paths: StatePaths, recording: Path) -> Entry | None:
    """What the ledger knows of a recording; None if it doesn't know it yet."""
    if not paths.ledger.exists():
        return None
    try:
        ledger = open_readonly(paths.ledger)
    except LedgerError:  # it is being made
        return None
    try:
        return ledger.at_path(recording)
    finally:
        ledger.close()


def _stop(number: int, _frame: FrameType | None) -> None:
    """End with a signal's usual status, after stopping the daemon."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _stop)
    try:
        sys.exit(main())
    except DropscribeError as error:
        say(f"demo: {error}", error=True)
        sys.exit(1)
