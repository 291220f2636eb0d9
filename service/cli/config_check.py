"""What `dropscribe config check` finds: what can be read, but will fail or surprise later."""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from watcher.addresses import is_local, problem_of
from watcher.config import Config, expand, merge_parts, read_parts
from watcher.errors import ConfigError, sentences
from watcher.models import Engine
from watcher.transcription_settings import problems_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from watcher.config import ConfigPart, FolderConfig
    from watcher.toml import TableReader

__all__ = ["OTHER_MODEL", "Finding", "can_transcribe", "examine"]

OTHER_MODEL: Final = 'Choose another in the config, for example: [local] model = "small"'
_LANGUAGE: Final = ("transcription", "language")
_LONG: Final = 86_400.0
_SECONDS: Final = frozenset({"settle", "rescan", "settle_listing", "idle_release"})
_PATIENCE: Final = 10.0
_MOST_FOLDERS: Final = 2_000
_OVERRIDES: Final = ".dropscribe.toml"
_VARIABLE: Final = re.compile(r"\$\w|\$\{|%\w+%")
_CONTROL: Final = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True)
class Finding:
    """One result of checking a config.

    Attributes:
        level: `error` (can't work), `warning` (may fail, or not do what was meant) or `note`.
        text: the file, the line, what is wrong, and what to write instead.
    """

    level: str
    text: str


def examine(file: Path, *, required: bool) -> list[Finding]:
    """Check a config, the `folders.d` beside it, and the `.dropscribe.toml` files in the watched folders.

    Raises:
        ConfigError: Dropscribe could not start with it.
    """
    parts = read_parts(file, required=required)
    config = merge_parts(parts)
    return [*_Check(parts, config).findings(), *_folder_files(config)]


def can_transcribe(model: str, language: object) -> bool:
    """Whether a model of the local engine knows a language; those with names in `.en` know only English."""
    return language in {None, "en", "auto"} or not model.endswith(".en")


