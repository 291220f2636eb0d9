"""A ``concurrent.futures.Executor`` with one child process that can be released, killed and replaced.

Why not ``ProcessPoolExecutor``: its workers outlive a parent that was killed (they hold both ends of their queue),
killing one breaks the whole pool, and its queues keep a helper process (the resource tracker) in memory even while
idle. Here the child reads its calls from standard input, so it ends with its parent on every platform, and killing it
fails only the call that it was running.
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
    """The worker process ended before its call was finished.

    Attributes:
        exit_status: As in ``subprocess``: negative if a signal killed the process; ``None`` if there was no process.
        last_words: The last line that it wrote to standard error, such as the end of a traceback.
    """

    def __init__(self, exit_status: int | None, last_words: str = "") -> None:
        super().__init__(f"the worker process ended with exit status {exit_status}")
        self.exit_status = exit_status
        self.last_words = last_words

    def __reduce__(self) -> tuple[type["WorkerDied"], tuple[int | None, str]]:
        """Pickle the arguments, not the message made from them."""
        return type(self), (self.exit_status, self.last_words)


class _Abandoned(Exception):
    """The call was abandoned before the child received it."""


class _Call(NamedTuple):
    future: Future[Any]
    message: bytes
    on_report: Callable[[Any], None] | None


class WorkerExecutor(Executor):
    """Runs calls one after the other in a child process, which is started when first needed.

    Functions must be importable by name, and arguments and results picklable. If the child dies, only its current call
    fails; the calls behind it run in a new child.

    Args:
        environment: Additional environment variables for the child.
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
        """The child's process id, if there is a child."""
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
        """End the child process if it is idle; the next call starts a new one."""
        with self._lock:
            self._release_wanted = True
            self._wake.notify()

    def kill(self) -> None:
        """Kill the child process; its current call fails with ``WorkerDied``."""
        with self._lock:
            self._kill()

    def abandon(self, future: "Future[Any]") -> None:
        """Stop a call.

        A call that has not begun is cancelled; one that has, or is just about to, fails with ``WorkerDied``; a finished
        one stays as it is.
        """
        with self._lock:
            if not future.cancel() and not future.done():
                self._kill()

    def _kill(self) -> None:
        self._abandoned = self._current  # which the child may not have received yet
        if self._process is not None:
            self._condemned = True
            self._process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - Executor's
        """Accept no more calls; see ``concurrent.futures.Executor``."""
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
        """Pass calls to the child; ends, with the child, when released or shut down."""
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
        except BaseException as error:  # noqa: BLE001 - it is reported through the future
            self._bury()
            future.set_exception(error)
        else:
            if succeeded:
                future.set_result(value)
            else:
                future.set_exception(value)

    def _child(self, future: "Future[Any]") -> subprocess.Popen[bytes]:
        """Return the child for a call; start one if none is running."""
        with self._lock:
            if future is self._abandoned:
                raise _Abandoned
            if self._process is not None and (self._condemned or self._process.poll() is not None):
                _end(self._process)
                self._process = None
            self._condemned = False
            if self._process is None:
                # With -P and a working directory of our own, no file in the user's folder runs as code.
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
    """Return the child's environment; an empty entry in PYTHONPATH would mean its working directory."""
    environment = {**os.environ, **more}
    if "PYTHONPATH" in environment:
        named = [str(Path(entry).absolute()) for entry in environment["PYTHONPATH"].split(os.pathsep) if entry]
        environment["PYTHONPATH"] = os.pathsep.join(named)
    return environment


def _end(process: subprocess.Popen[bytes]) -> int:
    """Close a child's pipes, which makes it end, and wait for it."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        return process.wait(_SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
