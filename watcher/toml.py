"""Reads TOML that people write into structs, with errors that name the line."""

from __future__ import annotations

import enum
import re
import tomllib
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from watcher.errors import ConfigError, sentences
from watcher.toml_limits import line_nested_too_deeply
from watcher.toml_mistakes import explain

__all__ = ["TableReader", "closest"]

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST = 500
"""Characters of a message: it may quote a value, and a file may hold any."""

T = TypeVar("T", bound=msgspec.Struct)


class TableReader:
    """Turns TOML tables into structs, and finds the line of what is wrong.

    Args:
        text: the text.
        file: where it is from, for errors.
        homes: for keys that are easily put into the wrong table, the tables that they belong to, e.g.
            `{"rescan": "the top, above the first [heading]"}`.

    Attributes:
        file: where the text is from.
        raw: the whole as plain tables.

    Raises:
        ConfigError: it is no TOML; names the line.
    """

    def __init__(self, text: str, file: object, homes: Mapping[str, str] | None = None) -> None:
        self._lines = text.split("\n")  # as TOML counts lines: no other character ends one
        self._homes = homes or {}
        self.file = file
        if line_number := line_nested_too_deeply(text):
            raise ConfigError("the brackets or dotted keys nest too deeply.", file=file, line=line_number)
        try:
            self.raw: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            what, number, fix = explain(error, self._lines)
            raise ConfigError(f"{_cut(what)}.", file=file, line=number, fix=_cut(fix)) from None
        except ValueError as error:  # Python reads no number of more than 4,300 digits
            digits = re.search(r"[0-9_]{4000,}", text)
            at = text.count("\n", 0, digits.start()) + 1 if digits else None
            what = "a number has too many digits" if digits else _cut(str(error))
            raise ConfigError(f"{what}.", file=file, line=at) from None

    def read(self, model: type[T]) -> T:
        """Convert the whole.

        Raises:
            ConfigError: a key is unknown or a value wrong; names the line.
        """
        return self.convert(self.raw, model, ())

    def error(self, message: str, path: tuple[str | int, ...], fix: str = "") -> ConfigError:
        """Make the error of what is set at `path`, e.g. `("folders", 0, "path")`; a long message is cut."""
        return ConfigError(_cut(message), file=self.file, line=self._line_of(path), fix=_cut(fix))

    def convert(self, raw: dict[str, Any], model: type[T], path: tuple[str | int, ...]) -> T:
        """Convert a table, its sub-tables first, so that an error's place is known exactly."""
        fields = {field.name for field in msgspec.structs.fields(model)}
        values: dict[str, Any] = {}
        hints = get_type_hints(model, include_extras=True)
        examples = {field.name: _example(field.name, field.default) for field in msgspec.structs.fields(model)}
        for key, value in raw.items():
            here = (*path, key)
            if key not in fields:
                raise self.error(f"unknown key '{key}'.", here, fix=self._where_to(key, fields))
            values[key] = self._value(value, hints[key], here, examples[key])
        try:
            return msgspec.convert(values, model)
        except msgspec.ValidationError as error:
            raise self.error(f"{_plain(error)}.", path) from None

    def line_of(self, path: tuple[str | int, ...]) -> int | None:
        """The line, from 1, on which something is set, or on which its table begins; None if there is none."""
        return self._line_of(path)

    def _where_to(self, key: str, fields: set[str]) -> str:
        if home := self._homes.get(key):
            return f"'{key}' belongs to {home}."
        if close := closest(key, fields):
            return f"Did you mean '{close}'?"
        if elsewhere := closest(key, self._homes):
            return f"Did you mean '{elsewhere}', which belongs to {self._homes[elsewhere]}?"
        return f"Allowed: {', '.join(sorted(fields))}."

    def _value(self, value: Any, hint: Any, path: tuple[str | int, ...], example: str) -> Any:  # noqa: ANN401 - TOML
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and isinstance(value, dict):
            return self.convert(value, hint, path)
        of = get_args(hint)[0] if get_origin(hint) is tuple else None
        tables = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        if tables and isinstance(of, type) and issubclass(of, msgspec.Struct):
            return tuple(self.convert(item, of, (*path, n)) for n, item in enumerate(value))
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and tables and value:
            fix = f"Write [{path[-1]}] in single brackets: there is only one."
            raise self.error(f"[[{path[-1]}]] is in double brackets.", (*path, 0), fix=fix)
        if isinstance(of, type) and issubclass(of, msgspec.Struct) and isinstance(value, dict):
            name = path[-1]
            fix = f"Write [[{name}]] in double brackets: each is one of several. Leave [{name}.…] below it as it is."
            raise self.error(f"[{name}] is in single brackets.", path, fix=fix)
        return self.check(value, hint, path, example)

    def check(self, value: Any, hint: Any, path: tuple[str | int, ...], example: str = "") -> Any:  # noqa: ANN401 - any TOML value
        """Convert the value at `path` to a type.

        Args:
            value: what is set.
            hint: the type.
            path: where it is set.
            example: how it is written, for the error.

        Raises:
            ConfigError: it is of another type; names the line.
        """
        of = get_args(hint)[0] if get_origin(hint) is tuple else None
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            fix = f'Write a list: {path[-1]} = ["{value}"]' if isinstance(value, str) and of else example
            if known := _choices(hint):
                fix = sentences(fix if of else "", f"Allowed: {', '.join(known)}.")
                texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
                for text in texts:
                    if isinstance(text, str) and text not in known and (close := closest(text, known)):
                        fix = f"Did you mean '{close}'? {fix}"
                        break
            text = _plain(error)
            if isinstance(value, float) and text.endswith("a whole number, got a number"):
                text = text.removesuffix("a number") + str(value)
            raise self.error(f"'{path[-1]}': {text}.", path, fix=fix) from None

    def _line_of(self, path: tuple[str | int, ...]) -> int | None:
        """Find the line on which the key of `path` is set, or else its table begins."""
        best: int | None = None
        depth = 0
        table: list[str | int] = []
        seen: dict[str, int] = {}
        """How many tables of each array of tables there were."""
        for number, line in enumerate(self._lines, 1):
            text = line.strip()
            if header := re.match(r"\[\[?([^\[\]]+)\]", text):
                names = [name.strip().strip("\"'") for name in header[1].split(".")]
                if text.startswith("[[") and len(names) == 1:
                    seen[names[0]] = seen.get(names[0], -1) + 1
                table = [names[0], seen[names[0]], *names[1:]] if names[0] in seen else list(names)
                here = table
            elif key := re.match(r"""["']?([\w-]+)["']?\s*=""", text):
                here = [*table, key[1]]
            else:
                continue
            # A dotted heading such as [folders.transcription] also makes the tables that it lies in.
            shared = min(len(here), len(path))
            if tuple(here[:shared]) == path[:shared] and shared > depth:
                best, depth = number, shared
        return best


