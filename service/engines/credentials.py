"""The API key of the cloud: from the environment, the OS keyring, or a file that only its owner may read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import keyring
import keyring.errors

from watcher.config import expand
from watcher.errors import ConfigError, DropscribeError
from watcher.paths import default_config_file

if TYPE_CHECKING:
    from pathlib import Path

    from watcher.config import SpeechmaticsConfig

__all__ = [
    "ENVIRONMENT",
    "SERVICE",
    "KeyringLocked",
    "KeyringUnavailable",
    "filed_key",
    "find_key",
    "forget",
    "keep",
    "key_file",
    "keyring_key",
    "named_key",
    "write_key_file",
]

ENVIRONMENT = "SPEECHMATICS_API_KEY"
SERVICE = "dropscribe"
_IN_A_FILE = "To store it in a file that only you can read: dropscribe login --file"


class KeyringUnavailable(DropscribeError):
    """This machine has no usable keyring now."""


class KeyringLocked(KeyringUnavailable):
    """The keyring is locked, and was not unlocked when it was asked for the key."""

    def __init__(self) -> None:
        super().__init__(
            "The keyring that may hold the API key is locked.",
            fix="Unlock it, then: dropscribe resume. Or store the key in a file: dropscribe login --file",
        )


def find_key(config: SpeechmaticsConfig) -> str | None:
    """Return the key for the configured address, or None if there is none anywhere.

    Looked for in this order: `named_key`, `keyring_key`, `filed_key`.

    Raises:
        ConfigError: the key file can't be read, or others may read it.
        KeyringUnavailable: the keyring can't be asked, or is locked (`KeyringLocked`), and there is no key elsewhere.
    """
    if key := named_key(config):
        return key
    try:
        return keyring_key(config) or filed_key()
    except KeyringUnavailable:
        if key := filed_key():
            return key
        raise


def named_key(config: SpeechmaticsConfig) -> str | None:
    """Return the key from the environment, or else from the file that the config names.

    Raises:
        ConfigError: that file can't be read, or others may read it.
    """
    if key := os.environ.get(ENVIRONMENT, "").strip():
        return key
    return _read_key_file(config.api_key_file) if config.api_key_file else None


def keyring_key(config: SpeechmaticsConfig) -> str | None:
    """Return the key that the OS keyring has under the address. A locked keyring opens a dialog on most desktops.

    Raises:
        KeyringUnavailable: the keyring can't be asked, or is locked (`KeyringLocked`).
    """
    try:
        return keyring.get_password(SERVICE, config.url)
    except keyring.errors.KeyringLocked:
        raise KeyringLocked from None
    except RuntimeError:  # no backend at all, NoKeyringError
        return None
    except keyring.errors.KeyringError as error:
        raise KeyringUnavailable(f"The keyring can't be asked for the API key: {error}.", fix=_IN_A_FILE) from None


def filed_key() -> str | None:
    """Return the key that `dropscribe login --file` has written.

    Raises:
        ConfigError: that file can't be read, or others may read it.
    """
    return _read_key_file(str(key_file())) if key_file().exists() else None


def keep(key: str, url: str) -> None:
    """Keep a key in the OS keyring.

    Raises:
        KeyringUnavailable: this machine has none that can be used now.
    """
    try:
        keyring.set_password(SERVICE, url, key)
    except keyring.errors.KeyringLocked:
        raise KeyringUnavailable(
            "The keyring is locked. Nothing was stored.",
            fix=f"Unlock it and try again. {_IN_A_FILE}",
        ) from None
    except (keyring.errors.KeyringError, RuntimeError) as error:
        raise KeyringUnavailable(
            f"There is no keyring to store the key in ({error}). Nothing was stored.",
            fix=_IN_A_FILE,
        ) from None


def key_file() -> Path:
    """The file that `write_key_file` writes."""
    return default_config_file().parent / "speechmatics-key"


def write_key_file(key: str) -> Path:
    """Keep a key in a file that only its owner may read (0600)."""
    file = key_file()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(key + "\n")
    partial.replace(file)
    return file


def forget(url: str) -> list[str]:
    """Remove kept keys; returns where there were some."""
    found = []
    try:
        keyring.delete_password(SERVICE, url)
        found.append("your keyring")
    except (keyring.errors.KeyringError, RuntimeError):
        pass
    if key_file().exists():
        key_file().unlink()
        found.append(str(key_file()))
    return found


def _read_key_file(name: str) -> str:
    file = expand(name)
    try:
        mode = file.stat().st_mode
        key = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"the key file can't be read: {error.strerror}.", file=file) from None
    if os.name == "posix" and mode & 0o077:
        raise ConfigError("other users can read the key file.", file=file, fix=f"chmod 600 '{file}'")
    if not key:
        raise ConfigError("the key file is empty.", file=file)
    return key
