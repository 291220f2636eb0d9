"""What a running call reports about its progress: from a worker process to the caller.

A call reports with `send`. In a worker process the reports travel to whoever submitted the call; anywhere else, and on
a cluster's workers, nobody listens and they are dropped.
"""

from collections.abc import Callable
from typing import Any

_listeners: list[Callable[[Any], None]] = []


def listen(listener: Callable[[Any], None]) -> None:
    """Pass every report of this process on from now on."""
    _listeners.append(listener)


def send(report: Any) -> None:  # noqa: ANN401 - whatever can be pickled
    """Report progress; cheap, and never an error of the call."""
    for listener in _listeners:
        listener(report)
