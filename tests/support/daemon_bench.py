"""The real daemon on real folders, in the test's own process, against a `FaultServer`."""

import asyncio
import contextlib
import random
from pathlib import Path

from tests.support.fault_server import FaultServer
from tests.support.promises import assert_promises, fingerprints
from tests.support.sounds import write_recording
from tests.support.waiting import reached as until
from watcher.config import Config, FolderConfig
from watcher.daemon import Daemon
from watcher.ledger import LedgerReader, connect_readonly
from watcher.models import Engine, EntryState
from watcher.runtime import Runtime
from watcher.scheduler import Account
from watcher.speechmatics import AsyncClient, RetryPolicy, Timeouts
from watcher.timings import RetryDelays, SchedulerTimings, Timings

FAST = Timings(
    retry=RetryDelays(first=0.05, offline=0.05, output=0.1, concurrency=0.1),
    scheduler=SchedulerTimings(list_error=0.1, requeue=0.05, lost_jobs=0.05, lost_jobs_idle=0.2),
    once_incomplete=0.5,
    baseline=0.05,
)
"""Short pauses, so that a test need not wait as long as a person would."""


class Connector:
    """Gives one client."""

    def __init__(self, client):
        self.client = client

    async def connect(self):
        return self.client

    def in_use(self, *, busy):
        pass


def quick_client(url, *, key="key", answer=1.0):
    """A client that gives up soon."""
    patience = RetryPolicy(attempts=3, base=0.01, longest=0.05)
    return AsyncClient(key, url=url, timeouts=Timeouts(connect=2, write=2, read=2, answer=answer), retry=patience)


class Bench:
    """A state directory, a watch folder and a server; `run` runs daemons on them, one after the other.

    Args:
        root: an empty directory.
        server: the fault server.
        settings: of the one watch folder.
        account: other arguments of `Account`.
    """

    def __init__(self, root, server, *, account=None, config=None, **settings):
        self.server = server
        self.inbox = root / "inbox"
        self.inbox.mkdir(exist_ok=True)
        self.state = root / "state"
        self.folder = {"settle": 0.0, **settings}
        self.account_settings = {"settle_listing": 0.3, **(account or {})}
        self.config_settings = config or {}
        self.account = None

    @property
    def ledger(self):
        return self.state / "ledger.sqlite3"

    def record(self, name, seed=None):
        """Put a recording into the watch folder."""
        return write_recording(self.inbox / name, name if seed is None else seed)

    def config(self, *folders):
        folders = folders or (FolderConfig(path=str(self.inbox), **self.folder),)
        return Config(engine=Engine.SPEECHMATICS, state_dir=str(self.state), folders=folders, **self.config_settings)

    def daemon(self, client, *, config=None, runtime=None, **more):
        self.account = Account(Engine.SPEECHMATICS, "speechmatics", Connector(client), **self.account_settings)
        runtime = Runtime(**{"rng": random.Random(1), "timings": FAST, **(runtime or {})})
        return Daemon(config or self.config(), [self.account], runtime=runtime, **more)

    async def run(self, *, timeout=100.0, **more):  # noqa: ASYNC109 - a test's deadline
        """Run a daemon until all that is there has come to its end."""
        async with quick_client(self.server.url) as client, asyncio.timeout(timeout):
            await self.daemon(client, **more).run(once=True)

    @contextlib.asynccontextmanager
    async def running(self, **more):
        """Run a daemon until the block ends; gives its control."""
        async with quick_client(self.server.url) as client:
            daemon = self.daemon(client, **more)
            task = asyncio.create_task(daemon.run())
            ready = asyncio.create_task(daemon.ready())
            try:
                await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
                if task.done():
                    task.result()
                yield ready.result()
            finally:
                task.cancel()
                ready.cancel()
                await asyncio.gather(task, ready, return_exceptions=True)

    def as_an_upload_begins(self, name, work):
        """Have something done once, after the first look at what forbids this upload and before the last."""
        connector = self.account.connector
        connect = connector.connect

        async def work_first():
            if self.state_of(name) is EntryState.SUBMITTING:
                connector.connect = connect
                await work()
            return await connect()

        connector.connect = work_first

    @contextlib.contextmanager
    def elsewhere(self):
        """Daemons that are started meanwhile have another account."""
        there = self.daemon

        def daemon(client, **more):
            made = there(client, **more)
            self.account.name = "speechmatics elsewhere"
            return made

        self.daemon = daemon
        try:
            yield
        finally:
            del self.daemon

    def read(self, ask):
        """Ask the ledger, read-only."""
        connection = connect_readonly(self.ledger)
        try:
            return ask(LedgerReader(connection, self.ledger))
        finally:
            connection.close()

    def entry(self, name):
        """The entry of a recording in the watch folder, or None."""
        return self.read(lambda ledger: ledger.at_path(self.inbox / name)) if self.ledger.exists() else None

    def state_of(self, name):
        entry = self.entry(name)
        return entry.state if entry else None

    def reasons(self, name):
        """What the history of a recording says, oldest first."""
        entry = self.entry(name)
        return [change.reason for change in self.read(lambda ledger: ledger.history(entry.id))] if entry else []

    def text(self, name):
        return (self.inbox / name).read_text()

    def sources(self):
        return fingerprints(self.inbox)

    def assert_promises(self, sources, **more):
        assert_promises(self.server.jobs, self.ledger, sources=sources, **more)


__all__ = ["FAST", "Bench", "Connector", "FaultServer", "Path", "quick_client", "until", "write_recording"]
