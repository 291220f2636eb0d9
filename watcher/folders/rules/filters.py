"""Decides which files of a watch folder are recordings. Pure: accesses no file.

Each rule has a name, so that `dropscribe explain FILE` can name the one that decided.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watcher.config import expand
from watcher.folders.rules.extensions import OURS, RECORDINGS, TEMPORARY
from watcher.folders.rules.globs import matches

if TYPE_CHECKING:
    from pathlib import PurePath

    from watcher.models import WatchFolder

__all__ = ["IGNORE_FILE", "OVERRIDES_FILE", "Filter", "Verdict"]

IGNORE_FILE = ".dropscribe-ignore"
"""A file of this name excludes its folder and everything below it."""

OVERRIDES_FILE = ".dropscribe.toml"
"""A file of this name overrides settings for its folder and everything below it."""

_SERVICE_FOLDERS = frozenset(
    {
        "$recycle.bin",
        "#recycle",
        "@eadir",
        "@recycle",
        "lost+found",
        "recycler",
        "system volume information",
        "__macosx",
    },
)
_TEMPORARY_NAMES = re.compile(
    r"""
    ~\$.* | .*~ | \#.*\#            # editors: owner files, backups, autosaves
    | ~syncthing~.* | ~.*\.tmp       # Syncthing on Windows, OneDrive
    | unconfirmed\ \d+\..*           # Chromium before the name is known
    | .*\.(?:part|tmp|temp)\d*(?:\.met)?  # eMule, and numbered pieces
    | .*\.(?:tmp|temp|partial|incomplete)\.[^.]+   # name.tmp.wav, as converters do
    | .*\.sb-[0-9a-f]{8}-.*          # macOS safe saves
    | thumbs\.db | desktop\.ini
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the filter decided about a file.

    Attributes:
        accepted: whether the file may be a recording.
        rule: the rule that decided, e.g. `hidden`, `extension`, `exclude`. These names are stable.
        reason: a sentence for the user.
        fix: what the user can do to change that; may be empty.
    """

    accepted: bool
    rule: str
    reason: str
    fix: str = ""


def _no(rule: str, reason: str, fix: str = "") -> Verdict:
    return Verdict(accepted=False, rule=rule, reason=reason, fix=fix)


_ACCEPTED = Verdict(accepted=True, rule="accepted", reason="It may be a recording.")


def _suffix(name: str) -> str:
    """Return a name's extension in lower case, like `PurePath.suffix` but ten times as fast."""
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


