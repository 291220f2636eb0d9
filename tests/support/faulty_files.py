"""A real file system on which chosen steps fail, happen and fail all the same, or are the process's last."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from watcher.transcripts.files import Files

STEPS = tuple(name for name, member in vars(Files).items() if callable(member) and not name.startswith("_"))


class Killed(BaseException):
    """The process ended here: from now on, no step happens any more."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong at a step: an errno, or death; before the step happened, or after it did."""

    error: int | None
    after: bool = False

    def raise_it(self) -> None:
        if self.error is None:
            raise Killed
        raise OSError(self.error, os.strerror(self.error))


Plan = Callable[[int, str], Fault | None]


class FaultyFiles(Files):
    """Asks `plan(number, step)` before each step what is to go wrong with it.

    Args:
        plan: says what fails.
        before: called with the same before each step; what other programs do meanwhile.
        no_links: the file system has no hard links.
        no_rename: it has no rename that doesn't replace, either.
    """

    def __init__(
        self,
        plan: Plan = lambda _number, _step: None,
        *,
        before: Callable[[int, str], None] = lambda _number, _step: None,
        no_links: bool = False,
        no_rename: bool = False,
    ) -> None:
        self.steps: list[str] = []
        self._plan = plan
        self._before = before
        self._refused = {"link": errno.EPERM} if no_links else {}
        self._refused |= {"rename_noreplace": errno.EINVAL} if no_rename else {}
        self._descriptors: set[int] = set()
        self._dead = False

    def take(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if self._dead:
            raise Killed
        number = len(self.steps)
        self.steps.append(name)
        self._before(number, name)
        fault = self._plan(number, name)
        try:
            if fault is not None and not fault.after:
                self._half_of(name, *args)
                fault.raise_it()
            if fault is not None:
                self._do_and_fail(fault, name, *args, **kwargs)
            return self._really(name, *args, **kwargs)
        except Killed:
            self._die()
            raise

    def _do_and_fail(self, fault: Fault, name: str, *args: Any, **kwargs: Any) -> None:
        with suppress(OSError):
            result = self._really(name, *args, **kwargs)
            if name in ("create", "open"):
                self._really("close", result)
        fault.raise_it()

    def _really(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name in self._refused:
            raise OSError(self._refused[name], os.strerror(self._refused[name]))
        result = getattr(Files, name)(self, *args, **kwargs)
        if name in ("create", "open"):
            self._descriptors.add(result)
        if name == "close":
            self._descriptors.discard(args[0])
        return result

    def _half_of(self, name: str, *args: Any) -> None:
        """A write that fails has often written a part; a close that fails has closed."""
        if name == "write":
            Files.write(self, args[0], args[1][: len(args[1]) // 2])
        if name == "close":
            self._really(name, *args)

    def _die(self) -> None:
        """The system closes what a dead process had open; its locks go with it."""
        self._dead = True
        for descriptor in self._descriptors:
            os.close(descriptor)


def _step(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: self.take(name, *args, **kwargs)


for _name in STEPS:
    setattr(FaultyFiles, _name, _step(_name))


def at(number: int, fault: Fault) -> Plan:
    """Only this one step goes wrong."""
    return lambda current, _step: fault if current == number else None


def from_then_on(number: int, fault: Fault) -> Plan:
    """This step and all that follow go wrong."""
    return lambda current, _step: fault if current >= number else None
