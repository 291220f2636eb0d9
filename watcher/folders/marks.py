"""Files of Dropscribe in people's folders: `.dropscribe-ignore` and `.dropscribe.toml`.

A `.dropscribe.toml` changes settings from its folder down, and travels with a synced share. Because others may
write to such a share, it can only change how a recording is transcribed, never where it goes, what it runs or
what happens to the source:

    language = "de"
    diarization = "speaker"
    formats = ["txt", "srt"]
    vocabulary = ["Dropscribe", { content = "Speechmatics", sounds_like = ["speech matics"] }]

    [transcription]                 # any other field of transcription_config
    operating_point = "enhanced"
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING, Any

import msgspec

from watcher.errors import ConfigError
from watcher.folders.filters import IGNORE_FILE, OVERRIDES_FILE
from watcher.models import OutputFormat  # noqa: TC001 - msgspec needs it at run time
from watcher.tables import TableReader

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from watcher.models import WatchFolder

__all__ = ["Marks", "Overrides", "parse_overrides"]

_LARGEST = 1 << 20


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A word of the custom dictionary, as `additional_vocab` of the API has it."""

    content: str
    sounds_like: list[str] = []


class Overrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a `.dropscribe.toml` may say."""

    language: str | None = None
    diarization: str | None = None
    formats: tuple[OutputFormat, ...] | None = None
    vocabulary: tuple[str | Word, ...] | None = None
    transcription: dict[str, Any] = {}

    def apply(self, folder: WatchFolder) -> WatchFolder:
        """Return the folder's settings with these on top; vocabulary is added to what is there."""
        changed: dict[str, Any] = {**folder.transcription, **self.transcription}
        for key in ("language", "diarization"):
            if (value := getattr(self, key)) is not None:
                changed[key] = value
        if self.vocabulary is not None:
            words = [
                {"content": word} if isinstance(word, str) else msgspec.to_builtins(word) for word in self.vocabulary
            ]
            changed["additional_vocab"] = [*changed.get("additional_vocab", []), *words]
        formats = folder.formats if self.formats is None else self.formats
        return dataclasses.replace(folder, transcription=changed, formats=formats)


def parse_overrides(text: str, *, file: object) -> Overrides:
    """Read the text of a `.dropscribe.toml`.

    Raises:
        ConfigError: it can't be used; names the line.
    """
    reader = TableReader(text, file)
    overrides = reader.read(Overrides)
    if overrides.formats is not None and not overrides.formats:
        raise reader.error("'formats' is empty: no transcript would be written.", ("formats",), fix="Name one.")
    return overrides


@dataclasses.dataclass(slots=True)
class _Found:
    """What was found since the last `clear`."""

    ignored: dict[Path, Path | None] = dataclasses.field(default_factory=dict)
    settings: dict[Path, WatchFolder | ConfigError] = dataclasses.field(default_factory=dict)


class Marks:
    """Which folders below a root are left out, and what settings hold where. Reads are cached until `clear`.

    May be used by several threads: what one reads while another clears goes with what was cleared.
    """

    def __init__(self, folder: WatchFolder) -> None:
        self._folder = folder
        self._found = _Found()
        self._given: dict[Path, tuple[tuple[int, int], Overrides | ConfigError]] = {}

    def clear(self) -> None:
        """Forget what was read: something may have changed."""
        self._found = _Found()

    def ignored_by(self, folder: Path) -> Path | None:
        """Return the `.dropscribe-ignore` that leaves a folder out, or None. The folder may be the root."""
        found = self._found.ignored
        if folder not in found:
            above = None
            if folder != self._folder.path and self._folder.path in folder.parents:
                above = self.ignored_by(folder.parent)
            mark = folder / IGNORE_FILE
            found[folder] = above or (mark if os.path.lexists(mark) else None)
        return found[folder]

    def settings(self, folder: Path) -> WatchFolder:
        """Return the settings that hold in a folder.

        Raises:
            ConfigError: a `.dropscribe.toml` on the way down to it can't be used.
        """
        found = self._found.settings
        settings = found.get(folder)
        if settings is None:
            settings = found[folder] = self._work_out(folder)
        if isinstance(settings, ConfigError):
            raise settings
        return settings

    def check(self, folders: Iterable[Path]) -> None:
        """Read what holds in these folders, so that all else is told without I/O. Blocking."""
        for file in [file for file in self._given if not os.path.lexists(file)]:
            self._given.pop(file, None)
        for folder in folders:
            self.ignored_by(folder)
            with contextlib.suppress(ConfigError):
                self.settings(folder)

    def problems(self) -> list[str]:
        """Say which `.dropscribe.toml` can't be used, among those that were looked at."""
        return sorted({str(error) for _, error in self._given.copy().values() if isinstance(error, ConfigError)})

    def _work_out(self, folder: Path) -> WatchFolder | ConfigError:
        try:
            below_root = folder != self._folder.path and self._folder.path in folder.parents
            settings = self.settings(folder.parent) if below_root else self._folder
            overrides = self._read(folder / OVERRIDES_FILE)
        except ConfigError as error:
            return error
        return settings if overrides is None else overrides.apply(settings)

    def _read(self, file: Path) -> Overrides | None:
        try:
            found = file.lstat()
        except OSError:
            self._given.pop(file, None)
            return None
        version = found.st_mtime_ns, found.st_size
        known = self._given.get(file)
        if known is None or known[0] != version:
            known = self._given[file] = version, _load(file, found.st_size)
        if isinstance(known[1], ConfigError):
            raise known[1]
        return known[1]


def _load(file: Path, size: int) -> Overrides | ConfigError:
    if size > _LARGEST or not file.is_file() or file.is_symlink():
        return ConfigError("not a small file of settings.", file=file, fix="Recordings below it wait.")
    try:
        return parse_overrides(file.read_text(encoding="utf-8"), file=file)
    except ConfigError as error:
        error.fix = f"{error.fix} Recordings below it wait.".strip()
        return error
    except (OSError, UnicodeDecodeError) as error:
        return ConfigError(f"can't be read: {error}.", file=file, fix="Recordings below it wait.")
