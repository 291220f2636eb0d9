"""Run the benchmarks and print one table: `python -m benchmarks [NAME…]`, NAME being a part of a module's name.

Each module in this folder has a `run()` that returns rows: what was measured, the figure, the goal or what it is
compared with.
"""

from __future__ import annotations

import importlib
import pkgutil
import platform
import sys
import time
import traceback

import benchmarks


def main(wanted: list[str]) -> int:
    """Run the benchmarks whose names contain one of `wanted` (all without); returns the exit status."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_")]
    chosen = [name for name in names if not wanted or any(part in name for part in wanted)]
    if not chosen:
        print(f"No benchmark matches. There are: {', '.join(names)}")
        return 2
    print(f"{platform.platform()}, Python {platform.python_version()}")
    failed = 0
    for name in chosen:
        module = importlib.import_module(f"benchmarks.{name}")
        if not hasattr(module, "run"):
            continue
        began = time.monotonic()
        print(f"\n{name}", flush=True)
        try:
            for what, measured, goal in module.run():
                print(f"  {what:<58} {measured:>22}   {goal}", flush=True)
        except Exception:  # noqa: BLE001 - the others are still worth their figures
            failed += 1
            traceback.print_exc()
        print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
