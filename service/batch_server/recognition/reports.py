"""Progress reports of a running call: from a worker process to the caller.

A call reports with `send`. In a worker process the reports travel to the process that submitted the call. Everywhere
else, and on a cluster's workers, there is no listener and they are dropped.
"""

from collections.abc import Callable
from typing import Any

_listeners: list[Callable[[Any], None]] = []


def listen(listener: Callable[[Any], None]) -> None:
    """Pass every later report of this process to ``listener``."""
    _listeners.append(listener)


def send(report: Any) -> None:  # noqa: ANN401 - whatever can be pickled
    """Report progress."""
    for listener in _listeners:
        listener(report)
