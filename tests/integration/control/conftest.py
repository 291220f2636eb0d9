"""A running control API for the tests of this package."""

import pytest

from service.control.client import ControlClient
from tests.support.dashboard import Running


@pytest.fixture
def running(tmp_path):
    with Running.start(tmp_path) as running:
        yield running


@pytest.fixture
def client(running):
    found = ControlClient.from_state(running.paths)
    assert found is not None
    return found
