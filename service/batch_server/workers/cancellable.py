"""Calls on the workers of a cluster that can be stopped although they have begun.

A cluster takes back what has not begun, but can't stop a thread that works. So the work is done in a child process of
the cluster's worker, which looks now and then whether the result is still wanted, and ends the child if not. What says
so is a file: the server removes a recording's parts when nobody wants them any more.
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

_LOOK_SECONDS: Final = 0.5


class NoLongerWanted(Exception):
    """Nobody waits for the result."""


def run(purpose: Purpose, wanted: Path, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Make a call in a child process, for as long as its result is wanted.

    Args:
        purpose: Which child: the libraries that tell speakers apart must not meet those that recognise words.
        wanted: What is there only as long as the result is wanted.
        function: What to call; importable by name.
        args: Its arguments.
        kwargs: Its arguments by name.

    Raises:
        NoLongerWanted: If ``wanted`` is gone; the child is then ended, if it was busy with this.
        WorkerDied: If the child died.
        Exception: What the call raised.
    """
    if not wanted.exists():
        raise NoLongerWanted(str(wanted))
    executor = _child(purpose)
    call = executor.submit(function, *args, **kwargs)
    while wait([call], _LOOK_SECONDS).not_done:
        if not wanted.exists():
            executor.abandon(call)
            raise NoLongerWanted(str(wanted))
    return call.result()


@functools.cache
def _child(purpose: Purpose) -> WorkerExecutor:  # noqa: ARG001 - one for each
    """Give this worker's child for a purpose; it is started with its first call, and ends with the worker."""
    return WorkerExecutor()
