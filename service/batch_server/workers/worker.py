"""The worker process: takes calls from standard input and answers on standard output, until its input ends.

Input ends when the parent closes it or dies, by whatever cause; a thread watches for that even while a call
is busy, so no worker outlives its server.
"""

import contextlib
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from typing import IO, Final

from service.batch_server.recognition import reports
from service.batch_server.recognition.messages import RecognitionFailed
from service.batch_server.workers import pipe

# A little politeness towards whatever the person at the machine is doing; the kernel still gives a worker all
# cores that are idle.
_NICENESS: Final = 5


def _listen(source: IO[bytes], calls: "queue.SimpleQueue[bytes]") -> None:
    """Pass calls on; the end of the input ends the process, whatever it is doing."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            calls.put(pipe.read(source))
    os._exit(0)


def _perform(call: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(call)  # noqa: S301 - from our own parent
        return pickle.dumps((True, function(*args, **kwargs)))
    except BaseException as error:  # noqa: BLE001 - every failure belongs to whoever called
        if not isinstance(error, RecognitionFailed):  # a mistake of ours: the caller logs what is written here
            traceback.print_exc()
        try:
            return pickle.dumps((False, error))
        except Exception:  # noqa: BLE001 - an exception that can't travel is told in words
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def main() -> None:
    """Answer calls until standard input ends."""
    # Ctrl-C in a terminal reaches the whole group; stopping is the parent's business.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(_NICENESS)
    # Whatever a library prints must not end up between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, calls), name="listen", daemon=True).start()
    reports.listen(lambda report: pipe.write(answers, pickle.dumps((pipe.REPORT, report))))
    while True:
        pipe.write(answers, _perform(calls.get()))


if __name__ == "__main__":
    main()
