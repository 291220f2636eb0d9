"""Reads TOML that people write into structs, with errors that name the line."""

from __future__ import annotations

import enum
import re
import tomllib
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from watcher.errors import ConfigError
from watcher.toml_limits import line_nested_too_deeply

__all__ = ["TableReader"]

_LONGEST = 300
"""Characters of a message: it may quote a value, and a file may hold any."""

T = TypeVar("T", bound=msgspec.Struct)


class TableReader:
    """Turns TOML tables into structs, and finds the line of what is wrong.

    Args:
        text: the text.
        file: where it is from, for errors.

    Attributes:
        raw: the whole as plain tables.

    Raises:
        ConfigError: it is no TOML; names the line.
    """

    def __init__(self, text: str, file: object) -> None:
        self._lines = text.splitlines()
        self._file = file
        if line_number := line_nested_too_deeply(text):
            raise ConfigError("the brackets or dotted keys nest too deeply.", file=file, line=line_number)
        try:
            self.raw: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            line = re.search(r"line (\d+)", str(error))
            number = int(line[1]) if line else max(1, text.rstrip().count("\n") + 1)
            what = re.sub(r" ?\(at .*\)$", "", str(error))
            fix = 'Text stands in quotes, as in: engine = "local"' if what == "Invalid value" else ""
            raise ConfigError(f"not valid TOML: {what}.", file=file, line=number, fix=fix) from None
        except ValueError as error:  # Python reads no number of more than 4,300 digits
            digits = re.search(r"[0-9_]{4000,}", text)
            at = text.count("\n", 0, digits.start()) + 1 if digits else None
            what = "a number has too many digits" if digits else str(error)[:_LONGEST]
            raise ConfigError(f"{what}.", file=file, line=at) from None

    def read(self, model: type[T]) -> T:
        """Convert the whole.

        Raises:
            ConfigError: a key is unknown or a value wrong; names the line.
        """
        return self.convert(self.raw, model, ())

    def error(self, message: str, path: tuple[str | int, ...], fix: str = "") -> ConfigError:
        """Make the error of what is set at `path`, e.g. `("folders", 0, "path")`; a long message is cut."""
        message = message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"
        return ConfigError(message, file=self._file, line=self._line_of(path), fix=fix)

    def convert(self, raw: dict[str, Any], model: type[T], path: tuple[str | int, ...]) -> T:
        """Convert a table, its sub-tables first, so that an error's place is known exactly."""
        fields = {field.name for field in msgspec.structs.fields(model)}
        values: dict[str, Any] = {}
        hints = get_type_hints(model, include_extras=True)
        for key, value in raw.items():
            here = (*path, key)
            if key not in fields:
                raise self.error(f"unknown key '{key}'.", here, fix=_suggest(key, fields))
            values[key] = self._value(value, hints[key], here)
        try:
            return msgspec.convert(values, model)
        except msgspec.ValidationError as error:
            raise self.error(f"{_plain(error)}.", path) from None

    def _value(self, value: Any, hint: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any TOML value
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and isinstance(value, dict):
            return self.convert(value, hint, path)
        of = get_args(hint)[0] if get_origin(hint) is tuple else None
        tables = isinstance(value, list) and all(isinstance(item, dict) for item in value)
        if tables and isinstance(of, type) and issubclass(of, msgspec.Struct):
            return tuple(self.convert(item, of, (*path, n)) for n, item in enumerate(value))
        return self.check(value, hint, path)

    def check(self, value: Any, hint: Any, path: tuple[str | int, ...]) -> Any:  # noqa: ANN401 - any TOML value
        """Convert the value at `path` to a type.

        Raises:
            ConfigError: it is of another type; names the line.
        """
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            fix = f"Known here: {', '.join(known)}." if (known := _choices(hint)) else ""
            raise self.error(f"'{path[-1]}': {_plain(error)}.", path, fix=fix) from None

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
            if tuple(here) == path[: len(here)] and len(here) > depth:
                best, depth = number, len(here)
        return best


def _choices(hint: Any) -> list[str]:  # noqa: ANN401 - any type hint
    """List the values that a hint allows, where it is a list of choices."""
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return [str(member.value) for member in hint]
    if get_origin(hint) is Literal:
        return [str(value) for value in get_args(hint)]
    return next((found for part in get_args(hint) if (found := _choices(part))), [])


def _plain(error: msgspec.ValidationError) -> str:
    text = str(error).split(" - at `")[0]
    names = {"`str`": "text", "`bool`": "true or false", "`int`": "a whole number", "`float`": "a number"}
    names |= {"`array`": "a list", "`object`": "a table", "`null`": "nothing"}
    for name, plain in names.items():
        text = text.replace(name, plain)
    if text.startswith("Invalid enum value"):
        text = text.replace("Invalid enum value", "unknown value")
    return text[:1].lower() + text[1:]


def _suggest(key: str, known: set[str]) -> str:
    import difflib  # noqa: PLC0415 - only for an error message

    close = difflib.get_close_matches(key, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else f"Known here: {', '.join(sorted(known))}."
