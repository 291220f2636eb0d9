"""``python -m service.batch_server``: the server as a process of its own, to be started as a child.

Once it accepts requests it writes one line of JSON to standard output, ``{"url": …, "pid": …}``, and nothing
else ever; logs go to standard error. The key comes from the environment variable ``DROPSCRIBE_SERVER_KEY``,
because a command line can be read by every user of the machine.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import msgspec

from service.batch_server import CLOUD_LIMITS, Limits, ServerSettings, serve

KEY_VARIABLE = "DROPSCRIBE_SERVER_KEY"


def _announce(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


def _settings(arguments: list[str] | None) -> ServerSettings:
    parser = argparse.ArgumentParser(prog="python -m service.batch_server", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="where jobs and audio are kept")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any free one)")
    parser.add_argument("--model", default="tiny.en", help="a faster-whisper model name or a folder")
    parser.add_argument("--threads", type=int, default=0, help="cores per worker (default: all)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes (default: %(default)s)")
    parser.add_argument("--cluster", help="recognise on the workers of this Dask scheduler, tcp://host:port")
    parser.add_argument("--idle-release", type=float, default=60.0, help="seconds until an idle model is let go")
    parser.add_argument("--retention", type=float, default=7 * 86_400.0, help="seconds until a finished job expires")
    parser.add_argument("--limits", choices=["none", "cloud"], default="none", help="request limits to enforce")
    parser.add_argument("--allow-fetch", action="store_true", help="fetch audio from public addresses")
    parser.add_argument("--allow-notify", action="store_true", help="send notifications to public addresses")
    parser.add_argument("--allow-host", action="append", default=[], help="a host that may be called though not public")
    parser.add_argument("--max-upload", type=int, help="largest audio file in bytes")
    parser.add_argument("--max-seconds", type=float, help="longest recording in seconds")
    parser.add_argument("--max-unfinished", type=int, help="unfinished jobs that a key may have at once")
    parser.add_argument("--preload", action="store_true", help="load the model at the start, not with the first job")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input is closed")
    options = parser.parse_args(arguments)
    return ServerSettings(
        data_dir=options.data_dir,
        host=options.host,
        port=options.port,
        key=os.environ.pop(KEY_VARIABLE, None) or None,
        model=options.model,
        threads=options.threads,
        workers=options.workers,
        cluster=options.cluster,
        idle_release=options.idle_release,
        retention=options.retention,
        limits=_limits(options),
        fetching=options.allow_fetch,
        notifying=options.allow_notify,
        allowed_hosts=tuple(options.allow_host),
        exit_with_parent=options.exit_with_parent,
        preload=options.preload,
    )


def _limits(options: argparse.Namespace) -> Limits:
    limits = CLOUD_LIMITS if options.limits == "cloud" else Limits()
    if options.max_upload is not None:
        limits = msgspec.structs.replace(limits, upload_bytes=options.max_upload)
    if options.max_seconds is not None:
        limits = msgspec.structs.replace(limits, audio_seconds=options.max_seconds)
    if options.max_unfinished is not None:
        limits = msgspec.structs.replace(limits, concurrent_jobs=options.max_unfinished)
    return limits


def main(arguments: list[str] | None = None) -> int:
    """Run the server as the command line says.

    Args:
        arguments: The command line without the program's name; ``None`` means ``sys.argv``.

    Returns:
        The exit status: 0 stopped in good order, 1 could not start, 2 wrong usage.
    """
    try:
        return serve(_settings(arguments), announce=_announce)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
