"""Nothing leaves the machine unasked: recognition leaves no traces in the home, and calls nobody."""

import os
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"

RECOGNISE = """
import sys, socket
from pathlib import Path

called = []
def refuse(name):
    def call(*arguments, **options):
        called.append((name, arguments))
        raise OSError("no network in this test")
    return call
socket.getaddrinfo = refuse("getaddrinfo")
socket.create_connection = refuse("create_connection")

from service.batch_server.recognition import engine, messages
from tests.support.words import assert_reads
heard = engine.recognise(
    messages.ModelSource("tiny.en", 1, Path(sys.argv[2])), messages.Task(audio=Path(sys.argv[1]))
)
assert_reads("".join(word.text for word in heard.channels[0]), "leisure")
assert not called, called
"""


def test_recognition_writes_nothing_into_the_home_and_asks_no_network(tmp_path):
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    data.mkdir()
    names = {"PATH", "PYTHONPATH", "LANG", "SYSTEMROOT"}
    environment = {name: value for name, value in os.environ.items() if name in names}
    done = subprocess.run(
        [sys.executable, "-c", RECOGNISE, str(DATA / "leisure.flac"), str(data)],
        env={**environment, "HOME": str(home)},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(home.rglob("*")), "a library left traces of its own"
