"""Signals that ask a program to stop: Ctrl-C, SIGTERM, and SIGHUP, which a terminal sends when it is closed."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["exit_status", "stop_signals"]

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def stop_signals(on_signal: Callable[[signal.Signals], object]) -> Iterator[None]:
    """Call `on_signal` in the running event loop for each signal that asks to stop, instead of ending the process.

    A signal that was ignored when the program was started stays ignored: `nohup` and a shell's `&` rely on it.
    """
    loop = asyncio.get_running_loop()
    wanted = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    handled = {number: before for number in wanted if (before := signal.getsignal(number)) is not signal.SIG_IGN}
    for number in handled:
        if sys.platform == "win32":
            signal.signal(number, lambda n, _frame: loop.call_soon_threadsafe(on_signal, signal.Signals(n)))
        else:
            loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number, before in handled.items():
            if sys.platform != "win32":
                loop.remove_signal_handler(number)
            signal.signal(number, before)


def exit_status(number: signal.Signals) -> int:
    """The exit status of a program that a signal has stopped, as shells report it: 130 for Ctrl-C."""
    return 128 + number
