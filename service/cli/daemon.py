"""Where commands get their answers: from the running daemon, or from the ledger if none is running."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from service.cli.console import say
from watcher.attention import ATTENTION, attention, is_paused
from watcher.errors import AlreadyRunning, DropscribeError, NoLedger
from watcher.models import PAUSE, EntryState

# The ledger and its wording are imported only where no daemon answers, so that `dropscribe status` stays quick.

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from service.cli.settings import Settings
    from service.control.client import ControlClient
    from watcher.ledger import Ledger, LedgerReader
    from watcher.models import Entry

__all__ = ["DOWN", "LedgerSource", "NotRunning", "Source", "explain_file", "open_source"]

DOWN = "not running"
"""The state that is shown while no daemon is running."""

_RECENT = 10
_ADD_OR_TRANSCRIBE = (
    "Watch its folder: dropscribe folders add FOLDER. Or transcribe just this file: dropscribe transcribe FILE"
)


class NotRunning(DropscribeError):
    """No daemon is running on this state directory, and the command needs one."""


class Source(Protocol):
    """What commands can ask and change; see `watcher.control.Control`."""

    def status(self) -> dict[str, Any]:
        """The whole picture."""

    def entries(
        self, *, state: EntryState | None, attention: bool, search: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """Recordings, latest change first; with `attention`, only those that need it."""

    def explain(self, path: Path) -> dict[str, Any]:
        """One answer for any path."""

    def retry(self, uid: str) -> dict[str, Any]:
        """Try again."""

    def cancel(self, uid: str) -> dict[str, Any]:
        """Give up."""

    def dismiss(self, uid: str) -> dict[str, Any]:
        """Stop asking for attention for a failed recording."""

    def dismiss_all(self) -> list[dict[str, Any]]:
        """Stop asking for attention for all failed recordings; returns those that changed."""

    def pause(self, until: float | None) -> None:
        """Stop submission."""

    def resume(self) -> None:
        """Go on."""


@contextmanager
def open_source(settings: Settings, *, orders: bool = False, ledger_writes: bool = False) -> Iterator[Source]:
    """Connect to the daemon; without one, open the ledger, unless only a daemon can do what is asked for.

    A config that can't be used is reported on standard error and doesn't prevent an answer.

    Args:
        settings: of the command line.
        orders: the command needs a daemon.
        ledger_writes: without a daemon, the command changes the ledger itself.

    Raises:
        NotRunning: the command needs a daemon, and none is running.
        AlreadyRunning: another process has locked the ledger, but can't be reached.
        LedgerError: there is no daemon, and the ledger can't be read.
    """
    from service.control.client import ControlClient  # noqa: PLC0415 - only where a daemon is asked

    client = ControlClient.from_state(settings.paths)
    if trouble := settings.config_trouble:
        kept = " The running Dropscribe keeps the last good config." if client else ""
        say(f"dropscribe: {trouble}{kept}", error=True)
    if client is not None:
        yield DaemonSource(client)
        return
    if orders:
        raise NotRunning(
            f"No Dropscribe is running on {settings.paths.root}.",
            fix="Start it: dropscribe run (or: dropscribe service start)",
        )
    watched = None if settings.config_trouble else [folder.path for folder in settings.config.watch_folders()]
    problem = str(settings.config_trouble or "")
    paths = settings.paths
    if not paths.root.exists():
        yield LedgerSource(None, watched, trouble=problem)
        return
    from watcher.ledger import open_ledger, open_readonly  # noqa: PLC0415 - see above

    writes = ledger_writes and paths.ledger.exists()
    with _kept_from_daemons(settings) if writes else nullcontext():
        try:
            ledger = open_ledger(paths.ledger, backups=paths.backups) if writes else open_readonly(paths.ledger)
        except NoLedger:
            yield LedgerSource(None, watched, trouble=problem)
            return
        try:
            yield LedgerSource(ledger, watched, trouble=problem)
        finally:
            ledger.close()


def explain_file(source: Source, path: Path) -> dict[str, Any]:
    """Explain a path that a person named. For a link outside the watch folders, that is the file it points to."""
    told = source.explain(path)
    if told["kind"] == "not watched" and path.is_symlink():
        return source.explain(path.resolve())
    return told


@contextmanager
def _kept_from_daemons(settings: Settings) -> Iterator[None]:
    """Hold the lock of the state directory, so that no daemon starts while the ledger is changed."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only where the ledger is written

    lock = FileLock(settings.paths.lock, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyRunning(
            f"Another Dropscribe process (`run --once` or `transcribe`) is using {settings.paths.root}; "
            "it can't be reached now.",
            fix="Try again when it has finished.",
        ) from None
    try:
        yield
    finally:
        lock.release()


class DaemonSource:
    """Passes everything on to the running daemon."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client

    def status(self) -> dict[str, Any]:
        """The whole picture."""
        return self._client.status()

    def entries(
        self, *, state: EntryState | None, attention: bool, search: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """Recordings, latest change first."""
        choice = ATTENTION if attention else state.value if state else None
        found, _cursor = self._client.entries(state=choice, search=search, limit=limit)
        return found

    def explain(self, path: Path) -> dict[str, Any]:
        """One answer for any path."""
        return self._client.explain(path)

    def retry(self, uid: str) -> dict[str, Any]:
        """Try again."""
        return self._client.retry(uid)

    def cancel(self, uid: str) -> dict[str, Any]:
        """Give up."""
        return self._client.cancel(uid)

    def dismiss(self, uid: str) -> dict[str, Any]:
        """Stop asking for attention for a failed recording."""
        return self._client.dismiss(uid)

    def dismiss_all(self) -> list[dict[str, Any]]:
        """Stop asking for attention for all failed recordings."""
        return self._client.dismiss_all()

    def pause(self, until: float | None) -> None:
        """Stop submission."""
        self._client.pause(until)

    def resume(self) -> None:
        """Go on."""
        self._client.resume()


class LedgerSource:
    """Answers from the ledger; what only a running daemon knows is left out.

    Args:
        ledger: None if no daemon ever ran.
        watched: the folders in the config; None if it can't be used.
        trouble: why the config can't be used, or an empty string.
    """

    def __init__(
        self, ledger: LedgerReader | None, watched: Sequence[Path] | None = None, *, trouble: str = ""
    ) -> None:
        self._ledger = ledger
        self._watched = watched
        self._trouble = trouble

    def status(self) -> dict[str, Any]:
        """The picture without a daemon."""
        if self._ledger is None:
            needs = attention({}, config_problem=self._trouble)
            return {"state": DOWN, "counts": {}, "holds": [], "attention": needs, "paused": False, "recent": []}
        from watcher.wording import describe_hold  # noqa: PLC0415 - see above

        counts = {state.value: number for state, number in self._ledger.counts().items()}
        holds = [describe_hold(hold) for hold in self._ledger.holds(time.time())]
        return {
            "state": DOWN,
            "counts": counts,
            "holds": holds,
            "attention": attention(self._ledger.count_attention(), holds, config_problem=self._trouble),
            "paused": is_paused(holds),
            "paused_until": next((hold["until"] for hold in holds if hold["name"] == PAUSE), None),
            "recent": self._recent(self._ledger),
        }

    def _recent(self, ledger: LedgerReader) -> list[dict[str, Any]]:
        from watcher.wording import describe_done  # noqa: PLC0415 - see above

        return [describe_done(e, ledger.outputs(e.id)) for e in ledger.entries(state=EntryState.DONE, limit=_RECENT)]

    def entries(
        self, *, state: EntryState | None, attention: bool, search: str | None, limit: int
    ) -> list[dict[str, Any]]:
        """Recordings, latest change first."""
        if self._ledger is None:
            return []
        from watcher.wording import describe_entry  # noqa: PLC0415 - see above

        found = self._ledger.entries(state=state, attention=attention, search=search, limit=limit)
        return [describe_entry(entry) for entry in found]

    def explain(self, path: Path) -> dict[str, Any]:
        """What the ledger knows of a path."""
        from watcher.wording import blockers, describe_entry, describe_output, display_path, next_step_text  # noqa: PLC0415 - see above

        entry = self._ledger.latest_at_path(path) if self._ledger else None
        if self._ledger is None or entry is None:
            if self._ledger is not None and (source := self._ledger.of_output(path)):
                return describe_output(path, source)
            if not os.path.lexists(path):
                return {"kind": "missing", "path": display_path(path), "reason": "There is no such file.", "fix": ""}
            if self._watched is not None and not any(path.is_relative_to(folder) for folder in self._watched):
                reason = "It is not in a watched folder."
                return {"kind": "not watched", "path": display_path(path), "reason": reason, "fix": _ADD_OR_TRANSCRIBE}
            reason = "It is not in the ledger, and no daemon is running that could examine it."
            return {"kind": "unknown", "path": display_path(path), "reason": reason, "fix": "Start it: dropscribe run"}
        outputs = self._ledger.outputs(entry.id)
        told = describe_entry(entry, outputs, self._ledger.history(entry.id))
        missing = [output.path for output in outputs if not os.path.lexists(output.path)]
        for said, output in zip(told["outputs"], outputs, strict=True):
            said["there"] = output.path not in missing
        told["there"] = os.path.lexists(path)
        coming = next_step_text(entry, stopped=blockers(entry, self._ledger.holds(time.time())), missing=missing)
        if entry.state.is_active:
            coming = (
                f"Nothing until the daemon runs (to start it: dropscribe run). Then: {coming[:1].lower()}{coming[1:]}"
            )
        return {**told, "kind": "entry", "next": coming}

    def retry(self, uid: str) -> dict[str, Any]:
        """Needs a daemon."""
        raise NotRunning(uid)

    def cancel(self, uid: str) -> dict[str, Any]:
        """Give up. The next daemon deletes the job, if there is one."""
        ledger = self._writable()
        ledger.cancel(_find(ledger, uid), now=time.time(), reason="You cancelled it.")
        return _changed(ledger, uid)

    def dismiss(self, uid: str) -> dict[str, Any]:
        """Stop asking for attention for a failed recording."""
        ledger = self._writable()
        ledger.dismiss(_find(ledger, uid), now=time.time())
        return _changed(ledger, uid)

    def dismiss_all(self) -> list[dict[str, Any]]:
        """Stop asking for attention for all failed recordings."""
        from watcher.wording import describe_entry  # noqa: PLC0415 - see above

        if self._ledger is None:
            return []
        return [describe_entry(entry) for entry in self._writable().dismiss(now=time.time())]

    def _writable(self) -> Ledger:
        from watcher.ledger import Ledger  # noqa: PLC0415 - see above

        if not isinstance(self._ledger, Ledger):
            raise NotRunning("The ledger is open for reading only.")
        return self._ledger

    def pause(self, until: float | None) -> None:
        """Needs a daemon."""
        raise NotRunning(str(until))

    def resume(self) -> None:
        """Needs a daemon."""
        raise NotRunning("resume")


def _find(ledger: Ledger, uid: str) -> Entry:
    entry = ledger.find(uid)
    if entry is None:
        raise KeyError(uid)
    return entry


def _changed(ledger: Ledger, uid: str) -> dict[str, Any]:
    """Describe an entry that was just changed without a daemon."""
    from watcher.wording import describe_entry, next_step_text  # noqa: PLC0415 - only where the ledger is written

    entry = _find(ledger, uid)
    return {**describe_entry(entry), "next": next_step_text(entry)}
