"""A Speechmatics Batch API v2 server over local Whisper.

``serve`` runs it in the calling process; ``python -m service.batch_server`` runs it as a process of its own.
How a job travels: ``endpoints`` takes it in (``upload``, ``jobconfig``), ``store`` keeps it, ``dispatcher``
hands it to a worker process (``executor``, ``worker``), ``recognition`` turns its audio into words,
``output`` turns the words into json-v2, txt and srt.

Importing this package is cheap: the web server is imported by ``serve``, and whatever is needed for
recognition only by worker processes.
"""

from collections.abc import Callable

from service.batch_server.settings import CLOUD_LIMITS, Limits, ServerSettings

__all__ = ["CLOUD_LIMITS", "KEY_VARIABLE", "Limits", "ServerSettings", "serve"]

KEY_VARIABLE = "DROPSCRIBE_SERVER_KEY"
"""The environment variable that the commands take the key from."""


def serve(settings: ServerSettings, *, announce: Callable[[str], None] | None = None) -> int:
    """Serve until told to stop by SIGTERM or SIGINT (or by the end of the parent process).

    Args:
        settings: What to serve, where.
        announce: Called once with the base URL (``http://127.0.0.1:PORT/v2``) when requests are accepted.

    Returns:
        The exit status for the process: 0 after an orderly stop, 1 when the server could not start.

    Raises:
        ValueError: If the settings would leave the server open to others without a key.
    """
    from service.batch_server.server import run  # noqa: PLC0415 - keeps importing the package cheap

    return run(settings, announce=announce)
