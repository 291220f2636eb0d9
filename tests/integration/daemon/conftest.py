"""The real daemon with short delays, on real folders, against a server that fails on a script."""

import contextlib

import pytest

from tests.support.daemon_bench import Bench
from tests.support.fault_server import FaultServer


@pytest.fixture
def bench(tmp_path):
    """Make a bench: `async with bench(Fault(…), processing_time=…, folder={…}) as it:`."""

    @contextlib.asynccontextmanager
    async def make(*faults, folder=None, account=None, config=None, seed=0, **settings):
        async with FaultServer(*faults, seed=seed, **settings) as server:
            yield Bench(tmp_path, server, account=account, config=config, **(folder or {}))

    return make