_TYPES = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "date": "a date",
    "datetime": "a date",
    "time": "a time of day",
}
"""How a person names the types that msgspec names."""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _example(name: str, default: object) -> str:
    """How a setting is written, by its default; empty where the default shows nothing."""
    if isinstance(default, bool):
        return f"Write, for example: {name} = {str(default).lower()}"
    if isinstance(default, int | float):
        return f"Write, for example: {name} = {default}"
    return f'Write, for example: {name} = "{default}"' if isinstance(default, str) and default else ""


def _choices(hint: Any) -> list[str]:  # noqa: ANN401 - any type hint
    """List the values that a hint allows, where it is a list of choices."""
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [str(member.value) for member in hint]
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    return next((found for part in get_args(hint) if (found := _choices(part))), [])


def _plain(error: msgspec.ValidationError) -> str:
    text = str(error).split(" - at `")[0]
    text = re.sub(r"`([a-z]+(?: \| [a-z]+)*)`", _in_words, text)
    text = re.sub(r"^Object contains unknown field (.*)", r"unknown key \1", text)
    text = re.sub(r"^Object missing required field (.*)", r"\1 is missing", text)
    text = re.sub(r" >= ([\d.]+)$", r" of \1 or more", re.sub(r" <= ([\d.]+)$", r" of at most \1", text))
    if text.startswith("Invalid enum value"):
        text = text.replace("Invalid enum value", "unknown value")
    return text[:1].lower() + text[1:]


def _in_words(types: re.Match[str]) -> str:
    """Name the types of a value in plain words; `null` is left out, as TOML has none."""
    names = types[1].split(" | ")
    if not _TYPES.keys() >= set(names):
        return types[0]  # a key, not a type
    wanted = [name for name in names if name != "null"] or names
    return " or ".join(dict.fromkeys(_TYPES[name] for name in wanted))


def closest(text: str, known: Iterable[str]) -> str:
    """Find the known word that somebody meant; empty if none is near."""
    import difflib  # noqa: PLC0415 - only for an error message

    lower = {word.lower(): word for word in known}
    return next((lower[found] for found in difflib.get_close_matches(text[:100].strip().lower(), lower, n=1)), "")
