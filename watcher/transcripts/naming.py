"""Decides the names of a recording's outputs. Pure: the folder's listing is passed in.

`meeting.wav` gets `meeting.txt`, `meeting.json`, …; where any of these names is taken, `meeting.wav.txt`, …;
then `meeting.wav (2).txt`, …. All formats of a recording share one stem, so listings keep them together.

Two names that differ only in case, or only in how Unicode composes their letters, count as one: they are one
file on macOS and Windows, and clash there when a folder is synchronised from Linux.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING

from watcher.models import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from watcher.models import WatchFolder

__all__ = ["NAME_MAX", "Place", "TakenNames", "first_free_stem", "name_key", "portable_name", "stems", "target_folder"]

NAME_MAX = 255
"""Bytes in a file's name on nearly every file system; a few (eCryptfs) allow fewer."""

_SUFFIX_ROOM = max(len(format_.suffix) for format_ in OutputFormat)
_ZERO_WIDTH_JOINER = "\u200d"

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_NOT_ON_WINDOWS = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_RESERVED_ON_WINDOWS = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\Z", re.IGNORECASE)


def name_key(name: str) -> str:
    """Map a file name to a key that is equal for names that some file system treats as the same.

    It is the canonical caseless match of the Unicode standard (section 3.13, D145).
    """
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


class TakenNames:
    """The names in a folder, looked up by `name_key`.

    Args:
        names: the folder's listing, and any other names to avoid.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        # One key for all names together is much faster than one per name: folders may have tens of thousands.
        self._keys = name_key("/".join(self._names)).split("/") if self._names else []
        self._known = frozenset(self._keys)

    def like(self, name: str) -> frozenset[str]:
        """Return the existing names that conflict with `name`, possibly including `name` itself."""
        key = name_key(name)
        if key not in self._known:
            return frozenset()
        return frozenset(other for other, its in zip(self._names, self._keys, strict=True) if its == key)


def stems(source_name: str, *, portable: bool = False, name_max: int = NAME_MAX) -> Iterator[str]:
    """Yield the stems to try for a recording's outputs, best first; endless, without repetition.

    Every stem leaves room for the longest suffix of any format, so that the stem doesn't depend on which
    formats are asked for.

    Args:
        source_name: the recording's name, without its folder.
        portable: whether to use only names that every file system supports.
        name_max: maximum length of a name, in bytes.
    """
    name = portable_name(source_name) if portable else source_name
    stem, dot, extension = name.rpartition(".")
    if not stem or _size(extension) > name_max // 4:
        stem, dot, extension = name, "", ""
    room = name_max - _SUFFIX_ROOM
    ends = chain([dot + extension], (f"{dot}{extension} ({number})" for number in count(2)))
    if dot:
        ends = chain([""], ends)
    first = None
    for end in ends:
        found = _shorten(stem, room - _size(end), portable=portable) + end
        found = _not_reserved(found) if portable else found
        if found != first:  # a long name may have these very letters where it is cut
            yield found
        first = first or found


def first_free_stem(
    source_name: str,
    formats: Iterable[OutputFormat],
    listing: Iterable[str],
    *,
    portable: bool = False,
    name_max: int = NAME_MAX,
) -> str:
    """Return the best stem whose names are all available.

    Args:
        source_name: the recording's name, which is always taken.
        formats: the formats of the outputs.
        listing: the names in the folder.
        portable: as for `stems`.
        name_max: as for `stems`.
    """
    taken = TakenNames([*listing, source_name])
    suffixes = [format_.suffix for format_ in formats]
    return next(
        stem
        for stem in stems(source_name, portable=portable, name_max=name_max)
        if not any(taken.like(stem + suffix) for suffix in suffixes)
    )


def portable_name(name: str) -> str:
    """Turn a name into one that Linux, macOS and Windows support; replaces other characters by `_`."""
    cleaned = _NOT_ON_WINDOWS.sub("_", name)
    kept = cleaned.rstrip(". ")
    return _not_reserved(kept + "_" * (len(cleaned) - len(kept)))


@dataclass(frozen=True, slots=True)
class Place:
    """Where outputs go.

    Attributes:
        folder: the folder for the outputs.
        root: the folder or one above it; symbolic links below this one are not followed.
    """

    folder: Path
    root: Path


def target_folder(folder: WatchFolder, source: Path) -> Path:
    """Return the folder for a recording's outputs.

    Args:
        folder: the watch folder.
        source: a recording in it.

    Raises:
        ValueError: the recording is not in the watch folder.
    """
    if folder.output is None:
        return source.parent
    parts = source.parent.relative_to(folder.path).parts
    if ".." in parts:
        raise ValueError(f"{source} leads out of the watch folder {folder.path}")
    return folder.output.joinpath(*map(portable_name, parts))


def _not_reserved(name: str) -> str:
    """Avoid the names of Windows' devices: `con`, `con.txt` and `con.anything.txt` are all the console."""
    head, dot, rest = name.partition(".")
    return f"{head}_{dot}{rest}" if _RESERVED_ON_WINDOWS.match(head.rstrip(" ")) else name


def _shorten(text: str, room: int, *, portable: bool) -> str:
    """Truncate a text to a number of bytes, at a boundary between visible characters."""
    if _size(text) <= room:
        return text
    end = size = 0
    for end, character in enumerate(text):  # noqa: B007 - the index is wanted after the loop
        size += _size(character)
        if size > room:
            break
    while end > 0 and _continues(text, end):
        end -= 1
    short = text[:end]
    return (short.rstrip(". ") or "_") if portable else (short or text[:1])


def _continues(text: str, index: int) -> bool:
    """Whether the character at the index is drawn together with the one before it."""
    return (
        unicodedata.category(text[index]).startswith("M")
        or text[index] == _ZERO_WIDTH_JOINER
        or text[index - 1] == _ZERO_WIDTH_JOINER
    )


def _size(text: str) -> int:
    """Count the bytes of a name on disk; each undecodable byte of a POSIX name is a lone surrogate here."""
    return len(text.encode("utf-8", "replace"))
