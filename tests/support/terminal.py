"""A program on a terminal of its own, as a person has it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
from typing import TYPE_CHECKING

import psutil

from tests.support.waiting import PATIENCE, has_ended, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROWS, COLUMNS = 24, 110
INTERRUPT = b"\x03"
"""What Ctrl-C sends."""


class Terminal:
    """The person's side of a terminal on which a program runs."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], *, stdout: int | None = None) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            env=dict(environment),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - the parent holds no locks
        )
        os.close(slave)
        self._drawn = b""
        self._reader = threading.Thread(target=self._read, name="terminal")
        self._reader.start()
        self._is_open = True

    @property
    def drawn(self) -> str:
        """Everything that was written to the terminal so far, control sequences included."""
        return self._drawn.decode("utf-8", "replace")

    def shows(self, *texts: str) -> None:
        """Wait until one of the texts was drawn; it may be gone again."""
        until(lambda: any(text in self.drawn for text in texts) or self.process.poll() is not None, lambda: self.drawn)
        assert any(text in self.drawn for text in texts), self.drawn

    def press(self, key: bytes) -> None:
        """Type a key."""
        os.write(self._master, key)

    def family(self) -> list[psutil.Process]:
        """The processes that the program has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def ended(self, family: Sequence[psutil.Process] = ()) -> int:
        """Wait for the program's end, and its family's; returns its exit status."""
        status = self.process.wait(PATIENCE)
        until(lambda: all(has_ended(each) for each in family), "the program's children to end")
        return status

    def hang_up(self) -> None:
        """Close the terminal's window."""
        if self._is_open:
            self._is_open = False
            os.close(self._master)

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE)
        self.hang_up()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end was closed
            while data := os.read(self._master, 65536):
                self._drawn += data


@contextlib.contextmanager
def on_terminal(
    command: Sequence[str], environment: Mapping[str, str], *, stdout: int | None = None
) -> Iterator[Terminal]:
    """Run a program on a terminal; what still runs at the end is killed."""
    terminal = Terminal(command, environment, stdout=stdout)
    try:
        yield terminal
    finally:
        terminal.close()
