"""What every test may ask for.

Generated examples are the same in each run, and may take their time: a test that fails says something about the change
at hand, and not about luck or the machine. `pytest --hypothesis-profile=explore` looks for new ones.
"""

import pytest
import structlog
from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("same")


@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    """What one test configures of logging is no other test's business. Tracebacks are plain: others take seconds."""
    structlog.reset_defaults()
    *before, _renderer = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])
    yield
    structlog.reset_defaults()
