"""The config file: its model, reading it, and errors that name the line.

`config.example.toml` holds every key with its default, and a test holds it to this model. Unknown keys
are errors.
`folders.d/*.toml` beside the config hold one `[[folders]]` table each, written by `dropscribe folders add`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from watcher.errors import ConfigError
from watcher.models import Engine, Existing, OutputFormat, WatchFolder
from watcher.paths import default_state_dir
from watcher.tables import TableReader

__all__ = [
    "Config",
    "DashboardConfig",
    "FolderConfig",
    "LocalConfig",
    "NotificationsConfig",
    "SpeechmaticsConfig",
    "expand",
    "folders_dir",
    "load_config",
    "parse_config",
]

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Natural = Annotated[int, msgspec.Meta(ge=0)]


class SpeechmaticsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[speechmatics]`: the cloud, or an on-prem box."""

    url: str = "https://eu1.asr.api.speechmatics.com/v2"
    api_key_file: str | None = None
    max_uploads: Count = 4
    settle_listing: Seconds = 600.0
    delete_after_download: bool = False


class LocalConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[local]`: the server that Dropscribe runs itself."""

    model: str = "tiny.en"
    threads: Natural = 0
    idle_release: Seconds = 60.0


class DashboardConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[dashboard]`: the control API and the status page."""

    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 7373


class NotificationsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[notifications]`: what the desktop is told."""

    transcripts: bool = True
    attention: bool = True


class FolderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[folders]]` table. What is None comes from the rest of the config."""

    path: str
    engine: Engine | None = None
    recursive: bool = True
    formats: tuple[OutputFormat, ...] = (OutputFormat.TXT, OutputFormat.JSON_V2)
    output: str = "beside"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    settle: Seconds = 2.0
    polling: Literal["auto", "always", "never"] = "auto"
    existing: Existing = Existing.TRANSCRIBE
    after: str = "keep"
    paused: bool = False
    min_size: Natural | None = None
    max_size: Natural | None = None
    min_duration: Seconds | None = None
    max_duration: Seconds | None = None
    on_done: tuple[str, ...] = ()
    webhook: str | None = None
    transcription: dict[str, Any] = msgspec.field(default_factory=dict)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole config, validated."""

    engine: Engine = Engine.LOCAL
    state_dir: str | None = None
    order: Literal["oldest-first", "newest-first"] = "oldest-first"
    rescan: Annotated[float, msgspec.Meta(ge=1)] = 300.0
    speechmatics: SpeechmaticsConfig = SpeechmaticsConfig()
    local: LocalConfig = LocalConfig()
    transcription: dict[str, Any] = msgspec.field(default_factory=lambda: {"language": "en"})
    dashboard: DashboardConfig = DashboardConfig()
    notifications: NotificationsConfig = NotificationsConfig()
    folders: tuple[FolderConfig, ...] = ()

    @property
    def state_path(self) -> Path:
        """The state directory, absolute."""
        return expand(self.state_dir) if self.state_dir else default_state_dir()

    def watch_folders(self) -> tuple[WatchFolder, ...]:
        """Every folder with all its settings filled in."""
        return tuple(self.watch_folder(folder) for folder in self.folders)

    def watch_folder(self, folder: FolderConfig) -> WatchFolder:
        """One folder with all its settings filled in; a relative `output` lies in the folder itself."""
        same = set(FolderConfig.__struct_fields__) - {"path", "engine", "transcription", "output"}
        path = expand(folder.path)
        return WatchFolder(
            path=path,
            engine=folder.engine or self.engine,
            transcription={**self.transcription, **folder.transcription},
            output=None if folder.output == "beside" else expand(folder.output, base=path),
            **{name: getattr(folder, name) for name in same},
        )


def expand(path: str, *, base: Path | None = None) -> Path:
    """Make a path of the config absolute (from `base`), with `~` expanded and without following symlinks."""
    joined = os.path.join(base or "", os.path.expanduser(path))  # noqa: PTH111, PTH118 - may be any text
    return Path(os.path.abspath(joined))  # noqa: PTH100 - Path.resolve follows links


def folders_dir(config_file: Path) -> Path:
    """The folder whose files hold one watch folder each."""
    return config_file.parent / "folders.d"


def load_config(file: Path, *, required: bool = True) -> Config:
    """Read the config and the `folders.d` beside it.

    Args:
        file: the config.
        required: whether a missing file is an error; otherwise the defaults hold.

    Raises:
        ConfigError: it can't be read or used; names the file and the line.
    """
    text = _read(file, required=required)
    config = parse_config(text, file=file)
    folders = list(config.folders)
    extra = folders_dir(file)
    for part in sorted(extra.glob("*.toml")) if extra.is_dir() else ():
        more = parse_config(_read(part, required=True), file=part)
        if more != Config(folders=more.folders):
            raise ConfigError("only [[folders]] belongs in folders.d.", file=part, fix=f"Move the rest to {file}.")
        folders += more.folders
    _refuse_duplicates(folders, file)
    return msgspec.structs.replace(config, folders=tuple(folders))


def parse_config(text: str, *, file: object = "config") -> Config:
    """Validate the text of a config.

    Raises:
        ConfigError: it can't be used; names the line.
    """
    reader = TableReader(text, file)
    config = reader.read(Config)
    for number, folder in enumerate(config.folders):
        _check_folder(reader, folder, ("folders", number))
    _check_language(reader, config)
    if config.state_dir is not None and not _is_absolute(config.state_dir):
        raise reader.error(f"'state_dir': {config.state_dir!r} is relative.", ("state_dir",), fix="Begin with / or ~/.")
    return config


def _read(file: Path, *, required: bool) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if required:
            fix = "Create it (`dropscribe config show` prints the defaults), or name another with --config."
            raise ConfigError("there is no such file.", file=file, fix=fix) from None
        return ""
    except UnicodeDecodeError:
        raise ConfigError("not UTF-8 text.", file=file, fix="Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}.", file=file) from None


def _refuse_duplicates(folders: list[FolderConfig], file: Path) -> None:
    seen: set[Path] = set()
    for folder in folders:
        path = expand(folder.path)
        if path in seen:
            raise ConfigError(f"the folder {folder.path} is named twice.", file=file, fix="Remove one of the two.")
        seen.add(path)


def _check_folder(reader: TableReader, folder: FolderConfig, path: tuple[str | int, ...]) -> None:
    """Check what types alone can't say."""
    if not _is_absolute(folder.path):
        fix = "A folder must mean the same everywhere: begin with / or ~/ (on Windows: with a drive)."
        raise reader.error(f"'path': {folder.path!r} is relative.", (*path, "path"), fix=fix)
    if not folder.formats:
        raise reader.error("'formats' is empty: no transcript would be written.", (*path, "formats"))
    if len(set(folder.formats)) != len(folder.formats):
        raise reader.error("'formats' names one twice.", (*path, "formats"))
    known = folder.after in {"keep", "trash", "delete"} or (folder.after.startswith("move:") and folder.after[5:])
    if not known:
        fix = 'It is "keep", "trash", "delete" or "move:DIR".'
        raise reader.error(f"'after': {folder.after!r} is unknown.", (*path, "after"), fix=fix)
    if folder.webhook is not None and not re.match(r"https?://[^/]", folder.webhook):
        raise reader.error("'webhook' is not an http(s) address.", (*path, "webhook"))


def _check_language(reader: TableReader, config: Config) -> None:
    """`transcription` goes to the service as it is; only its language is needed here."""
    tables: list[tuple[dict[str, Any], tuple[str | int, ...]]] = [(config.transcription, ("transcription",))]
    tables += [(f.transcription, ("folders", n, "transcription")) for n, f in enumerate(config.folders)]
    for table, path in tables:
        if not isinstance(table.get("language", "en"), str):
            raise reader.error("'language' is a string such as \"en\".", (*path, "language"))
    if "transcription" in reader.raw and "language" not in config.transcription:
        config.transcription["language"] = "en"


def _is_absolute(path: str) -> bool:
    return os.path.isabs(os.path.expanduser(path))  # noqa: PTH111, PTH117 - may be any text
