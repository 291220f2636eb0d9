"""Where recognition runs: a process on this machine, or a Dask cluster.

Both are a ``concurrent.futures.Executor`` with the same calls behind it, and both cut a recording in the same
places, so they find the same words. The dispatcher knows only ``Backend``.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from service.batch_server.recognition import entrypoints, messages
from service.batch_server.workers import cancellable
from service.batch_server.workers.process import WorkerDied, WorkerExecutor

P = ParamSpec("P")
T = TypeVar("T")


OnProgress = Callable[[messages.Progress], None]


class Backend(Protocol):
    """Recognises one recording at a time."""

    @property
    def warm(self) -> bool:
        """Whether the model is loaded, or being loaded."""

    def warm_up(self) -> Future[None] | None:
        """Begin to load the model; returns how that ends, if it is known here."""

    async def recognise(self, work: messages.Task, on_progress: OnProgress) -> messages.Recognition:
        """Recognise a recording.

        Args:
            work: The recording.
            on_progress: Called with the progress, in the event loop's thread.

        Raises:
            WorkerDied: If the worker process died; trying again may help.
            RecognitionFailed: If trying again would not help.
        """

    def interrupt(self) -> None:
        """Make the recording that is being recognised fail with ``WorkerDied``."""

    def release(self) -> None:
        """Free the memory that is only needed for work."""

    async def close(self) -> None:
        """Stop at once."""


class LocalBackend:
    """Recognises in a worker process on this machine."""

    def __init__(self, model: messages.ModelSource) -> None:
        self._model = model
        self._executor = WorkerExecutor()
        # Finding speakers has its own process: it needs a gigabyte, which other jobs need not pay for, and its
        # libraries come with an OpenMP of their own, which must not be loaded beside the recogniser's.
        self._diarizer = WorkerExecutor()
        self._running: list[tuple[WorkerExecutor, Future[Any]]] = []

    @property
    def warm(self) -> bool:
        """Whether there is a worker process."""
        return self._executor.pid is not None

    def warm_up(self) -> Future[None] | None:
        """Begin to load the model in a worker process; the future fails if that fails."""
        return self._executor.submit(entrypoints.warm_up, self._model)

    async def recognise(self, work: messages.Task, on_progress: OnProgress) -> messages.Recognition:
        """Recognise words in one worker process and speakers in another, in parallel; see ``Backend``."""
        loop = asyncio.get_running_loop()

        def report(progress: messages.Progress) -> None:
            with contextlib.suppress(RuntimeError):  # the server has just stopped
                loop.call_soon_threadsafe(on_progress, progress)

        words = self._executor.submit_reporting(report, entrypoints.recognise, self._model, work)
        self._running = [(self._executor, words)]
        turns: Future[tuple[messages.SpeakerTurn, ...]] | None = None
        if work.speaker_sensitivity is not None:
            turns = self._diarizer.submit(entrypoints.diarize, work, self._model.threads)
            self._running.append((self._diarizer, turns))
        else:
            self._diarizer.release()
        try:
            await asyncio.gather(*(asyncio.wrap_future(call) for _, call in self._running))
        except asyncio.CancelledError:
            if not _being_cancelled():  # interrupted before a worker had begun
                raise WorkerDied(None) from None
            raise
        finally:
            self.interrupt()  # one result without the other is useless
            self._running = []
        found = words.result()
        return found if turns is None else found.spoken_by(turns.result())

    def interrupt(self) -> None:
        """Kill the worker processes, or cancel the calls that have not begun."""
        for executor, call in self._running:
            if not call.done():
                executor.abandon(call)

    def release(self) -> None:
        """End the worker processes once they are idle."""
        self._executor.release()
        self._diarizer.release()

    async def close(self) -> None:
        """Kill the worker processes and wait until they have ended."""
        for executor in (self._executor, self._diarizer):
            executor.shutdown(wait=False, cancel_futures=True)
            executor.kill()
        for executor in (self._executor, self._diarizer):
            await asyncio.to_thread(executor.shutdown)


class ClusterBackend:
    """Recognises on the workers of a cluster, the parts of a recording in parallel.

    Parts are handed over as files, so the workers must see the server's data folder under the same path.

    Args:
        executor: Runs calls on the cluster.
        model: The model to use.
        folder: Where parts are written, and removed again.
    """

    def __init__(self, executor: Executor, model: messages.ModelSource, folder: Path) -> None:
        self._executor = executor
        self._model = model
        self._folder = folder
        self._running: asyncio.Future[messages.Recognition] | None = None

    @property
    def warm(self) -> bool:
        """Always: a cluster's workers keep their model."""
        return True

    def warm_up(self) -> Future[None] | None:
        """Do nothing: a cluster's workers load the model with their first part."""
        return None

    async def recognise(self, work: messages.Task, on_progress: OnProgress) -> messages.Recognition:
        """Recognise a recording on the cluster; see ``Backend``. Progress counts the parts that are done."""
        self._running = asyncio.ensure_future(self._recognise(work, on_progress))
        try:
            return await self._running
        except asyncio.CancelledError:
            if self._running.cancelled() and not _being_cancelled():
                raise WorkerDied(None) from None
            raise
        finally:
            self._running = None

    async def _recognise(self, work: messages.Task, on_progress: OnProgress) -> messages.Recognition:
        folder = self._folder / work.audio.name
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        calls: list[asyncio.Future[Any]] = []

        def call(
            purpose: cancellable.Purpose, wanted: Path, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
        ) -> asyncio.Future[T]:
            started = self._executor.submit(cancellable.run, purpose, wanted, function, *args, **kwargs)
            calls.append(future := asyncio.wrap_future(started))
            return future

        async def part_words(part: messages.Part) -> messages.PartWords:
            return counted(await call("words", part.path, entrypoints.recognise_part, self._model, work, part))

        try:
            turns: asyncio.Future[tuple[messages.SpeakerTurn, ...]] | None = None
            if work.speaker_sensitivity is not None:
                # One worker gets the whole recording: speakers must be the same in all parts.
                turns = call("speakers", folder, entrypoints.diarize, work, self._model.threads)
            cut = await call("words", folder, entrypoints.cut, work, folder)
            counted = _counted(cut, on_progress)
            # If the language has to be identified, the first part decides for all.
            alone = 1 if work.language is None else 0
            first = [await part_words(part) for part in cut.parts[:alone]]
            if first:
                work = work.in_language(first[0].language)
            rest = await asyncio.gather(*(part_words(part) for part in cut.parts[alone:]))
            found = messages.assemble(cut, [*first, *rest])
            return found if turns is None else found.spoken_by(await turns)
        except Exception as error:
            if type(error).__name__ == "KilledWorker":  # Dask's; importing Dask for it would be slow
                raise WorkerDied(None) from error
            raise
        finally:
            for each in calls:
                each.cancel()  # calls that have not begun
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)  # and those that have

    def interrupt(self) -> None:
        """Stop recognising: cancel the parts that have not begun, and end the processes that work on the others."""
        if self._running is not None:
            self._running.cancel()

    def release(self) -> None:
        """Do nothing: the cluster's workers belong to the cluster."""

    async def close(self) -> None:
        """Disconnect from the cluster."""
        self.interrupt()
        with contextlib.suppress(Exception):
            await asyncio.to_thread(self._executor.shutdown, wait=False)


