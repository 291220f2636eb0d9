"""Behaves towards systemd as the daemon does; files beside it make it fail in the daemon's ways."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from notify import Notifier  # the real one, copied beside this file: it needs nothing but Python

here = Path(sys.argv[0]).parent
notifier = Notifier.from_environment()
facts = {"argv": sys.argv, "pid": os.getpid(), "xdg": os.environ.get("XDG_STATE_HOME"), "uid": os.getuid()}
with (here / "starts.jsonl").open("a") as starts:
    starts.write(json.dumps(facts) + "\n")
if (here / "unusable").exists():
    sys.exit(78)

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
notifier.ready("watching\n2 folders")
while not stop.wait((notifier.watchdog_interval or 60) / 2):
    if not (here / "hang").exists():
        notifier.watchdog()
notifier.stopping("stopping")
