"""A daemon whose API key changes while it runs."""

import contextlib

from watcher.speechmatics import AsyncClient, RetryPolicy, Timeouts

PROJECTS = {"old": "ours", "rotated": "ours", "other": "another"}
"""The fault server's `projects`: a key, another one of the same project, and one of another project."""


class Keyring:
    """A connector whose key can be changed while the daemon runs, as `CloudConnector` takes it from the keyring."""

    def __init__(self, server, key, *, any_key=False):
        self.key = key
        self.any_key = any_key
        self._server = server
        self._clients = {}

    async def connect(self):
        if self.key not in self._clients:
            retry = RetryPolicy(attempts=1)
            self._clients[self.key] = AsyncClient(
                self.key, url=self._server.url, retry=retry, timeouts=Timeouts(connect=2.0, read=5.0, answer=5.0)
            )
        return self._clients[self.key]

    def in_use(self, *, busy):
        pass

    async def close(self):
        for client in self._clients.values():
            await client.close()


@contextlib.asynccontextmanager
async def daemon_with(it, key, *, any_key=False):
    """Run the bench's daemon with this key; gives the keyring."""
    keyring = Keyring(it.server, key)
    with_one_client = it.daemon

    def daemon(client, **more):
        made = with_one_client(client, **more)
        it.account.connector = keyring
        it.account.any_key = any_key
        return made

    it.daemon = daemon
    try:
        async with it.running() as control:
            keyring.control = control
            yield keyring
    finally:
        it.daemon = with_one_client
        await keyring.close()
