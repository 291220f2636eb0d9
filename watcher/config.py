"""The config file: its model, reading it, and errors that name the line.

`config.example.toml` holds every key with its default, and a test holds it to this model. Unknown keys
are errors.
`folders.d/*.toml` beside the config hold one `[[folders]]` table each, written by `dropscribe folders add`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec

from watcher.addresses import problem_of, with_scheme
from watcher.config_file import read_config_text
from watcher.errors import ConfigError
from watcher.models import Engine, Existing, OutputFormat, WatchFolder
from watcher.paths import default_state_dir
from watcher.toml import TableReader
from watcher.transcription_settings import TRANSCRIPTION_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Config",
    "ConfigPart",
    "DashboardConfig",
    "FolderConfig",
    "LocalConfig",
    "NotificationsConfig",
    "SpeechmaticsConfig",
    "expand",
    "folders_dir",
    "load_config",
    "merge_parts",
    "parse_config",
    "read_parts",
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


class ConfigPart(NamedTuple):
    """One file of a config, and its reader, which knows the lines."""

    reader: TableReader
    config: Config


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


def _homes() -> dict[str, str]:
    """For keys that exist in one place only, that place; for those of the service, `[transcription]`."""
    top = dict.fromkeys(Config.__struct_fields__, "the top of the config, above the first [heading]")
    folder = dict.fromkeys(FolderConfig.__struct_fields__, "a [[folders]] table")
    tables = {"speechmatics": SpeechmaticsConfig, "local": LocalConfig, "dashboard": DashboardConfig}
    homes = (
        dict.fromkeys(TRANSCRIPTION_KEYS, "[transcription], or for one folder to [folders.transcription]")
        | top
        | folder
    )
    for name, model in {**tables, "notifications": NotificationsConfig}.items():
        homes |= dict.fromkeys(model.__struct_fields__, f"[{name}]")
    homes["model"] = "[local], or to [transcription] for Speechmatics"
    return {key: home for key, home in homes.items() if key not in {"engine", "transcription"}}


_HOMES = _homes()


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
    return merge_parts(read_parts(file, required=required))


def read_parts(file: Path, *, required: bool) -> list[ConfigPart]:
    """Read the config and the files of the `folders.d` beside it, the config first.

    Raises:
        ConfigError: one of them can't be read or used; names the file and the line.
    """
    parts = [_parse(_read(file, required=required), file)]
    extra = folders_dir(file)
    for path in sorted(extra.glob("*.toml")) if extra.is_dir() else ():
        part = _parse(_read(path, required=True), path)
        if part.config != Config(folders=part.config.folders):
            raise ConfigError("only [[folders]] belongs in folders.d.", file=path, fix=f"Move the rest to {file}.")
        parts.append(part)
    return parts


def merge_parts(parts: Sequence[ConfigPart]) -> Config:
    """Put the folders of all files into the config.

    Raises:
        ConfigError: a folder is named twice.
    """
    _refuse_duplicates(parts)
    folders = tuple(folder for part in parts for folder in part.config.folders)
    return msgspec.structs.replace(parts[0].config, folders=folders)


def parse_config(text: str, *, file: object = "config") -> Config:
    """Validate the text of a config.

    Raises:
        ConfigError: it can't be used; names the line.
    """
    return _parse(text, file).config


def _parse(text: str, file: object) -> ConfigPart:
    reader = TableReader(text, file, _HOMES)
    config = reader.read(Config)
    for number, folder in enumerate(config.folders):
        _check_folder(reader, folder, ("folders", number))
    _check_language(reader, config)
    if config.state_dir is not None and not _is_absolute(config.state_dir):
        raise reader.error(
            f"'state_dir': {config.state_dir!r} is relative.", ("state_dir",), fix=_absolute_fix(config.state_dir)
        )
    return ConfigPart(reader, _with_schemes(config))


def _with_schemes(config: Config) -> Config:
    """Complete addresses that were written without https:// or http://."""
    cloud = msgspec.structs.replace(config.speechmatics, url=with_scheme(config.speechmatics.url))
    folders = (
        msgspec.structs.replace(folder, webhook=with_scheme(folder.webhook)) if folder.webhook else folder
        for folder in config.folders
    )
    return msgspec.structs.replace(config, speechmatics=cloud, folders=tuple(folders))


def _read(file: Path, *, required: bool) -> str:
    try:
        return read_config_text(file)
    except FileNotFoundError:
        if required:
            fix = "Create it (`dropscribe config show` prints the defaults), or name another with --config."
            raise ConfigError("there is no such file.", file=file, fix=fix) from None
        return ""


def _refuse_duplicates(parts: Sequence[ConfigPart]) -> None:
    seen: dict[Path, str] = {}
    for part in parts:
        for number, folder in enumerate(part.config.folders):
            place = ("folders", number, "path")
            path = expand(folder.path)
            if path in seen:
                what = f"the folder {folder.path} is named twice, first in {seen[path]}."
                raise part.reader.error(what, place, fix="Remove one of the two [[folders]] tables.")
            seen[path] = f"{part.reader.file}, line {part.reader.line_of(place)}"


def _check_folder(reader: TableReader, folder: FolderConfig, path: tuple[str | int, ...]) -> None:
    """Check what types alone can't say."""
    if not _is_absolute(folder.path):
        fix = _absolute_fix(folder.path)
        raise reader.error(f"'path': {folder.path!r} is relative.", (*path, "path"), fix=fix)
    if not folder.formats:
        raise reader.error("'formats' is empty: no transcript would be written.", (*path, "formats"))
    if len(set(folder.formats)) != len(folder.formats):
        raise reader.error("'formats' lists the same format twice.", (*path, "formats"))
    known = folder.after in {"keep", "trash", "delete"} or (folder.after.startswith("move:") and folder.after[5:])
    if not known:
        fix = 'It is "keep", "trash", "delete" or "move:DIR".'
        raise reader.error(f"'after': {folder.after!r} is unknown.", (*path, "after"), fix=fix)
    if folder.webhook is not None and (why := problem_of(with_scheme(folder.webhook))):
        fix = "Write the whole address, as in: http://127.0.0.1:8000/ready"
        raise reader.error(f"'webhook' is not an http(s) address: {why}.", (*path, "webhook"), fix=fix)


def _check_language(reader: TableReader, config: Config) -> None:
    """`transcription` goes to the service as it is; only its language is needed here."""
    tables: list[tuple[dict[str, Any], tuple[str | int, ...]]] = [(config.transcription, ("transcription",))]
    tables += [(f.transcription, ("folders", n, "transcription")) for n, f in enumerate(config.folders)]
    for table, path in tables:
        if not isinstance(table.get("language", "en"), str):
            raise reader.error("'language' is a string such as \"en\".", (*path, "language"))
    if "transcription" in reader.raw and "language" not in config.transcription:
        config.transcription["language"] = "en"


def _absolute_fix(path: str) -> str:
    """What to write instead of a path that is relative."""
    if path.startswith("~"):
        return f"There is no user {path[1:].split('/', maxsplit=1)[0]!r} here. Your own home is ~/."
    if re.match(r"\$|%\w+%", path):
        return "Variables are not replaced here. Your home is ~/, as in: ~/Recordings"
    if re.match(r"[A-Za-z]:[\\/]|\\\\", path):
        return "This is a Windows path, and this is not Windows. Begin with / or ~/."
    return "A folder must mean the same everywhere: begin with / or ~/ (on Windows: with a drive)."


def _is_absolute(path: str) -> bool:
    return os.path.isabs(os.path.expanduser(path))  # noqa: PTH111, PTH117 - may be any text
