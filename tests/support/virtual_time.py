"""An event loop on virtual time: instead of waiting for a timer, it moves its clock to that timer."""

import asyncio
import selectors
from concurrent.futures import Executor, Future

START = 1_800_000_000.0


class _NoWait(selectors.DefaultSelector):
    """Never blocks; moves the loop's clock on by the time that it would have waited."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("every task waits for something that never happens")
            self.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes only while all tasks wait. It must have no threads."""

    def __init__(self):
        self._no_wait = _NoWait()
        super().__init__(self._no_wait)

    def time(self):
        return self._no_wait.now


class VirtualClock:
    """The `watcher.clock.Clock` of a virtual loop."""

    def __init__(self, loop):
        self._loop = loop

    def now(self):
        return START + self._loop.time()

    def monotonic(self):
        return self._loop.time()


class InlineExecutor(Executor):
    """Runs each call at once, on the thread of the caller."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - the caller gets it from the future
            future.set_exception(error)
        return future


async def inline(function, /, *args, **kwargs):
    """Call a function on this thread, where `asyncio.to_thread` would use another."""
    return function(*args, **kwargs)


def run_virtually(work):
    """Run `work(clock)` to its end on virtual time; return its result and the virtual seconds that it took."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        return runner.run(work(VirtualClock(loop))), loop.time()
