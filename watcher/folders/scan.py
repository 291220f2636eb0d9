"""Walks a watch folder. Scans are authoritative, OS events only hints. Blocking; streams, so memory stays flat."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from watcher.folders.disk import DISK, Files
from watcher.folders.model import Sighting
from watcher.folders.rules.filters import IGNORE_FILE, OVERRIDES_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watcher.folders.rules.filters import Filter

__all__ = ["Scan"]

_BATCH = 512
_DEEPEST = 500


@dataclass(slots=True)
class Scan:
    """One walk over a folder, or over a part of it.

    Attributes:
        is_elsewhere: returns whether a folder belongs to another watch folder.
        seen: number of recordings found so far.
        problems: folders that could not be read, as sentences.
        overridden: folders that have a `.dropscribe.toml`.
    """

    root: Path
    rules: Filter
    is_elsewhere: Callable[[Path], bool]
    files: Files = DISK
    seen: int = 0
    problems: list[str] = field(default_factory=list)
    overridden: list[Path] = field(default_factory=list)

    def batches(self, start: Path | None = None) -> Iterator[list[Sighting]]:
        """Yield possible recordings, several hundred at a time.

        Symbolic links are never followed, so the walk has no loops and never leaves the root.

        Args:
            start: the folder below the root to walk; None walks the whole root.

        Raises:
            OSError: the root itself can't be read. Unreadable folders below it are listed in `problems`.
        """
        batch: list[Sighting] = []
        pending = [(os.fspath(start or self.root), start is None)]
        while pending:
            folder, is_root = pending.pop()
            try:
                for sighting in self._folder(folder, pending):
                    batch.append(sighting)
                    if len(batch) >= _BATCH:
                        yield batch
                        batch = []
            except FileNotFoundError:
                if is_root:
                    raise
            except OSError as error:
                if is_root:
                    raise
                self.problems.append(f"{folder} can't be read: {error.strerror or error}.")
        if batch:
            yield batch

    def _folder(self, folder: str, pending: list[tuple[str, bool]]) -> Iterator[Sighting]:
        """List one folder completely, and add its subfolders to `pending`."""
        entries = self.files.list_folder(folder)
        if any(entry.name == IGNORE_FILE for entry in entries):
            return
        if any(entry.name == OVERRIDES_FILE for entry in entries):
            self.overridden.append(Path(folder))
        relative = PurePath(folder).relative_to(self.root)
        above = "" if relative == PurePath() else relative.as_posix() + "/"
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if self._enters(relative / entry.name):
                        pending.append((entry.path, False))
                elif self.rules.decide(above + entry.name).accepted:
                    found = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        self.seen += 1
                        yield Sighting.of(Path(entry.path), found)
            except OSError:
                continue  # gone since it was listed, or unreadable: the next scan tries again

    def _enters(self, relative: PurePath) -> bool:
        if len(relative.parts) > _DEEPEST:
            self.problems.append(f"{self.root / relative} is nested too deeply to be scanned.")
            return False
        return self.rules.folder_verdict(relative) is None and not self.is_elsewhere(self.root / relative)
