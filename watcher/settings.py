"""The config in force. All parts of the daemon share one `Settings`, so a changed config reaches them all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watcher.models import EntryKind, WatchFolder
from watcher.transcripts import Place, target_folder

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.config import Config
    from watcher.models import Entry

__all__ = ["Settings"]


class Settings:
    """Answers from the config as it is now. Nothing is to be kept from an answer: ask again when it matters.

    Attributes:
        config: the config itself.
        folders: its watch folders, with every setting filled in.
        serves_folders: whether this process serves the watch folders, or only what was requested from it.
        requested: the ids of the entries that were requested from this process.
    """

    config: Config
    folders: tuple[WatchFolder, ...]

    def __init__(self, config: Config, *, serves_folders: bool = True) -> None:
        self.serves_folders = serves_folders
        self.requested: set[int] = set()
        self.replace(config)

    def replace(self, config: Config) -> None:
        """Put a changed config into force."""
        self.config = config
        self.folders = config.watch_folders()
        self._by_path = {folder.path: folder for folder in self.folders}

    @property
    def newest_first(self) -> bool:
        """Whether the newest recording is submitted first, not the oldest."""
        return self.config.order == "newest-first"

    @property
    def cloud_url(self) -> str:
        """The address in `[speechmatics]`."""
        return self.config.speechmatics.url

    @property
    def active_roots(self) -> list[Path]:
        """The watch folders whose recordings are to be submitted: those that are not paused."""
        if not self.serves_folders:
            return []
        return [folder.path for folder in self.folders if not folder.paused]

    @property
    def served_requests(self) -> set[int] | None:
        """The requested entries that this process may submit; None: all, those that others left unfinished, too."""
        return None if self.serves_folders else self.requested

    def folder_at(self, root: Path) -> WatchFolder | None:
        """Return the watch folder at a path; None if none is configured there."""
        return self._by_path.get(root)

    def folder_of(self, entry: Entry) -> WatchFolder | None:
        """Return the settings of a recording: its own if it was requested, else those of its watch folder.

        None if its folder is not watched any more.
        """
        if entry.kind is EntryKind.REQUESTED:
            return _settings_of_request(entry)
        return self._by_path.get(entry.root)

    def is_paused(self, root: Path) -> bool:
        """Whether the watch folder at a path is paused."""
        folder = self._by_path.get(root)
        return folder is not None and folder.paused

    def target_of(self, entry: Entry) -> Place:
        """Return where the transcript of a recording goes."""
        folder = self.folder_of(entry)
        if folder is None:
            return Place(entry.path.parent, entry.root)
        return Place(target_folder(folder, entry.path), folder.output or folder.path)


def _settings_of_request(entry: Entry) -> WatchFolder:
    """Return a requested entry's own settings, in the form in which a watch folder has them."""
    return WatchFolder(
        path=entry.root,
        engine=entry.engine,
        transcription=entry.config,
        recursive=False,
        formats=entry.formats,
        output=entry.target if entry.target != entry.path.parent else None,
    )
