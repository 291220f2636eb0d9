"""Settings files inside watch folders: `.dropscribe-ignore` and `.dropscribe.toml`.

A `.dropscribe.toml` overrides settings for its folder and everything below, and is synced along with a share. Because
others may write to a share, it can only change how a recording is transcribed, never where transcripts go, which
programs run, or what happens to the recording:

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
import math
import stat
from typing import TYPE_CHECKING, Any

import msgspec

from watcher.config_file import decode_config
from watcher.errors import ConfigError
from watcher.folders.disk import DISK, Files
from watcher.folders.rules.filters import IGNORE_FILE, OVERRIDES_FILE
from watcher.models import OutputFormat  # noqa: TC001 - msgspec needs it at run time
from watcher.toml import TableReader
from watcher.toml_limits import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from watcher.models import WatchFolder

__all__ = ["OverrideFiles", "Overrides", "parse_overrides", "read_overrides"]

_WAIT = "Recordings below it wait."
_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("language", "diarization", "domain", "output_locale", "model", "operating_point"), str),
    "enable_entities": bool,
    "channel_diarization_labels": list[str],
    "punctuation_overrides": dict[str, Any],
    "audio_filtering_config": dict[str, Any],
    "transcript_filtering_config": dict[str, Any],
    "speaker_diarization_config": dict[str, Any],
}
"""Types of the `transcription_config` fields that would make a submission fail; other fields are not checked."""


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A word of the custom dictionary, as in the API's `additional_vocab`."""

    content: str
    sounds_like: list[str] = []


class Overrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings that a `.dropscribe.toml` may override."""

    language: str | None = None
    diarization: str | None = None
    formats: tuple[OutputFormat, ...] | None = None
    vocabulary: tuple[str | Word, ...] | None = None
    transcription: dict[str, Any] = {}

    def apply(self, folder: WatchFolder) -> WatchFolder:
        """Return the folder's settings with these overrides; vocabulary is added to the existing one."""
        changed: dict[str, Any] = {**folder.transcription, **self.transcription}
        for key in ("language", "diarization"):
            if (value := getattr(self, key)) is not None:
                changed[key] = value
        if self.vocabulary is not None:
            words = [
                {"content": word} if isinstance(word, str) else msgspec.to_builtins(word) for word in self.vocabulary
            ]
            changed["additional_vocab"] = [*(changed.get("additional_vocab") or ()), *words]
        formats = folder.formats if self.formats is None else self.formats
        return dataclasses.replace(folder, transcription=changed, formats=formats)


def parse_overrides(text: str, *, file: object) -> Overrides:
    """Parse the text of a `.dropscribe.toml`.

    Raises:
        ConfigError: it can't be used. Names the line.
    """
    reader = TableReader(text, file)
    overrides = reader.read(Overrides)
    if overrides.formats is not None and not overrides.formats:
        raise reader.error("'formats' is empty: no transcript would be written.", ("formats",), fix="Name one.")
    if overrides.formats is not None and len(set(overrides.formats)) != len(overrides.formats):
        raise reader.error("'formats' lists the same format twice.", ("formats",), fix="Name each once.")
    for key, value in overrides.transcription.items():
        path = ("transcription", key)
        if key in reader.raw:
            raise reader.error(f"'{key}' is set twice, here and at the top.", path, fix="Remove one of the two.")
        if not _is_json(value):
            raise reader.error(f"'{key}': dates and numbers without bounds can't be sent.", path)
        if key in _FIELDS:
            reader.check(value, _FIELDS[key], path)
    vocabulary = overrides.transcription.get("additional_vocab")
    if vocabulary is not None:
        reader.check(vocabulary, list[Word], ("transcription", "additional_vocab"))
    return overrides


def _is_json(value: object) -> bool:
    """Whether a value can be kept and sent as JSON: no date, no infinite number, no integer beyond 64 bits."""
    if isinstance(value, dict):
        return all(map(_is_json, value.values()))
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str) or (isinstance(value, int) and abs(value) < 1 << 63)


@dataclasses.dataclass(slots=True)
class _Found:
    """What was read since the last `clear`."""

    ignored: dict[Path, Path | None] = dataclasses.field(default_factory=dict)
    settings: dict[Path, WatchFolder | ConfigError] = dataclasses.field(default_factory=dict)


