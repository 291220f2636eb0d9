"""File names as others give them: text, never a path. Pure."""

from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

DEFAULT: Final = "data_file"


def base(name: str) -> str:
    """Return a file name without folders, in whatever system's manner they are written."""
    return PurePosixPath(name.replace("\\", "/")).name or DEFAULT


def name_of(url: str) -> str:
    """Return the file name that a URL suggests."""
    try:
        return base(unquote(urlsplit(url).path))
    except ValueError:
        return DEFAULT
