"""The worker process: reads calls from standard input and writes results to standard output, until its input ends.

The input ends when the parent closes it or dies for any reason. A thread watches for that even during a call, so no
worker outlives its server.
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

# The programs that people work with come first; the kernel still gives a worker all idle cores.
_NICENESS: Final = 5


def _listen(source: IO[bytes], calls: "queue.SimpleQueue[bytes]") -> None:
    """Queue incoming calls; when the input ends, end the process, even during a call."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            calls.put(pipe.read(source))
    os._exit(0)


def _perform(call: bytes) -> bytes:
    try:
        function, args, kwargs = pickle.loads(call)  # noqa: S301 - from our own parent
        return pickle.dumps((True, function(*args, **kwargs)))
    except BaseException as error:  # noqa: BLE001 - every failure is reported to the caller
        if not isinstance(error, RecognitionFailed):  # a bug of ours: the parent logs standard error
            traceback.print_exc()
        try:
            return pickle.dumps((False, error))
        except Exception:  # noqa: BLE001 - an exception that can't be pickled
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def main() -> None:
    """Run calls until standard input ends."""
    # Ctrl-C in a terminal reaches the whole process group; only the parent reacts to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(_NICENESS)
    # What a library prints must not get between the results.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, calls), name="listen", daemon=True).start()
    reports.listen(lambda report: pipe.write(answers, pickle.dumps((pipe.REPORT, report))))
    while True:
        pipe.write(answers, _perform(calls.get()))


if __name__ == "__main__":
    main()