class OverrideFiles:
    """Which folders below a root are excluded, and which settings apply where. Reads are cached until `clear`.

    Thread-safe: what one thread reads while another clears is dropped with the old cache.
    """

    def __init__(self, folder: WatchFolder, files: Files = DISK) -> None:
        self._folder = folder
        self._files = files
        self._found = _Found()
        self._read_files: dict[Path, tuple[tuple[int, ...], Overrides | ConfigError]] = {}

    def clear(self) -> None:
        """Drop the cache, because files may have changed."""
        self._found = _Found()

    def ignored_by(self, folder: Path) -> Path | None:
        """Return the `.dropscribe-ignore` that excludes a folder, or None. The folder may be the root."""
        found = self._found.ignored
        if folder not in found:
            above = None
            if folder != self._folder.path and self._folder.path in folder.parents:
                above = self.ignored_by(folder.parent)
            ignore_file = folder / IGNORE_FILE
            found[folder] = above or (ignore_file if self._files.exists(ignore_file) else None)
        return found[folder]

    def settings(self, folder: Path) -> WatchFolder:
        """Return the settings that apply in a folder.

        Raises:
            ConfigError: a `.dropscribe.toml` in it or above it can't be used.
        """
        found = self._found.settings
        settings = found.get(folder)
        if settings is None:
            settings = found[folder] = self._work_out(folder)
        if isinstance(settings, ConfigError):
            raise settings
        return settings

    def check(self, folders: Iterable[Path]) -> None:
        """Read the settings of these folders, so that the other methods need no I/O for them. Blocking."""
        for file in [file for file in self._read_files if not self._files.exists(file)]:
            self._read_files.pop(file, None)
        for folder in folders:
            self.ignored_by(folder)
            with contextlib.suppress(ConfigError):
                self.settings(folder)

    def problems(self) -> list[str]:
        """Return the errors of the `.dropscribe.toml` files that were read and can't be used."""
        return sorted({str(error) for _, error in self._read_files.copy().values() if isinstance(error, ConfigError)})

    def _work_out(self, folder: Path) -> WatchFolder | ConfigError:
        file = folder / OVERRIDES_FILE
        try:
            below_root = folder != self._folder.path and self._folder.path in folder.parents
            settings = self.settings(folder.parent) if below_root else self._folder
            overrides = self._read(file)
            return settings if overrides is None else overrides.apply(settings)
        except ConfigError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever a shared file contains, only its own folder waits
            return ConfigError(f"can't be used: {type(error).__name__}: {error}.", file=file, fix=_WAIT)

    def _read(self, file: Path) -> Overrides | None:
        try:
            found = self._files.lstat(file)
        except OSError:
            self._read_files.pop(file, None)
            return None
        version = found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
        known = self._read_files.get(file)
        if known is None or known[0] != version:
            known = self._read_files[file] = version, _load(file, self._files)
        if isinstance(known[1], ConfigError):
            raise known[1]
        return known[1]


def _load(file: Path, files: Files) -> Overrides | ConfigError:
    try:
        return parse_overrides(read_overrides(file, files), file=file)
    except ConfigError as error:
        error.fix = f"{error.fix} {_WAIT}".strip()
        return error
    except OSError as error:
        return ConfigError(f"can't be read: {error.strerror or error}.", file=file, fix=_WAIT)
    except Exception as error:  # noqa: BLE001 - whatever a shared file contains, only its own folder waits
        return ConfigError(f"can't be used: {type(error).__name__}: {str(error)[:200]}.", file=file, fix=_WAIT)


def read_overrides(file: Path, files: Files = DISK) -> str:
    """Read a small regular file; never a link, which could lead anywhere, nor a pipe, which could block forever.

    Raises:
        ConfigError: it is not a small regular file, or not UTF-8.
        OSError: it can't be read.
    """
    if not stat.S_ISREG(files.lstat(file).st_mode):
        raise ConfigError("it is not a file of settings, but a folder, a link or a device.", file=file)
    content = files.read_start(file, LARGEST + 1)
    if content is None:
        raise ConfigError("it is not a regular file.", file=file)
    if len(content) > LARGEST:
        raise ConfigError(f"it is larger than {LARGEST >> 20} MiB.", file=file)
    return decode_config(content, file)
