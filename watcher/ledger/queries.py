"""The statements of `sql/queries.sql`, by name."""

from __future__ import annotations

import re
from importlib import resources

__all__ = ["QUERIES", "read_sql"]

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def read_sql(*name: str) -> str:
    """Read one of the package's SQL files."""
    return resources.files(__package__).joinpath("sql", *name).read_text(encoding="utf-8")


def _load() -> dict[str, str]:
    parts = _NAME.split(read_sql("queries.sql"))
    return {name: text.strip().rstrip(";") for name, text in zip(parts[1::2], parts[2::2], strict=True)}


QUERIES = _load()
