"""Error kind and message of jobs that failed through no fault of the recording. Pure."""

import signal
from typing import Final, Literal

from service.batch_server.workers.process import WorkerDied

Kind = Literal["internal", "worker"]

_UPDATE: Final = "The recording is not to blame. Update Dropscribe, then submit it again; the server's log says more"
_MEMORY: Final = "free some memory, or use a smaller model, and submit it again"


def of_exception(error: Exception) -> tuple[Kind, str]:
    """Return kind and message for an unexpected exception of recognition."""
    if isinstance(error, MemoryError):
        return "worker", f"Memory ran out; {_MEMORY}"
    return "internal", f"Dropscribe itself failed: {type(error).__name__}: {error}. {_UPDATE}"


def of_deaths(times: int, last: WorkerDied | None) -> tuple[Kind, str]:
    """Return kind and message for a recording whose recognition process died.

    Args:
        times: How often it died.
        last: How it died the last time; ``None`` if that is not known any more.
    """
    status = last.exit_status if last is not None else None
    if last is None or status is None or status == -signal.SIGTERM or status == -getattr(signal, "SIGKILL", 9):
        what = f"The recognising process died {times} times over this recording, most likely because memory ran out"
        return "worker", f"{what}; {_MEMORY}"
    how = f"exit status {status}" if status >= 0 else _signal_name(-status)
    last_line = f": {last.last_words.rstrip('.')}" if last.last_words and status >= 0 else ""
    return "internal", f"Dropscribe itself failed {times} times (recognition process, {how}){last_line}. {_UPDATE}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
