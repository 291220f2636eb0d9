"""What somebody meant who wrote text that is not valid TOML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import tomllib
    from collections.abc import Callable, Sequence

__all__ = ["explain"]

_KEY: Final = re.compile(r"^\s*\S+\s*=\s*")
_CURLY: Final = re.compile("[\u2018-\u201f\u00ab\u00bb]")
_MEANT_VALUES: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = (
    (re.compile("true|yes|on", re.IGNORECASE), lambda _: "Write true, in lower case and without quotes."),
    (re.compile("false|no|off", re.IGNORECASE), lambda _: "Write false, in lower case and without quotes."),
    (re.compile(r"\d+,\d+.*"), lambda value: f"Numbers have a decimal point: {value.replace(',', '.', 1)}"),
    (re.compile(r"\.\d+"), lambda value: f"Write digits on both sides of the point: 0{value}"),
    (re.compile(r"\d+\."), lambda value: f"Write digits on both sides of the point: {value}0"),
    (re.compile(r"0\d+"), lambda value: f"Write it without the leading zero: {value.lstrip('0') or '0'}"),
    (
        re.compile(r"\d+(\.\d+)? *[A-Za-z]+"),
        lambda value: f"Write the number alone, without a unit: {re.sub(' *[A-Za-z]+$', '', value)}",
    ),
)
_MEANT: Final = {
    "Expected '=' after a key": "Write: key = value. Comments begin with #.",
    "Expected ']": "Close the heading, as in: [local]; or with two brackets: [[folders]]",
    "Unclosed array": "Close the list with ].",
    "Unclosed inline table": "Close the table with }.",
    "Expected newline": "Put each setting on a line of its own. Text stands in quotes; comments begin with #.",
    "Invalid value": 'Text stands in quotes, as in: engine = "local"',
}
_UNCLOSED: Final = ("Unterminated string", "Expected '\"'", 'Expected "\'"', "Illegal character '\\n'")
_BACKSLASH: Final = (
    r"In double quotes a backslash begins an escape. Write a Windows path in single quotes, as in 'C:\Users\me', "
    "or with forward slashes."
)
_TWO_BRACKETS: Final = "Each watched folder begins with [[folders]], in two brackets; its settings follow below it."


def explain(error: tomllib.TOMLDecodeError, lines: Sequence[str]) -> tuple[str, int, str]:
    """Say what is wrong, on which line, and what to write instead.

    Args:
        error: what `tomllib` said.
        lines: the text.
    """
    text = str(error)
    what = re.sub(r" ?\(at .*\)$", "", text)
    place = re.search(r"line (\d+)", text)
    number = int(place[1]) if place else _last_line(lines)
    line = lines[number - 1].strip() if number <= len(lines) else ""
    if what.startswith(_UNCLOSED):
        opened = _unclosed(lines, number)
        return "a text's closing quote is missing", opened, 'Close it on the same line, as in: engine = "local"'
    if what in {"Invalid hex value", "Unescaped '\\' in a string"}:
        return "a backslash begins no known escape", number, _BACKSLASH
    if what == "Cannot overwrite a value" and not line.startswith("["):
        return _twice(lines, number)
    if what.startswith("Cannot declare") or what == "Cannot overwrite a value":
        name = line.strip("[] ")
        if name.split(".")[0] == "folders":
            return "[folders] is in single brackets, so it can appear only once", number, _TWO_BRACKETS
        return f"[{name}] appears again here", number, "Put all its settings under one heading."
    return f"not valid TOML: {_plainly(what)}", number, _advice(what, line)


def _advice(what: str, line: str) -> str:
    if _CURLY.search(line):
        return 'Use straight quotes, as in: engine = "local"; a word processor makes them curly.'
    value = _KEY.sub("", line)
    for pattern, fix in _MEANT_VALUES:
        if pattern.fullmatch(value):
            return fix(value)
    if what == "Invalid value" and "[" in value and "]" not in value:
        return _MEANT["Unclosed array"]
    return next((fix for begins, fix in _MEANT.items() if what.startswith(begins)), "")


def _plainly(what: str) -> str:
    known = {
        "Invalid value": "the value can't be read",
        "Invalid statement": "the line is neither a setting (key = value) nor a heading ([name])",
        "Expected newline or end of document after a statement": "something follows the value",
    }
    return known.get(what, what[:1].lower() + what[1:])


def _last_line(lines: Sequence[str]) -> int:
    filled = [number for number, line in enumerate(lines, 1) if line.strip()]
    return filled[-1] if filled else 1


def _unclosed(lines: Sequence[str], number: int) -> int:
    """Find where a text begins that doesn't end: for one of several lines, its three quotes."""
    before = list(lines[:number])
    for quotes in ('"""', "'''"):
        if sum(line.count(quotes) for line in before) % 2:
            return max(n for n, line in enumerate(before, 1) if quotes in line)
    halves = [n for n, line in enumerate(before, 1) if re.match(r"[^#'\"]*('[^']*|\"[^\"]*)$", line)]
    return halves[-1] if halves else number


def _twice(lines: Sequence[str], number: int) -> tuple[str, int, str]:
    """Name the key that is set twice; `tomllib` notices it a line too late."""
    for at in range(min(number, len(lines)), 0, -1):
        if key := re.match(r"\s*([\w.\"'-]+)\s*=", lines[at - 1]):
            return f"'{key[1]}' is set twice in this table", at, "Keep one of the two lines."
    return "a key is set twice", number, "Keep one of the two lines."
