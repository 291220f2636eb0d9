"""The globs of `include` and `exclude`, similar to gitignore(5)."""

from __future__ import annotations

import functools
import re

__all__ = ["matches"]


def matches(pattern: str, relative: str) -> bool:
    """Whether a glob matches a file or one of its parent folders.

    A pattern without a slash matches a name at any depth; one with a slash is relative to the watch folder.
    `*` and `?` don't match a slash, `**` does, `[abc]` and `[!abc]` are sets. Case is ignored, so `*.wav` also
    matches `TAKE 1.WAV`.

    Args:
        pattern: one glob of `include` or `exclude`.
        relative: the path below the watch folder, with forward slashes.
    """
    return bool(_compile(pattern).match(relative))


@functools.lru_cache(maxsize=512)
def _compile(pattern: str) -> re.Pattern[str]:
    text = pattern.strip().removeprefix("./").rstrip("/")
    anchored = "/" in text
    body = _translate(text.lstrip("/"))
    return re.compile(f"{'' if anchored else '(?:.*/)?'}{body}(?:/.*)?\\Z", re.IGNORECASE | re.DOTALL)


def _translate(text: str) -> str:
    """Turn a glob into a regular expression."""
    out = []
    position = 0
    while position < len(text):
        rest = text[position:]
        if rest.startswith("**/"):
            out.append("(?:.*/)?")
            position += 3
        elif rest.startswith("**"):
            out.append(".*")
            position += 2
        elif found := re.match(r"\[(!?)(\]?[^\]]*)\]", rest):
            inside = found[2].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^").replace("]", "\\]")
            out.append(f"[{'^' if found[1] else ''}{inside}]" if inside else re.escape(found[0]))
            position += len(found[0])
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(rest[0]) or re.escape(rest[0]))
            position += 1
    return "".join(out)
