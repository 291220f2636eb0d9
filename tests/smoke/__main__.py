"""``python -m tests.smoke [PYTHON…]``: install the wheel with each interpreter, and use it.

Without a name: with one interpreter of each supported version that is on PATH or in pyenv's versions.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.smoke.installed import Failed, Installed, build_wheel
from tests.smoke.interpreters import find, look_at, supported


def say(line):
    print(line, flush=True)  # noqa: T201 - what this program finds out is printed


def choose(names):
    """Return the interpreters to use, and whether all is as it should be with them."""
    if names:
        return [look_at(name) for name in names], True
    minors = supported()
    found = find(os.environ, minors)
    say(f"Supported: Python {', '.join(minors)}. Found: {', '.join(str(it.path) for it in found.usable) or 'none'}.")
    for minor, reason in found.broken.items():
        say(f"Python {minor} is installed, but can't be used: {reason}")
    return found.usable, bool(found.usable) and (len(found.usable) > 1 or not found.broken)


def use(interpreter, wheel, *, pinned):
    """Take every step; return the names of those that failed."""
    say(f"Python {interpreter.version} ({interpreter.path})")
    failed = []
    with tempfile.TemporaryDirectory(prefix="dropscribe-smoke-") as folder:
        installed = Installed(interpreter, Path(folder))
        steps = {
            "install": lambda: installed.install(wheel, pinned=pinned),
            "transcribe": installed.transcribe,
            "watch": installed.watch,
            "serve": installed.serve,
            "doctor": installed.doctor,
        }
        for name, step in steps.items():
            began = time.monotonic()
            try:
                result = step()
            except (Failed, AssertionError) as error:
                result = f"FAILED: {error}"
                failed.append(name)
            except Exception:  # noqa: BLE001 - the other steps and interpreters are still worth a try
                result = f"FAILED:\n{traceback.format_exc()}"
                failed.append(name)
            say(f"  {name:<10} {time.monotonic() - began:5.0f} s  {result}")
            if name == "install" and failed:
                break
    return failed


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.smoke", description=__doc__.split("\n\n")[0])
    parser.add_argument("pythons", nargs="*", metavar="PYTHON")
    parser.add_argument(
        "--newest",
        action="store_true",
        help="install the newest packages that pyproject.toml allows, not the pinned ones",
    )
    options = parser.parse_args()
    try:
        interpreters, complete = choose(options.pythons)
    except ValueError as error:
        parser.error(str(error))
    failures = {}
    with tempfile.TemporaryDirectory(prefix="dropscribe-wheel-") as folder:
        try:
            wheel = build_wheel(sys.executable, Path(folder))
        except Failed as error:
            say(f"FAILED: {error}")
            return 1
        for interpreter in interpreters:
            if failed := use(interpreter, wheel, pinned=not options.newest):
                failures[interpreter.version] = failed
    for version, failed in failures.items():
        say(f"Python {version}: {', '.join(failed)} FAILED")
    if not complete:
        say("FAILED: more interpreters are installed than can be used." if interpreters else "FAILED: none was found.")
    if failures or not complete:
        return 1
    say(f"All steps passed with Python {', '.join(it.version for it in interpreters)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
