"""What every test may ask for.

Generated examples are the same in each run, and may take their time: a test that fails says something about the change
at hand, and not about luck or the machine. `pytest --hypothesis-profile=explore` looks for new ones.
"""

import signal

import keyring
import keyring.backends.null
import pytest
import structlog
from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile("same")
# No test reads the developer's own keyring, nor a keyring class of another test, which keyring would choose by itself.
keyring.set_keyring(keyring.backends.null.Keyring())


def _give_child_processes_default_signals():
    """Let programs that tests start react to Ctrl-C and hang-ups, even if pytest itself must ignore them.

    A shell starts background jobs with SIGINT ignored, and `nohup` ignores SIGHUP; children inherit both. A handler
    that does nothing keeps pytest unaffected, and is replaced by the default in each program that it starts.
    """
    for name in ("SIGINT", "SIGQUIT", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


_give_child_processes_default_signals()


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
