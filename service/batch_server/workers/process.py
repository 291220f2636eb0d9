"""A ``concurrent.futures.Executor`` with one child process that can be let go, killed and replaced.

Why not ``ProcessPoolExecutor``: its workers outlive a parent that was killed (they hold both ends of their
queue), one that has to be stopped takes the whole pool with it, and its queues keep a helper process (the
resource tracker) in memory even while nothing is to be done. Here the child reads its work from standard
input, so it ends with its parent on every platform, and killing it fails exactly the call it was busy with.
"""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

from service.batch_server.workers import pipe
from service.batch_server.workers.error_output import ErrorOutput

P = ParamSpec("P")
T = TypeVar("T")

_SHUTDOWN_SECONDS: Final = 5.0


class WorkerDied(Exception):
    """The worker process ended before it had answered.

    Attributes:
        exit_status: As ``subprocess`` gives it: negative for the signal that killed the process.
        last_words: The last line that it wrote to standard error, e.g. of a traceback.
    """

    def __init__(self, exit_status: int | None, last_words: str = "") -> None:
        super().__init__(f"the worker process ended with exit status {exit_status}")
        self.exit_status = exit_status
        self.last_words = last_words

    def __reduce__(self) -> tuple[type["WorkerDied"], tuple[int | None, str]]:
        """Travel between processes with what it was made of, not with the sentence made of it."""
        return type(self), (self.exit_status, self.last_words)


class _Abandoned(Exception):
    """The call was abandoned before the child had it."""


class _Call(NamedTuple):
    future: Future[Any]
    message: bytes
    on_report: Callable[[Any], None] | None


class WorkerExecutor(Executor):
    """Runs calls, one after the other, in a process of its own, which is started when first needed.

    The functions must be importable by name in the child, and arguments and results picklable. A child that
    dies fails the call that it was busy with; the calls that wait behind it run in a new child.

    Args:
        environment: Variables to set for the child, beside this process's own.
    """

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self._environment = environment or {}
        self._lock = threading.Lock()
        self._calls: deque[_Call] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: ErrorOutput | None = None
        self._thread: threading.Thread | None = None
        self._wake = threading.Condition(self._lock)
        self._closed = False
        self._release_wanted = False
        self._current: Future[Any] | None = None
        self._abandoned: Future[Any] | None = None
        self._condemned = False

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        process = self._process
        return process.pid if process is not None else None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedule a call in the child process; see ``concurrent.futures.Executor``."""
        return self.submit_reporting(None, fn, *args, **kwargs)

    def submit_reporting(
        self, on_report: Callable[[Any], None] | None, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Schedule a call like ``submit``; its reports (see ``recognition.reports``) go to ``on_report``."""
        future: Future[T] = Future()
        call = pickle.dumps((fn, args, kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new calls after shutdown")
            self._calls.append(_Call(future, call, on_report))
            self._release_wanted = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="recognition", daemon=True)
                self._thread.start()
            self._wake.notify()
        return future

    def release(self) -> None:
        """Let the child process go if it has nothing to do; the next call starts a new one."""
        with self._lock:
            self._release_wanted = True
            self._wake.notify()

    def kill(self) -> None:
        """End the child process at once; the call that it is busy with fails with ``WorkerDied``."""
        with self._lock:
            self._kill()

    def abandon(self, future: "Future[Any]") -> None:
        """Stop working on a call, whatever it takes.

        A call that still waits is cancelled; one that has begun, or is just about to, fails with ``WorkerDied``; one
        that was answered stays as it is.
        """
        with self._lock:
            if not future.cancel() and not future.done():
                self._kill()

    def _kill(self) -> None:
        self._abandoned = self._current  # which the child may not have yet
        if self._process is not None:
            self._condemned = True
            self._process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - Executor's
        """Take no more calls; see ``concurrent.futures.Executor``."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                for call in self._calls:
                    call.future.cancel()
            self._wake.notify()
            thread = self._thread
        if wait and thread is not None:
            thread.join()

    def _serve(self) -> None:
        """Feed calls to the child; ends, with the child, when there is nothing more to do."""
        while True:
            with self._lock:
                while not self._calls and not self._closed and not self._release_wanted:
                    self._wake.wait()
                if not self._calls:
                    process, self._process = self._process, None
                    self._thread = None
                    self._release_wanted = False
                    break
                call = self._calls.popleft()
                self._current = call.future
            if call.future.set_running_or_notify_cancel():
                self._answer(call)
        if process is not None:
            _end(process)

    def _answer(self, call: "_Call") -> None:
        future = call.future
        try:
            process = self._child(future)
            pipe.write(process.stdin, call.message)  # type: ignore[arg-type] # both are pipes
            while True:
                succeeded, value = pickle.loads(pipe.read(process.stdout))  # type: ignore[arg-type] # noqa: S301 - our own child
                if succeeded != pipe.REPORT:
                    break
                if call.on_report is not None:
                    call.on_report(value)
        except (_Abandoned, OSError, EOFError, pickle.UnpicklingError):
            status = self._bury()
            future.set_exception(WorkerDied(status, self._errors.last_line() if self._errors is not None else ""))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the future must hear of it
            self._bury()
            future.set_exception(error)
        else:
            if succeeded:
                future.set_result(value)
            else:
                future.set_exception(value)

    def _child(self, future: "Future[Any]") -> subprocess.Popen[bytes]:
        """Return the child for a call, starting one if there is none that lives."""
        with self._lock:
            if future is self._abandoned:
                raise _Abandoned
            if self._process is not None and (self._condemned or self._process.poll() is not None):
                _end(self._process)
                self._process = None
            self._condemned = False
            if self._process is None:
                # Neither -P nor a working directory of ours lets a file in the user's folder run as code.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-X", "faulthandler", "-m", "service.batch_server.workers.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=sys.prefix,
                    env=_environment(self._environment),
                )
                self._errors = ErrorOutput(self._process)
            return self._process

    def _bury(self) -> int | None:
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        return _end(process)


def _environment(more: dict[str, str]) -> dict[str, str]:
    """Return the child's environment; an empty entry of PYTHONPATH would mean its working directory."""
    environment = {**os.environ, **more}
    if "PYTHONPATH" in environment:
        named = [str(Path(entry).absolute()) for entry in environment["PYTHONPATH"].split(os.pathsep) if entry]
        environment["PYTHONPATH"] = os.pathsep.join(named)
    return environment


def _end(process: subprocess.Popen[bytes]) -> int:
    """Close the pipes of a child, which tells it to end, and wait for it."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        return process.wait(_SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
