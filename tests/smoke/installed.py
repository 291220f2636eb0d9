"""An installation of the wheel in a virtual environment of its own, and what a person does with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import zipfile
from typing import TYPE_CHECKING

from speechmatics.batch import AsyncClient, FormatType

from tests.support.daemon import DATA, ROOT, environment
from tests.support.waiting import until
from tests.support.words import READ, error_rate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.smoke.interpreters import Interpreter

MOST_WRONG = 0.15
"""The share of wrong words; 0.0 to 0.04 were measured, and processors differ by a word or two."""
PATIENCE = 300.0
"""Seconds for one recording: a busy machine may be slow."""
INSTALL_PATIENCE = 1800.0
"""Seconds for pip, on a slow network."""


class Failed(Exception):
    """A step did not do what it should; says what happened."""


def run(command: list[object], *, seconds: float, **options: object) -> str:
    """Run a command to its end; return what it printed.

    Raises:
        Failed: If it fails; with the end of what it printed.
    """
    line = [str(part) for part in command]
    try:
        done = subprocess.run(
            line, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False, **options
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(line)}\ndid not end within {seconds:g} s") from None
    if done.returncode:
        raise Failed(f"{' '.join(line)}\nended with status {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def build_wheel(python: str, folder: Path) -> Path:
    """Build the wheel of this checkout, and check that every file of the packages is in it.

    Raises:
        Failed: If it can't be built, or lacks something.
    """
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    run([python, "-m", "pip", "-q", "--disable-pip-version-check", "wheel", *options, ROOT], seconds=INSTALL_PATIENCE)
    (wheel,) = folder.glob("dropscribe-*.whl")
    packaged = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for package in ("watcher", "service")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if missing := sorted(files - packaged):
        raise Failed(f"{wheel.name} lacks {', '.join(missing)}")
    return wheel


class Installed:
    """The program, installed with one interpreter below a folder that is empty at first."""

    def __init__(self, interpreter: Interpreter, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.home.mkdir()
        self._interpreter = interpreter
        self._bin = root / "venv" / "bin"

    def install(self, wheel: Path, *, pinned: bool) -> str:
        """Install the wheel: with our pins, or with the newest packages that its bounds allow."""
        ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
        outside = {name: value for name, value in os.environ.items() if name not in ours}
        pip = [self._bin / "python", "-m", "pip", "--disable-pip-version-check"]
        run([self._interpreter.path, "-m", "venv", self._bin.parent], seconds=INSTALL_PATIENCE, env=outside)
        if pinned:
            pins = ROOT / "requirements" / "run.txt"
            run(
                [*pip, "install", "-q", "--require-hashes", "-r", pins],
                seconds=INSTALL_PATIENCE,
                env=outside,
                cwd=self.root,
            )
        with_dependencies = ["--no-deps"] if pinned else []
        run([*pip, "install", "-q", *with_dependencies, wheel], seconds=INSTALL_PATIENCE, env=outside, cwd=self.root)
        run([*pip, "check"], seconds=INSTALL_PATIENCE, env=outside, cwd=self.root)
        size = sum(path.lstat().st_size for path in self._bin.parent.rglob("*"))
        return f"{wheel.name}, {size / 1e6:.0f} MB with its packages"

    def transcribe(self) -> str:
        """`dropscribe transcribe`: one file, without a folder."""
        recording = self._copied("dashwood", self.root / "single" / "dashwood.flac")
        self._run("transcribe", recording)
        return _words(recording.with_suffix(".txt").read_text(encoding="utf-8"), "dashwood")

    def watch(self) -> str:
        """`dropscribe run`: a recording is dropped into the folder while it runs."""
        folder = self.root / "Recordings"
        folder.mkdir()
        with self._running("run", folder) as (process, log):
            recording = self._copied("ten_seconds", folder / "ten seconds.flac")
            transcript, details = recording.with_suffix(".txt"), recording.with_suffix(".json")

            def done() -> bool:
                if process.poll() is not None:
                    raise Failed(f"the daemon ended:\n{_tail(log)}")
                return transcript.exists() and details.exists()

            until(done, lambda: f"for the transcript:\n{_tail(log)}", seconds=PATIENCE)
        if "Traceback" in log.read_text(encoding="utf-8"):
            raise Failed(f"an exception is in the log:\n{_tail(log)}")
        return _words(transcript.read_text(encoding="utf-8"), "ten_seconds")

    def serve(self) -> str:
        """`dropscribe serve`, with Speechmatics' own client."""
        with self._running("serve", "--port", "0") as (process, log):

            def address() -> re.Match[str] | None:
                if process.poll() is not None:
                    raise Failed(f"the server ended:\n{_tail(log)}")
                return re.search(r"http://127\.0\.0\.1:\d+/v2", log.read_text(encoding="utf-8"))

            url = until(address, lambda: f"for the server:\n{_tail(log)}", seconds=PATIENCE)[0]
            return _words(asyncio.run(_official(url)), "dashwood")

    def doctor(self) -> str:
        """`dropscribe doctor` finds nothing wrong."""
        return f"{len(self._run('doctor').splitlines())} lines, nothing wrong"

    def _copied(self, name: str, target: Path) -> Path:
        target.parent.mkdir(exist_ok=True)
        shutil.copy(DATA / f"{name}.flac", target)
        return target

    def _environment(self) -> dict[str, str]:
        outside = {name: value for name, value in environment(self.home).items() if name != "PYTHONPATH"}
        return {**outside, "DROPSCRIBE_SERVER_KEY": KEY}

    def _run(self, *arguments: object) -> str:
        return run([self._bin / "dropscribe", *arguments], seconds=PATIENCE, env=self._environment(), cwd=self.root)

    @contextlib.contextmanager
    def _running(self, *arguments: object) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """Run a command until the block is left; gives the process and the file with all that it prints."""
        log = self.root / f"{arguments[0]}.log"
        command = [str(part) for part in (self._bin / "dropscribe", *arguments)]
        options = {"env": self._environment(), "cwd": self.root, "stdin": subprocess.DEVNULL}
        with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, **options) as process:
            try:
                yield process, log
            finally:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise Failed(f"{' '.join(command)}\ndid not end within 60 s of SIGTERM:\n{_tail(log)}") from None


KEY = "smoke-test-key"


async def _official(url: str) -> str:
    async with AsyncClient(api_key=KEY, url=url) as client:
        return str(
            await client.transcribe(
                str(DATA / "dashwood.flac"), format_type=FormatType.TXT, polling_interval=0.5, timeout=PATIENCE
            )
        )


def _words(text: str, recording: str) -> str:
    rate = error_rate([(READ[recording], text)])
    if rate > MOST_WRONG:
        raise Failed(f"{rate:.0%} of the words are wrong: {text!r}")
    return f"{len(text.split())} words, {rate:.0%} wrong"


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-3000:]
