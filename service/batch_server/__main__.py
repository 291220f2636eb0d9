"""``python -m service.batch_server``: the server as a process of its own, for programs that start it as their child."""

import json
import os
import sys

from service.batch_server import KEY_VARIABLE, options, serve

_DESCRIPTION = f"""\
Serve the Speechmatics Batch API with a local Whisper model, as the child of another program. Once it accepts requests,
it writes one line of JSON to standard output, {{"url": …, "pid": …}}, and nothing after it; logs go to standard error.
The key that clients must send comes from the environment variable {KEY_VARIABLE}, because every user of the machine can
read a command line."""


def _announce(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the server; return the exit status: 0 after an orderly stop, 1 if it could not start, 2 for wrong usage."""
    values = vars(options.parser("python -m service.batch_server", _DESCRIPTION).parse_args(arguments))
    try:
        settings = options.settings(values, key=os.environ.pop(KEY_VARIABLE, None) or None)
        return serve(settings, announce=_announce)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
