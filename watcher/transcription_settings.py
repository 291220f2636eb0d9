"""The settings of `[transcription]`, and what is wrong with those of a config.

They are the fields of `transcription_config` of Speechmatics' Batch API (https://docs.speechmatics.com/api-ref/batch),
with those that the service takes beyond its published description. `test_transcription_settings.py` holds this table
against the description. The service may learn new fields and values before this program does, so nothing here keeps
the daemon from sending them: only `dropscribe config check` reads this.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from watcher.toml import closest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["FIELDS", "TRANSCRIPTION_KEYS", "Field", "Problem", "problems_of"]

_KINDS: Final = {str: "text", bool: "true or false", float: "a number", list: "a list", dict: "a table"}


@dataclasses.dataclass(frozen=True)
class Field:
    """What the API takes as a field's value.

    Attributes:
        kind: the type; float stands for any number.
        least: the smallest number.
        most: the largest number.
        known: the values known today.
        items: what a list holds.
        keys: what a table holds; None if anything.
        needed: the keys that a table must have.
    """

    kind: type
    least: float = 0
    most: float = float("inf")
    known: tuple[str, ...] = ()
    items: Field | None = None
    keys: Mapping[str, Field] | None = None
    needed: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Problem:
    """Something in a `[transcription]` table that the service may refuse.

    Attributes:
        path: the keys that lead to it within the table; a number counts a list's items.
        what: what is wrong.
        fix: what to write instead.
        sure: it can't work; otherwise a newer service may know it.
    """

    path: tuple[str | int, ...]
    what: str
    fix: str = ""
    sure: bool = True


def _table(needed: tuple[str, ...] = (), **keys: Field) -> Field:
    return Field(dict, keys={name.rstrip("_"): field for name, field in keys.items()}, needed=needed)


def _texts() -> Field:
    return Field(list, items=_TEXT)


_TEXT: Final = Field(str)
_FLAG: Final = Field(bool)
_FRACTION: Final = Field(float, most=1)
_MODEL: Final = Field(str, known=("standard", "enhanced", "melia-1", "oak-1"))

FIELDS: Final[Mapping[str, Field]] = {
    "language": _TEXT,
    "domain": _TEXT,
    "output_locale": _TEXT,
    "model": _MODEL,
    "operating_point": _MODEL,
    "additional_vocab": Field(list, items=_table(("content",), content=_TEXT, sounds_like=_texts())),
    "punctuation_overrides": _table(sensitivity=_FRACTION, permitted_marks=_texts()),
    "diarization": Field(str, known=("none", "speaker", "channel")),
    "channel_diarization_labels": _texts(),
    "enable_entities": _FLAG,
    "enable_partials": _FLAG,
    "max_delay": Field(float),
    "max_delay_mode": Field(str, known=("fixed", "flexible")),
    "audio_filtering_config": _table(volume_threshold=Field(float, most=100)),
    "transcript_filtering_config": _table(
        remove_disfluencies=_FLAG,
        replacements=Field(list, items=_table(("from", "to"), from_=_TEXT, to=_TEXT)),
    ),
    "speaker_diarization_config": _table(
        prefer_current_speaker=_FLAG,
        speaker_sensitivity=_FRACTION,
        get_speakers=_FLAG,
        speakers=Field(
            list,
            items=_table(("label", "speaker_identifiers"), label=_TEXT, speaker_identifiers=_texts()),
        ),
    ),
    "language_hints": _texts(),
    "language_hints_strict": _FLAG,
}
"""Every field of `transcription_config`."""

TRANSCRIPTION_KEYS: Final = frozenset(FIELDS)


def problems_of(table: Mapping[str, Any]) -> list[Problem]:
    """Compare a `[transcription]` table with what the API is known to take."""
    return list(_in_table(table, Field(dict, keys=FIELDS), ()))


def _in_table(table: Mapping[str, Any], field: Field, path: tuple[str | int, ...]) -> Iterator[Problem]:
    keys = field.keys or {}
    for key, value in table.items():
        if key in keys:
            yield from _in_value(value, keys[key], (*path, key))
        elif close := closest(key, keys):
            yield Problem((*path, key), f"the service knows no '{key}'", f"Did you mean '{close}'?")
        else:
            fix = f"Allowed: {', '.join(sorted(keys))}."
            yield Problem((*path, key), f"'{key}' is not a setting that Dropscribe knows", fix, sure=False)
    for key in field.needed:
        if key not in table:
            yield Problem(path, f"'{key}' is missing")


def _in_value(value: object, field: Field, path: tuple[str | int, ...]) -> Iterator[Problem]:
    name = next(part for part in reversed(path) if isinstance(part, str))
    fits = (
        isinstance(value, int | float) and not isinstance(value, bool)
        if field.kind is float
        else (isinstance(value, field.kind))
    )
    if not fits:
        fix = _as_meant(name, value, field)
        yield Problem(path, f"'{name}' is {_KINDS[field.kind]}, not {_written(value)}", fix)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if not field.least <= value <= field.most:
            end = "or more" if field.most == float("inf") else f"to {field.most:g}"
            yield Problem(path, f"'{name}' is {value}; it must be {field.least:g} {end}")
    elif isinstance(value, str) and field.known and value not in field.known:
        close = closest(value, field.known)
        fix = f"Did you mean {_written(close)}? " if close else ""
        what = f"'{name}': {_written(value)} is not a value that Dropscribe knows"
        yield Problem(path, what, f"{fix}Known: {', '.join(field.known)}.", sure=False)
    elif isinstance(value, list) and field.items:
        for number, item in enumerate(value):
            yield from _in_value(item, field.items, (*path, number))
    elif isinstance(value, dict):
        yield from _in_table(value, field, path)


def _as_meant(name: str, value: object, field: Field) -> str:
    if field.kind is list and isinstance(value, str):
        return f"Write a list: {name} = [{_written(value)}]"
    if "content" in field.needed and isinstance(value, str):
        return f"Write: {{ content = {_written(value)} }}"
    if field.kind is bool and isinstance(value, str | int):
        return f"Write: {name} = true, or false, without quotes."
    return ""


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "a table"
    return "a list" if isinstance(value, list) else str(value)
