"""The API key of the cloud: from the environment, the OS keyring, or a file that only its owner may read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import keyring
import keyring.errors

from watcher.config import expand
from watcher.errors import ConfigError

if TYPE_CHECKING:
    from watcher.config import SpeechmaticsConfig

__all__ = ["ENVIRONMENT", "SERVICE", "find_key"]

ENVIRONMENT = "SPEECHMATICS_API_KEY"
SERVICE = "dropscribe"


def find_key(config: SpeechmaticsConfig) -> str | None:
    """Return the key for the configured address, or None if there is none anywhere.

    Looked for in this order: the environment, `api_key_file`, the OS keyring (under the address).

    Raises:
        ConfigError: the key file can't be read, or others may read it.
    """
    if key := os.environ.get(ENVIRONMENT, "").strip():
        return key
    if config.api_key_file:
        return _read_key_file(config.api_key_file)
    try:
        return keyring.get_password(SERVICE, config.url)
    except keyring.errors.KeyringError:
        return None


def _read_key_file(name: str) -> str:
    file = expand(name)
    try:
        mode = file.stat().st_mode
        key = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"the key file can't be read: {error.strerror}.", file=file) from None
    if os.name == "posix" and mode & 0o077:
        raise ConfigError("others may read the key file.", file=file, fix=f"chmod 600 '{file}'")
    if not key:
        raise ConfigError("the key file is empty.", file=file)
    return key
