"""The supervisor with real processes: log, restart, orderly end."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from service.os_service.supervisor import Supervisor
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are POSIX")


def supervise(folder, text, **more):
    script = folder / "a command"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return Supervisor([str(script), "run"], folder / "state" / "log", **more)


@pytest.mark.parametrize("status", [0, 78])
def test_it_fails_and_is_started_again_until_it_ends_for_good(tmp_path, status):
    text = (
        f'cd "{tmp_path}"; echo "start $1"; echo x >> starts; [ $(wc -l < starts) -lt 3 ] && kill -9 $$; exit {status}'
    )
    supervise(tmp_path, text, time_scale=0.001).run()
    assert (tmp_path / "starts").read_text() == "x\n" * 3
    assert (tmp_path / "state" / "log").read_text() == "start run\n" * 3


def test_a_command_that_was_removed_is_said_in_the_log_and_given_up(tmp_path):
    log = tmp_path / "log"
    Supervisor([str(tmp_path / "gone")], log, time_scale=0.001).run()
    told = log.read_text().splitlines()
    assert len(told) == 6, "an update may take the program away for a while"
    assert all("was removed" in line and "dropscribe service install" in line for line in told)


def test_sigterm_goes_on_to_the_command_and_ends_both(tmp_path):
    script = tmp_path / "daemon"
    script.write_text('#!/bin/sh\ntrap "echo stopping; exit 0" TERM\necho ready\nwhile :; do sleep 0.05; done\n')
    script.chmod(0o755)
    log = tmp_path / "log"
    argv = [sys.executable, "-m", "service.os_service.supervisor", "--log", str(log), "--", str(script)]
    process = subprocess.Popen(argv)
    until(lambda: log.exists() and "ready" in log.read_text())
    children = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert log.read_text() == "ready\nstopping\n"
    assert not any(child.is_running() for child in children)
