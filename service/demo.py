"""`make demo`: the main job, for real. A daemon watches a folder; recordings are dropped; transcripts appear.

It uses the command that everyone uses, in a folder of its own, and stops the daemon that it started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from service.cli.context import say
from watcher.errors import DropscribeError

__all__ = ["main"]

ROOT = Path(__file__).parents[1]
RECORDINGS = ROOT / "tests" / "data"
NAMES = {"leisure.flac": "Letter to John.flac", "dashwood.flac": "Meeting notes.flac"}
PATIENCE = 180.0


class DemoFailed(DropscribeError):
    """The demo did not get its transcripts."""


def main(folder: Path = ROOT / "demo") -> int:
    """Show the main job; returns the exit status."""
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
                _drop(2 * step, RECORDINGS / source, watched / name)
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
        if daemon.poll() is not None or time.monotonic() - began > PATIENCE:
            raise DemoFailed(f"No transcript of {recording} came.", fix=f"Its log: {folder / 'dropscribe.log'}")
        time.sleep(0.05)
    took = time.monotonic() - began
    say(f"{step}. {took:.1f} s later there are {transcript.name!r} and {details.name!r}:\n")
    text = transcript.read_text(encoding="utf-8").strip()
    if not text:
        raise DemoFailed(f"The transcript {transcript} is empty.")
    say("   " + "\n   ".join(text.splitlines()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DropscribeError as error:
        say(f"demo: {error}", error=True)
        sys.exit(1)
