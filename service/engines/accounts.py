"""The accounts of a config: the embedded server, and Speechmatics."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec

from service.engines.credentials import KeyringUnavailable, filed_key, keyring_key, named_key
from watcher.errors import ConfigError
from watcher.models import Engine
from watcher.scheduler import Account, RateLimits
from watcher.speechmatics import AsyncClient, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.engines.local import LocalServer
    from watcher.config import Config

__all__ = ["CloudConnector", "cloud_account", "local_account"]

_LOCAL_RUNNING = 8
"""Jobs at the local server at a time; the others wait in the ledger, without a copy of their audio."""
_FIRST_ASKING = 60.0
"""Seconds after which a locked keyring is asked again; doubled each time."""
_LONGEST_ASKING = 3600.0
_LOCAL_LISTING = 2.0
"""Seconds: the local server lists a job as soon as it is accepted."""


class KeyringHoldsKey(ConfigurationError):
    """The key can't be had from the keyring now.

    Attributes:
        fix: what the person can do about it.
    """

    def __init__(self, error: KeyringUnavailable) -> None:
        super().__init__(error.message)
        self.fix = error.fix


class CloudConnector:
    """Connects to Speechmatics, or to an on-prem box. Looks up the key at each connection.

    A keyring that is locked or unavailable is tried again after a minute, then less and less often, down to once an
    hour, because each try may open a password dialog. Other places for the key are checked every time.

    Args:
        config: where the key may be.
        monotonic: the time in seconds.
    """

    def __init__(self, config: Config, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config.speechmatics
        self._limits = RateLimits()
        self._client: AsyncClient | None = None
        self._key: str | None = None
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._refusals = 0
        self._refusal: KeyringUnavailable | None = None
        self._ask_keyring_at = 0.0

    async def connect(self) -> AsyncClient:
        """Return a client with the present key.

        Raises:
            ConfigurationError: there is no key, or it can't be read.
        """
        async with self._asking:  # one dialog, not one for each that wants to connect
            key = await self._find_key()
            if self._client is None or key != self._key:
                await self.close()
                self._client, self._key = AsyncClient(key, url=self._config.url, limiter=self._limits), key
            return self._client

    def ask_again(self) -> None:
        """Ask the keyring with the next call, because a person has asked to go on."""
        self._refusals, self._refusal = 0, None

    async def _find_key(self) -> str:
        try:
            key = await asyncio.to_thread(named_key, self._config) or await self._keyring_key()
            key = key or await asyncio.to_thread(filed_key)
        except ConfigError as error:
            raise ConfigurationError(str(error)) from None
        if key:
            return key
        if self._refusal is None:
            raise ConfigurationError("There is no API key for Speechmatics.")
        if self._key is not None:
            return self._key  # known from before the keyring was locked
        raise KeyringHoldsKey(self._refusal)

    async def _keyring_key(self) -> str | None:
        """Ask the keyring, unless it refused not long ago."""
        if self._refusal is not None and self._monotonic() < self._ask_keyring_at:
            return None
        try:
            key = await asyncio.to_thread(keyring_key, self._config)  # it may take its time
        except KeyringUnavailable as error:
            delay = min(_FIRST_ASKING * 2**self._refusals, _LONGEST_ASKING)
            self._refusals, self._refusal = min(self._refusals + 1, 20), error
            self._ask_keyring_at = self._monotonic() + delay
            return None
        self.ask_again()
        return key

    def configure(self, config: Config) -> None:
        """Look for the key where a changed config says; the address stays what it was until a restart."""
        self._config = msgspec.structs.replace(config.speechmatics, url=self._config.url)
        self.ask_again()

    def in_use(self, *, busy: bool) -> None:
        """Do nothing: the cloud needs no starting or stopping."""

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def local_account(server: LocalServer) -> Account:
    """The account at the server that Dropscribe runs itself."""
    return Account(
        engine=Engine.LOCAL,
        name="local",
        connector=server,
        max_uploads=2,
        max_running=_LOCAL_RUNNING,
        settle_listing=_LOCAL_LISTING,
        upload_limit=4_000_000_000,
        delete_after_download=True,
        any_key=True,
        tells_progress=True,
    )


def cloud_account(config: Config, connector: CloudConnector) -> Account:
    """The account at Speechmatics, or at the on-prem box that the config names."""
    return Account(
        engine=Engine.SPEECHMATICS,
        name=f"speechmatics {config.speechmatics.url}",
        connector=connector,
        url=config.speechmatics.url,
        max_uploads=config.speechmatics.max_uploads,
        settle_listing=config.speechmatics.settle_listing,
        delete_after_download=config.speechmatics.delete_after_download,
        ask_again=connector.ask_again,
    )