class _Check:
    def __init__(self, parts: Sequence[ConfigPart], config: Config) -> None:
        self._parts = parts
        self._config = config
        self._engines = {folder.engine for folder in config.watch_folders()} or {config.engine}
        self._places = [(part.reader, n) for part in parts for n in range(len(part.config.folders))]

    def findings(self) -> Iterator[Finding]:
        reader = self._parts[0].reader
        yield from _numbers(reader, reader.raw, ())
        yield from _transcription(reader, ("transcription",), self._engines)
        if Engine.SPEECHMATICS in self._engines:
            yield from _address(reader, ("speechmatics", "url"), self._config.speechmatics.url)
            yield from self._key_file(reader)
        elif "url" in reader.raw.get("speechmatics", {}):
            yield from _address(reader, ("speechmatics", "url"), self._config.speechmatics.url, used=False)
        yield from self._local(reader)
        yield from _paths(reader, {"state_dir": self._config.state_dir}, ())
        for folder, (reader, number) in zip(self._config.folders, self._places, strict=True):
            yield from self._folder(folder, reader, ("folders", number))
        yield from self._languages()
        yield from self._neighbours()

    def _key_file(self, reader: TableReader) -> Iterator[Finding]:
        named = self._config.speechmatics.api_key_file
        yield from _paths(reader, {"api_key_file": named}, ("speechmatics",))
        if named and not expand(named).is_file() and not os.environ.get("SPEECHMATICS_API_KEY"):
            what = f"there is no file {expand(named)}, so there is no API key."
            yield _at(reader, ("speechmatics", "api_key_file"), "warning", what)

    def _local(self, reader: TableReader) -> Iterator[Finding]:
        local, cores = self._config.local, os.cpu_count() or 1
        if local.threads > 2 * cores:
            what = f"'threads' is {local.threads}, but this machine has {cores} cores; so many threads make it slower."
            yield _at(reader, ("local", "threads"), "warning", what, "0 uses all cores.")
        if re.match(r"[/~.]", local.model) and not expand(local.model).is_dir():
            what = f"'model': there is no folder {expand(local.model)}."
            yield _at(reader, ("local", "model"), "warning", what, "Use a folder that holds a faster-whisper model.")

    def _languages(self) -> Iterator[Finding]:
        """Find languages that the local engine's model doesn't know: every recording would fail."""
        model, main, found = self._config.local.model, self._parts[0].reader, set()
        for folder, own, (reader, number) in zip(
            self._config.watch_folders(), self._config.folders, self._places, strict=True
        ):
            language = folder.transcription.get("language")
            if folder.engine is Engine.LOCAL and not can_transcribe(model, language):
                what = f"'language': the model {model} of the local engine knows only English, not {language!r}."
                if "language" in own.transcription:
                    found.add(_at(reader, ("folders", number, *_LANGUAGE), "error", what, OTHER_MODEL))
                else:
                    found.add(_at(main, _LANGUAGE, "error", what, OTHER_MODEL))
        yield from sorted(found, key=lambda finding: finding.text)

    def _folder(self, folder: FolderConfig, reader: TableReader, path: tuple[str | int, ...]) -> Iterator[Finding]:
        yield from _numbers(reader, msgspec.to_builtins(folder), path)
        yield from _transcription(reader, (*path, "transcription"), {folder.engine or self._config.engine})
        named = {"path": folder.path, "output": folder.output, "after": folder.after}
        yield from _paths(reader, named, path)
        root = expand(folder.path)
        if root.exists() and not root.is_dir():
            yield _at(reader, (*path, "path"), "error", f"{root} is a file, not a folder.", f"Watch {root.parent}?")
        elif not root.exists():
            what = f"the folder {root} does not exist; Dropscribe waits for it."
            yield _at(reader, (*path, "path"), "note", what)
        if folder.after.startswith("move:") and _leads_to(folder.after.removeprefix("move:"), root):
            what = "'after' moves recordings into the watch folder itself, so they stay where they are."
            yield _at(reader, (*path, "after"), "error", what, 'Name another folder, or write: after = "keep"')
        if folder.webhook:
            yield from _address(reader, (*path, "webhook"), folder.webhook)
        if folder.on_done and shutil.which(os.path.expanduser(folder.on_done[0])) is None:  # noqa: PTH111 - any text
            what = f"'on_done': the program {folder.on_done[0]!r} was not found."
            fix = "Write the command as a list, with the program's full path first."
            yield _at(reader, (*path, "on_done"), "warning", what, fix)
        for least, most in (("min_size", "max_size"), ("min_duration", "max_duration")):
            low, high = getattr(folder, least), getattr(folder, most)
            if low is not None and high is not None and low > high:
                what = f"'{least}' is more than '{most}', so every recording is ignored."
                yield _at(reader, (*path, least), "warning", what)
        yield from self._patterns(folder, reader, path)

    def _patterns(self, folder: FolderConfig, reader: TableReader, path: tuple[str | int, ...]) -> Iterator[Finding]:
        for key in ("include", "exclude"):
            for pattern in getattr(folder, key):
                what, fix = f"'{key}': {pattern!r} matches only a file of exactly that name.", f'Write "*.{pattern}"?'
                if re.fullmatch(r"\w{2,4}", pattern):
                    yield _at(reader, (*path, key), "warning", what, fix)
                elif re.match(r"[/~]|[A-Za-z]:", pattern):
                    what = f"'{key}': {pattern!r} is an absolute path; patterns match paths inside the folder."
                    yield _at(
                        reader,
                        (*path, key),
                        "warning",
                        what,
                        'Write it relative to the folder, for example: "drafts/**"',
                    )

    def _neighbours(self) -> Iterator[Finding]:
        """Find folders that are the same under another name, or lie inside one another."""
        roots = [expand(folder.path) for folder in self._config.folders]
        real = [Path(os.path.realpath(root)) for root in roots]
        state = Path(os.path.realpath(self._config.state_path))
        for number, root in enumerate(real):
            reader, index = self._places[number]
            path = ("folders", index, "path")
            for other, first in zip(real[:number], roots, strict=False):
                if other == root:
                    what = f"{roots[number]} is the same folder as {first}."
                    yield _at(reader, path, "warning", what, "Remove one of the two [[folders]] tables.")
            inside = [roots[n] for n, other in enumerate(real) if other in root.parents]
            if inside:
                what = f"{roots[number]} lies inside {inside[0]}, which is watched too."
                yield _at(reader, path, "note", what, "For its files, its own settings apply.")
            if root == state or (root in state.parents and not _is_hidden(state.relative_to(root))):
                what = f"this folder contains Dropscribe's own files ({state}); copies of audio would be transcribed."
                yield _at(reader, path, "warning", what, "Set another 'state_dir', or watch another folder.")


def _transcription(reader: TableReader, path: tuple[str | int, ...], engines: set[Engine]) -> Iterator[Finding]:
    table: Any = reader.raw
    for key in path:
        try:
            table = table[key]
        except (KeyError, IndexError):
            return
    for problem in problems_of(table):
        local = engines == {Engine.LOCAL}
        unknown_key = not problem.sure and problem.what.endswith("is not a setting that Dropscribe knows")
        sure = problem.sure or (local and unknown_key)
        fix = problem.fix
        if not sure:
            fix = sentences(problem.fix, "It is sent unchanged, in case a newer Speechmatics supports it.")
        yield _at(reader, (*path, *problem.path), "error" if sure else "warning", f"{problem.what}.", fix)