class Filter:
    """The rules of one watch folder."""

    def __init__(self, folder: WatchFolder) -> None:
        self._folder = folder
        self._moved_to = _inside(folder)

    def verdict(
        self, relative: PurePath, size: int | None = None, *, is_regular: bool = True, kind: str = "file"
    ) -> Verdict:
        """Decide whether a file may be a recording.

        Args:
            relative: its path below the watch folder.
            size: in bytes; None if unknown or still growing.
            is_regular: whether it is a regular file.
            kind: what it is, in words, if it is not a regular file.
        """
        return self.decide(relative.as_posix(), size, is_regular=is_regular, kind=kind)

    def decide(self, relative: str, size: int | None = None, *, is_regular: bool = True, kind: str = "file") -> Verdict:
        """Decide like `verdict`, for a path given as text with forward slashes. Faster, for scans."""
        *parents, name = relative.split("/")
        return (
            self._by_place(tuple(parents))
            or self._by_kind(kind, is_regular=is_regular)
            or self._by_name(name, relative)
            or self._by_size(size)
            or _ACCEPTED
        )

    def accepts_name(self, relative: PurePath) -> bool:
        """Whether a file at this path may be a recording, whatever its size and kind."""
        return self.verdict(relative).accepted

    def folder_verdict(self, relative: PurePath) -> Verdict | None:
        """Return why a folder is not scanned, or None if it is."""
        if not self._folder.recursive:
            return _no("subfolder", "It is in a subfolder, and this watch folder is not recursive.")
        return self._by_folder_names(relative.parts) or self._by_globs_of_folder(relative.as_posix())

    def duration_verdict(self, duration: float | None) -> Verdict | None:
        """Return why a recording of this many seconds is excluded, or None if it is not."""
        low, high = self._folder.min_duration, self._folder.max_duration
        if duration is None:
            return None
        if low is not None and duration < low:
            return _no("min_duration", f"It lasts {duration:.1f} s, less than min_duration = {low:g} s.")
        if high is not None and duration > high:
            return _no("max_duration", f"It lasts {duration:.1f} s, more than max_duration = {high:g} s.")
        return None

    def _by_place(self, parents: tuple[str, ...]) -> Verdict | None:
        if not parents:
            return None
        if not self._folder.recursive:
            return _no(
                "subfolder",
                "It is in a subfolder, and this watch folder is not recursive.",
                "Set recursive = true.",
            )
        return self._by_folder_names(parents)

    def _by_folder_names(self, parents: tuple[str, ...]) -> Verdict | None:
        for name in parents:
            if name.startswith("."):
                return _no("hidden", f"It is in the hidden folder {name!r}.")
            if name.lower() in _SERVICE_FOLDERS:
                return _no("service folder", f"{name!r} is a system folder.")
            if name.lower().endswith(".download"):
                return _no("temporary", f"{name!r} is an unfinished download.")
        if self._moved_to and parents[: len(self._moved_to)] == self._moved_to:
            return _no("after", "It is in the folder that `after` moves finished recordings to.")
        return None

    def _by_globs_of_folder(self, text: str) -> Verdict | None:
        for pattern in self._folder.exclude:
            if matches(pattern, text):
                return _no("exclude", f"It matches exclude = {pattern!r}.")
        return None

    def _by_name(self, name: str, text: str) -> Verdict | None:
        if name in {IGNORE_FILE, OVERRIDES_FILE}:
            return _no("settings", "It is a settings file of Dropscribe.")
        if name.startswith("."):
            return _no("hidden", "Its name begins with a dot, so it is hidden.")
        suffix = _suffix(name)
        if suffix in TEMPORARY or _TEMPORARY_NAMES.fullmatch(name):
            return _no("temporary", "Its name is that of a temporary or unfinished file.", "Rename it.")
        if suffix in OURS:
            return _no("transcript", f"{suffix} files are transcripts, not recordings.")
        if verdict := self._by_globs_of_folder(text):
            return verdict
        if self._folder.include:
            if any(matches(pattern, text) for pattern in self._folder.include):
                return None
            return _no("include", "It matches none of the folder's include patterns.", "Add a pattern for it.")
        if suffix not in RECORDINGS:
            what = f"{suffix} is not the extension of a recording" if suffix else "Its name has no extension"
            return _no("extension", f"{what}.", 'Add a pattern for it to include, e.g. include = ["*.wav", "*.dat"].')
        return None

    def _by_kind(self, kind: str, *, is_regular: bool) -> Verdict | None:
        if is_regular:
            return None
        if kind == "symbolic link":
            return _no("symlink", "It is a symbolic link, and Dropscribe doesn't follow those.")
        return _no("kind", f"It is a {kind}, not a file.")

    def _by_size(self, size: int | None) -> Verdict | None:
        low, high = self._folder.min_size, self._folder.max_size
        if size is None:
            return None
        if low is not None and size < low:
            return _no("min_size", f"It has {size} bytes, less than min_size = {low}.")
        if high is not None and size > high:
            return _no("max_size", f"It has {size} bytes, more than max_size = {high}.")
        return None


def _inside(folder: WatchFolder) -> tuple[str, ...]:
    """Return the parts of DIR in `after = "move:DIR"` relative to the watch folder; empty if DIR is elsewhere."""
    kind, _, target = folder.after.partition(":")
    if kind != "move":
        return ()
    path = expand(target, base=folder.path)
    return path.relative_to(folder.path).parts if path.is_relative_to(folder.path) else ()
