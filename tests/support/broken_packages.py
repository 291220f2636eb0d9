"""Packages that fail when they are imported, for the module path of a child process."""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["broken_package"]


def broken_package(folder: Path, name: str, code: str) -> dict[str, str]:
    """Write a package with this code; returns the environment in which it hides the real one."""
    package = folder / name
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text(textwrap.dedent(code), encoding="utf-8")
    others = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [others])])}
