"""How deep a TOML text may nest: checked before it is parsed, since parsers recurse or slow down on deeper ones."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["LARGEST", "line_nested_too_deeply"]

LARGEST: Final = 1 << 20
"""Bytes of a file of settings."""
_DEEPEST: Final = 16
"""Brackets within brackets, and parts of a dotted key."""
_TOKEN: Final = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)'  # an unclosed text reaches to the end: so each character is read once
    r"|'''.*?(?:'''|\Z)"
    r'|"(?:\\[^\n]|[^"\\\n])*"?'
    r"|'[^'\n]*'?"
    r"|\#[^\n]*"
    r"|[\[\]{}.,=\n]",
    re.DOTALL,
)


def line_nested_too_deeply(text: str) -> int | None:
    """Return the first line on which brackets or dotted keys nest deeper than settings ever do; None if none does."""
    line, depth, dots = 1, 0, 0
    for token in _TOKEN.finditer(text):
        found = token[0]
        if found == "\n":
            line, dots = line + 1, 0
        elif found in {"[", "{"}:
            depth, dots = depth + 1, 0
        elif found in {"]", "}"}:
            depth, dots = max(0, depth - 1), 0
        elif found in {",", "="}:
            dots = 0
        elif found == ".":
            dots += 1
        else:
            line += found.count("\n")
        if max(depth, dots) > _DEEPEST:
            return line
    return None
