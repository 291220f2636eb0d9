"""A recording leaves only while the config says so: what is withdrawn during an upload cuts it off at once."""

import asyncio
import contextlib
import shutil

import msgspec
import pytest

from tests.support.daemon_bench import Bench, until
from tests.support.halfway_service import BUFFER, HalfwayService
from tests.support.sounds import noise, write_wav
from watcher import config as configs
from watcher.models import Engine, EntryState
from watcher.speechmatics import ConfigurationError

pytestmark = pytest.mark.anyio
S = EntryState
SAMPLES = 4_000_000
"""Of 2 bytes each: far more than all the buffers on the way hold."""
MOST_IN_BUFFERS = 8 * BUFFER
"""Bytes that had reached the service's machine already: its socket's buffer (twice what it asked for), and what its
stream reader reads ahead."""


class Running:
    """A daemon that is uploading `a.wav`, of which the service has read a part."""

    def __init__(self, bench, daemon, control):
        self.bench = bench
        self.daemon = daemon
        self.control = control
        self.path = bench.inbox / "a.wav"

    async def configure(self, **changed):
        folder = msgspec.structs.replace(self.bench.config().folders[0], **changed)
        await self.daemon.reconfigure(self.bench.config(folder))

    async def pause_all(self):
        await self.control.pause()

    async def pause_folder(self):
        await self.configure(paused=True)

    async def remove_folder(self):
        await self.daemon.reconfigure(msgspec.structs.replace(self.bench.config(), folders=()))

    async def choose_the_local_engine(self):
        await self.configure(engine=Engine.LOCAL)

    async def exclude_it(self):
        await self.configure(exclude=("a.*",))

    async def ignore_its_folder(self):
        (self.bench.inbox / ".dropscribe-ignore").touch()

    async def cancel(self):
        await self.control.cancel(self.bench.entry("a.wav").uid)

    async def delete_it(self):
        self.path.unlink()

    async def move_it_out(self):
        shutil.move(self.path, self.bench.inbox.parent / "private.wav")

    async def log_out(self):
        async def no_key():
            raise ConfigurationError("There is no API key for Speechmatics.")

        self.bench.account.connector.connect = no_key

    async def configure_another_address(self):
        cloud = configs.SpeechmaticsConfig(url="http://127.0.0.1:9/v2")
        await self.daemon.reconfigure(msgspec.structs.replace(self.bench.config(), speechmatics=cloud))


WITHDRAWALS = {
    Running.pause_all: (S.WAITING, "stopped"),
    Running.pause_folder: (S.WAITING, "paused"),
    Running.remove_folder: (S.CANCELLED, "not watched"),
    Running.choose_the_local_engine: (S.WAITING, "engine is local"),
    Running.exclude_it: (S.CANCELLED, "exclude"),
    Running.ignore_its_folder: (S.CANCELLED, ".dropscribe-ignore"),
    Running.cancel: (S.CANCELLED, "You cancelled it"),
    Running.delete_it: (S.CANCELLED, "removed"),
    Running.move_it_out: (S.CANCELLED, "removed"),
    Running.log_out: (S.WAITING, "no API key"),
    Running.configure_another_address: (S.WAITING, "nothing more is sent to"),
}


def write_noise(path):
    write_wav(path, noise(SAMPLES))


@contextlib.asynccontextmanager
async def uploading(tmp_path):
    async with HalfwayService() as service:
        it = Bench(tmp_path, service, config={"speechmatics": configs.SpeechmaticsConfig(url=service.url)})
        it.account_settings["url"] = service.url
        write_noise(it.inbox / "a.wav")
        daemons = []
        build = it.daemon
        it.daemon = lambda client, **more: daemons.append(build(client, **more)) or daemons[-1]
        async with it.running() as control:
            await asyncio.wait_for(service.halfway.wait(), 60)
            yield Running(it, daemons[0], control), service


def last_change(it):
    entry = it.read(lambda ledger: ledger.once_at_path(it.inbox / "a.wav") or ledger.at_path(it.inbox / "a.wav"))
    return entry.state, entry.reason


@pytest.mark.parametrize("withdraw", WITHDRAWALS, ids=lambda withdraw: withdraw.__name__)
async def test_withdrawal_in_the_middle_of_an_upload_cuts_it_off(tmp_path, withdraw):
    state, reason = WITHDRAWALS[withdraw]
    async with uploading(tmp_path) as (running, service):
        at_withdrawal = service.received
        await withdraw(running)
        await until(lambda: last_change(running.bench)[0] is state)
        assert reason in last_change(running.bench)[1]
        service.go_on.set()
        await asyncio.wait_for(service.over.wait(), 60)
        after = service.received - at_withdrawal
        assert after <= MOST_IN_BUFFERS
        assert not service.jobs
        # `cancel` is in the ledger before its upload has ended.
        await until(lambda: running.bench.read(lambda ledger: ledger.latest_attempt(1)).state == "REFUSED")


async def test_an_upload_that_nothing_forbids_goes_on(tmp_path):
    async with uploading(tmp_path) as (running, service):
        await running.configure(formats=("txt",))
        service.go_on.set()
        await until(lambda: service.jobs)
        assert service.received == service.expected
        await until(lambda: running.bench.state_of("a.wav") is S.SUBMITTED)


@pytest.mark.parametrize("moment", ["before commit: arm", "after commit: arm"])
async def test_withdrawal_while_the_tail_is_about_to_go_keeps_it_back(bench, moment):
    async with bench() as it:
        it.record("a.wav")
        daemons = []
        build = it.daemon
        it.daemon = lambda client, **more: daemons.append(build(client, **more)) or daemons[-1]

        def checkpoint(name):
            if name == moment:
                daemons[0].settings.replace(msgspec.structs.replace(it.config(), folders=()))

        async with it.running(checkpoint=checkpoint):
            await until(lambda: it.server.aborted)
            await until(lambda: not it.read(lambda ledger: ledger.in_state(S.SUBMITTING)))
        assert not it.server.jobs


async def test_what_was_withdrawn_leaves_after_all_once_it_may(tmp_path):
    async with uploading(tmp_path) as (running, service):
        await running.pause_all()
        await until(lambda: running.bench.state_of("a.wav") is S.WAITING)
        service.go_on.set()
        await asyncio.wait_for(service.over.wait(), 60)
        service.received = 0
        await running.control.resume()
        await until(lambda: running.bench.state_of("a.wav") is S.SUBMITTED)
        assert len(service.jobs) == 1
