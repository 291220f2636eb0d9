"""Find the Python interpreters of this machine: those on PATH and pyenv's."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
_NEEDED = "import sys, venv, ensurepip; print('.'.join(map(str, sys.version_info[:3])))"


@dataclass(frozen=True)
class Interpreter:
    """An interpreter that can make virtual environments; `version` is e.g. `3.12.1`."""

    path: Path
    version: str


@dataclass(frozen=True)
class Found:
    """What is installed of the versions that we support."""

    usable: list[Interpreter]
    """One for each minor version, in order."""
    broken: dict[str, str]
    """Minor versions of which no installed interpreter can be used, and why."""


def supported() -> list[str]:
    """The minor versions that pyproject.toml names, e.g. `3.12`."""
    classifiers = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["classifiers"]
    found = [re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line) for line in classifiers]
    return [match[1] for match in found if match]


def find(environment: Mapping[str, str], minors: list[str]) -> Found:
    """Look for an interpreter of each of these minor versions."""
    usable, broken = [], {}
    for minor in minors:
        for path in _candidates(environment, minor):
            version, reason = _version(path)
            if version.startswith(f"{minor}."):
                usable.append(Interpreter(path, version))
                broken.pop(minor, None)
                break
            broken.setdefault(minor, f"{path}: {reason or f'is Python {version}'}")
    return Found(usable, broken)


def look_at(path: str) -> Interpreter:
    """The interpreter that a person named.

    Raises:
        ValueError: If it can't be used.
    """
    version, reason = _version(path)
    if not version:
        raise ValueError(f"{path}: {reason}")
    return Interpreter(Path(path), version)


def _candidates(environment: Mapping[str, str], minor: str) -> list[Path]:
    folders = [Path(part) for part in environment.get("PATH", "").split(":") if part]
    roots = {Path(environment[name]) for name in ("PYENV_ROOT",) if environment.get(name)}
    roots |= {folder.parent for folder in folders if folder.name == "shims"}
    roots |= {Path(environment["HOME"]) / ".pyenv"} if environment.get("HOME") else set()
    found = [folder / f"python{minor}" for folder in folders]
    for root in sorted(roots):
        # By number, the newest first: 3.12.10 before 3.12.9. Also names such as 3.13t or 3.14-dev.
        versions = sorted((root / "versions").glob(f"{minor}[.-]*"), key=_numbers, reverse=True)
        found += [version / "bin" / "python" for version in versions]
    return [path for path in found if path.exists()]


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _version(path: Path | str) -> tuple[str, str]:
    """The version, or an empty one and the reason why the interpreter can't be used."""
    try:
        done = subprocess.run([path, "-c", _NEEDED], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    if done.returncode:
        return "", (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
    return done.stdout.strip(), ""
