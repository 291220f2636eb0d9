"""The embedded Speechmatics-compatible server as a real process, for tests and benchmarks."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass

__all__ = ["EmbeddedServer", "embedded_server"]

STOP_WITHIN = 20.0


@dataclass(frozen=True)
class EmbeddedServer:
    url: str
    key: str
    pid: int


@contextlib.contextmanager
def embedded_server(data_dir, *, key="contract-key", options=(), environment=None):
    """Start the server, with more in its environment if given, and stop it at the end."""
    command = [sys.executable, "-m", "service.batch_server", "--data-dir", str(data_dir), "--port", "0"]
    with (data_dir.parent / f"{data_dir.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **(environment or {}), "DROPSCRIBE_SERVER_KEY": key},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        line = process.stdout.readline()
        if not line:
            said = (data_dir.parent / f"{data_dir.name}.log").read_text(errors="replace")
            raise RuntimeError(f"The embedded server did not start: {said[-2000:]}")
        yield EmbeddedServer(json.loads(line)["url"], key, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
