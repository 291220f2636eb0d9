"""What every test may ask for."""

import pytest
import structlog


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    """What one test configures of logging is no other test's business."""
    yield
    structlog.reset_defaults()
