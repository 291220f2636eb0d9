"""Reads the text of a config, whatever program saved it."""

from __future__ import annotations

import codecs
import stat
from typing import TYPE_CHECKING, Final

from watcher.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["decode_config", "read_config_text"]

_LARGEST: Final = 1 << 20
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SAVE = "Save it as UTF-8: most editors offer it under “Save as” or “Save with encoding”."


def read_config_text(file: Path) -> str:
    """Read a config: UTF-8, with or without a byte order mark.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it can't be read, or is not UTF-8; says what to do.
    """
    try:
        kind = file.stat().st_mode
        if stat.S_ISDIR(kind):
            raise ConfigError("this is a folder, not a file.", file=file, fix="Name the file in it, e.g. config.toml.")
        if not (stat.S_ISREG(kind) or stat.S_ISCHR(kind)):  # reading a pipe could wait forever; /dev/null is fine
            raise ConfigError(
                "this is not a regular file, but a pipe or a socket.", file=file, fix="Put a text file there."
            )
        with file.open("rb") as opened:
            content = opened.read(_LARGEST + 1)
    except FileNotFoundError:
        raise
    except PermissionError:
        fix = f"Let your user read it: chmod u+r '{file}', or chown it to the user that Dropscribe runs as."
        raise ConfigError("can't be read: no permission.", file=file, fix=fix) from None
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}.", file=file) from None
    if len(content) > _LARGEST:
        raise ConfigError(f"this is larger than {_LARGEST >> 20} MiB, so it is hardly a config.", file=file)
    return decode_config(content, file)


def decode_config(content: bytes, file: Path) -> str:
    """Decode a config: UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it is of another encoding; names it, and says what to do.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith(_UTF16):
            raise ConfigError(
                "this text is UTF-16 (also called “Unicode”), not UTF-8.", file=file, line=1, fix=_SAVE
            ) from None
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start : error.start + 1]
        like = f"the byte 0x{byte.hex()} would be {byte.decode('cp1252', 'replace')!r} in Windows-1252 or Latin-1"
        raise ConfigError(f"this text is not UTF-8: {like}.", file=file, line=line, fix=_SAVE) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError("this holds zero bytes: it is UTF-16, or no text at all.", file=file, line=line, fix=_SAVE)
    return text