def _counted(cut: messages.CutRecording, on_progress: OnProgress) -> Callable[[messages.PartWords], messages.PartWords]:
    """Return a function that counts a recording's finished parts, and passes each on."""
    done = 0

    def count(words: messages.PartWords) -> messages.PartWords:
        nonlocal done
        done += 1
        on_progress(messages.Progress(round(cut.duration * done / len(cut.parts), 2), cut.duration))
        return words

    on_progress(messages.Progress(0.0, cut.duration))
    return count


def _being_cancelled() -> bool:
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0


def open_backends(model: messages.ModelSource, *, workers: int, cluster: str | None) -> list[Backend]:
    """Open one backend per recording that may run at a time. Blocks.

    Args:
        workers: How many backends to open.
        cluster: Address of a Dask scheduler (``tcp://host:port``); ``None`` for this machine.

    Raises:
        ClusterUnavailable: If the cluster can't be reached, or Dask isn't installed.
    """
    folder = model.data_dir / "parts"
    shutil.rmtree(folder, ignore_errors=True)  # left behind by a crash
    if cluster is None:
        return [LocalBackend(model) for _ in range(workers)]
    try:
        from distributed import Client  # noqa: PLC0415 - an extra, and heavy
    except ImportError as error:
        raise ClusterUnavailable(
            "A cluster needs Dask's 'distributed'; install it with: pip install 'dropscribe[cluster]'"
        ) from error
    try:
        client = Client(cluster, timeout="5s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ClusterUnavailable(f"The Dask scheduler at {cluster} can't be reached: {error}") from error
    executor = client.get_executor(retries=2)  # type: ignore[no-untyped-call]
    return [ClusterBackend(executor, model, folder) for _ in range(workers)]


class ClusterUnavailable(Exception):
    """The cluster can't be reached, or Dask isn't installed."""
