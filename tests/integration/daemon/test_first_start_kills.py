"""The real daemon, killed while it starts for the first time: the next start works."""

import subprocess
from itertools import count

import pytest

from tests.support.daemon import ROOT, Command, environment
from tests.support.waiting import until

SIGNS = (
    "state",
    "state/daemon.lock",
    "state/ledger.sqlite3.new.lock",
    "state/ledger.sqlite3.new",
    "state/ledger.sqlite3.new-journal",
    "state/ledger.sqlite3",
    "state/ledger.sqlite3-wal",
    "state/control.json",
)
"""What appears in a first start, in this order; a file that is gone again in a moment may be missed."""


def kill_at(command, sign):
    """Start the daemon, and kill it as soon as `sign` or something later is there."""
    later = [command.root / name for name in SIGNS[SIGNS.index(sign) :]]
    daemon = subprocess.Popen(
        command.line("run", command.folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=environment(command.root / "home"),
    )
    try:
        for looks in count():
            if any(path.exists() for path in later) or daemon.poll() is not None:
                break
            if looks % 10_000 == 0:
                until(lambda: (command.root / "state").exists() or daemon.poll() is not None, what="the first file")
    finally:
        daemon.kill()
        daemon.wait()


@pytest.mark.parametrize("sign", SIGNS)
def test_a_kill_during_the_first_start_does_not_stop_the_next_start(tmp_path, sign):
    command = Command(tmp_path)
    kill_at(command, sign)
    assert command.run("doctor").returncode == 0
    assert command.run("status").returncode == 0
    done = command.run("run", "--once", command.folder)
    assert done.returncode == 0, done.stderr
    assert "0 transcribed, 0 failed." in done.stderr
