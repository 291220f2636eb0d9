"""Which fault strikes which request: the fault server's script."""

import random
import time
from typing import Literal

import msgspec

FaultKind = Literal[
    "early",
    "deaf",
    "interim",
    "reset_before",
    "reset_midbody",
    "status",
    "redirect",
    "hang_before",
    "lose_answer",
    "hang",
    "error_after",
    "truncate",
    "broken_json",
    "html_after",
    "delay",
    "reject",
]
Endpoint = Literal["any", "post", "get", "list", "job", "transcript", "log", "usage", "delete"]

UNPROCESSED = frozenset({"status", "redirect", "hang_before"})
"""Faults that strike when the request has been read, and keep it from being carried out."""


class Fault(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A fault, and when it strikes. See `tests.support.fault_server` for the kinds."""

    kind: FaultKind
    on: Endpoint = "any"
    times: int | None = 1
    skip: int = 0
    probability: float = 1.0
    lasts: float | None = None
    status: int = 503
    error: str | None = None
    detail: str | None = None
    html: bool = False
    retry_after: str | None = None
    seconds: float = 0.0
    abrupt: bool = False
    head: str = ""
    location: str = "http://127.0.0.1:9/elsewhere"


class _Armed:
    def __init__(self, fault):
        self.fault = fault
        self.seen = 0
        self.struck = 0
        self.first = None


class Script:
    """Faults in the order in which they are asked; the first that matches strikes. Seeded, so it can be repeated."""

    def __init__(self, faults=(), seed=0):
        self._armed = [_Armed(fault) for fault in faults]
        self._random = random.Random(seed)

    def add(self, *faults):
        self._armed.extend(_Armed(fault) for fault in faults)

    def clear(self):
        self._armed.clear()

    def choose(self, endpoint):
        """The fault that strikes a request to this endpoint, or None."""
        for armed in self._armed:
            if _matches(armed.fault.on, endpoint) and self._strikes(armed):
                return armed.fault
        return None

    def _strikes(self, armed):
        fault = armed.fault
        armed.seen += 1
        if armed.seen <= fault.skip or (fault.times is not None and armed.struck >= fault.times):
            return False
        if fault.lasts is not None:
            armed.first = armed.first or time.monotonic()
            if time.monotonic() - armed.first > fault.lasts:
                return False
        if self._random.random() >= fault.probability:
            return False
        armed.struck += 1
        return True


def _matches(wanted, endpoint):
    return wanted in {"any", endpoint} or (wanted == "get" and endpoint not in {"post", "delete"})
