"""``python -m service.batch_server``: the server as a process of its own, to be started as a child.

Once it accepts requests it writes one line of JSON to standard output, ``{"url": …, "pid": …}``, and nothing
else ever; logs go to standard error. The key comes from the environment variable ``DROPSCRIBE_SERVER_KEY``,
because a command line can be read by every user of the machine.
"""

import json
import os
import sys

from service.batch_server import KEY_VARIABLE, options, serve


def _announce(url: str) -> None:
    sys.stdout.write(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Run the server as the command line says.

    Args:
        arguments: The command line without the program's name; ``None`` means ``sys.argv``.

    Returns:
        The exit status: 0 stopped in good order, 1 could not start, 2 wrong usage.
    """
    values = vars(options.parser("python -m service.batch_server", __doc__ or "").parse_args(arguments))
    try:
        settings = options.settings(values, key=os.environ.pop(KEY_VARIABLE, None) or None)
        return serve(settings, announce=_announce)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
