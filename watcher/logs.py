"""Logs through structlog: for people on a terminal, JSON lines otherwise."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, TextIO

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor

__all__ = ["configure", "get_logger"]

_TRACEBACKS = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
"""Tracebacks as data, without the frames' variables: they may hold a key."""


def configure(*, verbose: int = 0, quiet: bool = False, stream: TextIO | None = None) -> None:
    """Set up logging for the whole process.

    Args:
        verbose: 0 shows what a person wants to know, 1 and more adds what a developer does.
        quiet: for a command that prints what happens itself: without `verbose`, only errors of the program are logged.
        stream: where to; standard error by default.
    """
    out = stream or sys.stderr
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if out.isatty() else "iso", utc=not out.isatty()),
    ]
    if out.isatty():
        processors += [] if verbose else [_for_people]
        processors += [
            structlog.dev.ConsoleRenderer(
                pad_event_to=0,
                pad_level=False,
                colors=not os.environ.get("NO_COLOR"),
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    else:
        processors += [
            structlog.processors.ExceptionRenderer(_TRACEBACKS),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ]
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )


def _for_people(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Leave out what only a developer asks for: the part of the program, and that nothing is wrong."""
    line.pop("part", None)
    if line.get("level") == "info":
        del line["level"]
    for key, value in line.items():
        if isinstance(value, list):
            line[key] = ", ".join(map(str, value))
    return line


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger whose lines carry `name` as their `part`."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
