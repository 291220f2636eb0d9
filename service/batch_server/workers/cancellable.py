"""Makes calls on a cluster's workers that can be stopped after they have begun.

A cluster cancels calls that have not begun, but can't stop a running thread. So the call runs in a child process of the
cluster's worker, which regularly checks whether the result is still wanted, and kills the child if not. The sign for
that is a file: the server removes a recording's parts when they are no longer wanted.
"""

import functools
from collections.abc import Callable
from concurrent.futures import wait
from pathlib import Path
from typing import Final, Literal, ParamSpec, TypeVar

from service.batch_server.workers.process import WorkerExecutor

P = ParamSpec("P")
T = TypeVar("T")

Purpose = Literal["words", "speakers"]

_CHECK_SECONDS: Final = 0.5


class NoLongerWanted(Exception):
    """The result is no longer wanted."""


def run(purpose: Purpose, wanted: Path, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call in a child process, as long as its result is wanted.

    Args:
        purpose: Which child to use: the libraries for speakers and for words must not be loaded in one process.
        wanted: A path that exists only as long as the result is wanted.
        function: The function; importable by name.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Raises:
        NoLongerWanted: If ``wanted`` is gone; if the call had begun, the child is killed.
        WorkerDied: If the child died.
        Exception: What the call raised.
    """
    if not wanted.exists():
        raise NoLongerWanted(str(wanted))
    executor = _child(purpose)
    call = executor.submit(function, *args, **kwargs)
    while wait([call], _CHECK_SECONDS).not_done:
        if not wanted.exists():
            executor.abandon(call)
            raise NoLongerWanted(str(wanted))
    return call.result()


@functools.cache
def _child(purpose: Purpose) -> WorkerExecutor:  # noqa: ARG001 - one per purpose
    """Return this worker's child for a purpose; it starts with its first call, and ends with the worker."""
    return WorkerExecutor()