def _address(reader: TableReader, path: tuple[str | int, ...], address: str, *, used: bool = True) -> Iterator[Finding]:
    written: Any = reader.raw
    for key in path:
        written = written.get(key, {}) if isinstance(written, dict) else written[key]
    if isinstance(written, str) and written.strip() != address and "@" not in written:
        yield _at(reader, path, "note", f"'{path[-1]}': {written!r} has no scheme; {address} is used")
    problem = problem_of(address)
    if path[-1] == "url" and re.search("[@?#]", address):
        problem = "it must not contain a user name, a question mark or #. Store the API key with: dropscribe login"
    if problem:
        fix = "Write the full address, for example: https://eu1.asr.api.speechmatics.com/v2"
        yield _at(reader, path, "error" if used else "warning", f"'{path[-1]}' can't be used: {problem}.", fix)
    elif address.startswith("http://") and not is_local(_host(address)):
        what = f"'{path[-1]}': {address} is not encrypted; others on the network can read what is sent."
        yield _at(reader, path, "warning", what, f"Write https://{address[7:]} if the server offers it.")


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""


def _paths(reader: TableReader, named: Mapping[str, str | None], path: tuple[str | int, ...]) -> Iterator[Finding]:
    for key, value in named.items():
        if value and (found := _CONTROL.search(value)):
            what = f"'{key}' contains {found[0]!r}: in double quotes a backslash starts an escape."
            yield _at(reader, (*path, key), "warning", what, r"Use single quotes, for example: 'C:\new\talks'")
        elif value and (variable := _VARIABLE.search(value)):
            what = f"'{key}': variables such as {variable[0]!r}… are not replaced but taken literally."
            yield _at(reader, (*path, key), "warning", what, "Write the path itself; ~ is your home folder.")


def _numbers(reader: TableReader, table: dict[str, Any], path: tuple[str | int, ...]) -> Iterator[Finding]:
    """Find numbers of seconds that are so large that they look like milliseconds, or are infinite."""
    for key, value in table.items():
        if isinstance(value, dict) and not path:
            yield from _numbers(reader, value, (key,))
        elif isinstance(value, int | float) and key in _SECONDS and value > _LONG:
            long = "forever" if math.isinf(value) else f"{value / 86_400:,.0f} days"
            yield _at(reader, (*path, key), "warning", f"'{key}' is in seconds: this is {long}.")


def _folder_files(config: Config) -> Iterator[Finding]:
    """Check the `.dropscribe.toml` files in the watched folders, in the first folders of each tree."""
    from watcher.folders.rules.overrides import parse_overrides, read_overrides  # noqa: PLC0415 - light start
    from watcher.toml import TableReader  # noqa: PLC0415 - same

    for folder in config.watch_folders():
        for number, (here, below, names) in enumerate(os.walk(folder.path)):
            if number >= _MOST_FOLDERS:
                yield Finding("note", f"Only the first {_MOST_FOLDERS:,} folders in {folder.path} were checked.")
                break
            if not folder.recursive:
                below.clear()
            file = Path(here, _OVERRIDES)
            if _OVERRIDES not in names:
                continue
            try:
                text = read_overrides(file)
                parse_overrides(text, file=file)
            except (ConfigError, OSError) as error:
                yield Finding("error", str(error))
                continue
            yield from _transcription(TableReader(text, file), ("transcription",), {folder.engine})


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _at(reader: TableReader, path: tuple[str | int, ...], level: str, what: str, fix: str = "") -> Finding:
    return Finding(level, str(reader.error(what, path, fix=fix)))


def answering(config: Config) -> list[Finding]:
    """Check which addresses in a config can be reached. No key and no other data of the user is sent."""
    found = []
    if Engine.SPEECHMATICS in {folder.engine for folder in config.watch_folders()} | {config.engine}:
        found.append(_answer("url", config.speechmatics.url))
    found += [_answer("webhook", folder.webhook) for folder in config.folders if folder.webhook]
    return found


def _answer(name: str, address: str) -> Finding:
    """Connect to an address. A service gets a request; a webhook gets none, since it might act on it."""
    import httpx  # noqa: PLC0415 - light start

    try:
        if name == "url":
            proxied = not is_local(_host(address))
            status = httpx.get(f"{address.rstrip('/')}/jobs", timeout=_PATIENCE, trust_env=proxied).status_code
            return Finding("note", f"'{name}': {address} answers (HTTP {status} without a key).")
        parsed = urlsplit(address)
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        socket.create_connection((parsed.hostname or "", port), timeout=_PATIENCE).close()
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        why = str(error) or type(error).__name__
        return Finding("warning", f"'{name}': {address} can't be reached: {why}")
    return Finding("note", f"'{name}': {address} can be reached.")


def _leads_to(directory: str, folder: Path) -> bool:
    """Whether a directory, relative to a folder, is that folder, by whatever name."""
    target = expand(directory, base=folder)
    try:
        return target.samefile(folder)
    except OSError:
        return target == folder
