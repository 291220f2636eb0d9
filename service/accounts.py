"""The accounts of a config: the embedded server, and Speechmatics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from service.keys import find_key
from watcher.errors import ConfigError
from watcher.models import Engine
from watcher.scheduler import Account, RateLimits
from watcher.speechmatics import AsyncClient, ConfigurationError

if TYPE_CHECKING:
    from service.local_server import LocalServer
    from watcher.config import Config

__all__ = ["CloudConnector", "cloud_account", "local_account"]

_LOCAL_RUNNING = 8
"""Jobs that the local server holds at a time; the rest wait in the ledger, which costs no copy of their audio."""
_LOCAL_LISTING = 2.0
"""Seconds: the local server lists a job as soon as it is accepted."""


class CloudConnector:
    """Gives the client for Speechmatics, or an on-prem box. The key is looked for again when it is asked for."""

    def __init__(self, config: Config) -> None:
        self._config = config.speechmatics
        self._limits = RateLimits()
        self._client: AsyncClient | None = None
        self._key: str | None = None

    async def connect(self) -> AsyncClient:
        """Return a client with the present key.

        Raises:
            ConfigurationError: there is no key, or it can't be read.
        """
        try:
            key = await asyncio.to_thread(find_key, self._config)  # a keyring may take its time
        except ConfigError as error:
            raise ConfigurationError(str(error)) from None
        if not key:
            raise ConfigurationError("There is no API key for Speechmatics.")
        if self._client is None or key != self._key:
            await self.close()
            self._client, self._key = AsyncClient(key, url=self._config.url, limiter=self._limits), key
        return self._client

    def configure(self, config: Config) -> None:
        """Look for the key where a changed config says; the address stays what it was until a restart."""
        self._config = msgspec.structs.replace(config.speechmatics, url=self._config.url)

    def in_use(self, *, busy: bool) -> None:
        """Nothing has to be started or let go for the cloud."""

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
    )
