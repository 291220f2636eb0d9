"""A Speechmatics Batch API v2 server over local Whisper.

``serve`` runs it in the calling process; ``python -m service.batch_server`` runs it as a process of its own.
The way of a job: ``api.endpoints`` receives it (``api.upload``, ``job_config``), ``store`` keeps it,
``dispatch.dispatcher`` hands it to a worker process (``workers``), ``recognition`` turns its audio into words, and
``transcript`` turns the words into json-v2, txt and srt.

Importing this package is cheap: only ``serve`` imports the web server, and only worker processes import what
recognition needs.
"""

from collections.abc import Callable

from service.batch_server.settings import CLOUD_LIMITS, Limits, ServerSettings

__all__ = ["CLOUD_LIMITS", "KEY_VARIABLE", "Limits", "ServerSettings", "serve"]

KEY_VARIABLE = "DROPSCRIBE_SERVER_KEY"
"""The environment variable with the key that clients must send."""


def serve(settings: ServerSettings, *, announce: Callable[[str], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT (or, with ``exit_with_parent``, until the parent process ends).

    Args:
        announce: Called once with the base URL (``http://127.0.0.1:PORT/v2``) once requests are accepted.

    Returns:
        The exit status: 0 after an orderly stop, 1 if the server could not start.

    Raises:
        ValueError: If other machines could reach the server, and it has no key.
    """
    from service.batch_server.server import run  # noqa: PLC0415 - keeps importing the package cheap

    return run(settings, announce=announce)
