import operator
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import CancelledError

import psutil
import pytest

from service.batch_server.recognition import reports, weights
from service.batch_server.recognition.messages import ModelUnavailable
from service.batch_server.workers.process import WorkerDied, WorkerExecutor
from tests.support.waiting import has_ended, until


@pytest.fixture
def executor():
    with WorkerExecutor() as executor:
        yield executor


def test_calls_run_in_order_in_one_other_process(executor):
    pids = [executor.submit(os.getpid) for _ in range(3)]
    found = {future.result(10) for future in pids}
    assert found == {executor.pid}
    assert executor.pid != os.getpid()
    assert list(executor.map(operator.add, [1, 2], [3, 4])) == [4, 6]


def test_what_the_call_raises_is_raised(executor):
    with pytest.raises(ZeroDivisionError):
        executor.submit(operator.truediv, 1, 0).result(10)
    assert executor.submit(abs, -1).result(10) == 1


def test_what_the_call_prints_does_not_disturb(executor):
    executor.submit(print, "noise").result(10)
    assert executor.submit(abs, -1).result(10) == 1


def test_a_death_fails_the_busy_call_and_the_next_gets_a_new_process(executor):
    first = executor.submit(os.getpid).result(10)
    dying = executor.submit(os.kill, first, signal.SIGKILL)
    following = executor.submit(os.getpid)
    with pytest.raises(WorkerDied) as caught:
        dying.result(10)
    assert caught.value.exit_status == -signal.SIGKILL
    assert following.result(10) != first


def test_kill_ends_a_busy_call(executor):
    pid = executor.submit(os.getpid).result(10)
    busy = executor.submit(time.sleep, 60)
    until(busy.running)
    executor.kill()
    with pytest.raises(WorkerDied):
        busy.result(10)
    assert not psutil.pid_exists(pid)


def test_a_call_that_is_abandoned_while_it_runs_fails_and_the_next_gets_a_new_process(executor):
    pid = executor.submit(os.getpid).result(10)
    busy = executor.submit(time.sleep, 60)
    until(busy.running)
    executor.abandon(busy)
    with pytest.raises(WorkerDied):
        busy.result(10)
    assert executor.submit(os.getpid).result(10) != pid


def test_a_call_that_is_abandoned_while_it_waits_is_never_begun(executor, tmp_path):
    pid = executor.submit(os.getpid).result(10)
    busy = executor.submit(time.sleep, 0.2)
    waiting = executor.submit((tmp_path / "begun").touch)
    executor.abandon(waiting)
    assert waiting.cancelled()
    assert busy.result(10) is None
    assert executor.submit(os.getpid).result(10) == pid
    assert not (tmp_path / "begun").exists()


def test_a_call_that_is_abandoned_at_once_never_runs_to_its_end(executor):
    for _ in range(5):
        call = executor.submit(time.sleep, 60)  # a process for it is only being started
        executor.abandon(call)
        with pytest.raises((WorkerDied, CancelledError)):
            call.result(10)
    assert executor.submit(abs, -1).result(10) == 1


def test_abandoning_what_was_answered_disturbs_nobody(executor):
    for number in range(20):
        call = executor.submit(abs, -number)
        assert call.result(10) == number
        executor.abandon(call)
    assert call.result() == 19


def test_release_lets_an_idle_process_go_and_the_next_call_starts_another(executor):
    first = executor.submit(os.getpid).result(10)
    executor.release()
    until(lambda: not psutil.pid_exists(first))
    assert executor.submit(os.getpid).result(10) != first


def test_release_waits_for_what_is_queued(executor):
    futures = [executor.submit(abs, -n) for n in range(3)]
    executor.release()
    assert [future.result(10) for future in futures] == [0, 1, 2]


def test_after_shutdown_nothing_is_taken(executor):
    pid = executor.submit(os.getpid).result(10)
    executor.shutdown()
    assert not psutil.pid_exists(pid)
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(abs, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_worker_does_not_outlive_a_killed_parent_even_while_it_is_busy():
    program = (
        "import os, time\n"
        "from service.batch_server.workers.process import WorkerExecutor\n"
        "executor = WorkerExecutor()\n"
        "print(executor.submit(os.getpid).result(), flush=True)\n"
        "executor.submit(time.sleep, 60).result()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as parent:
        worker = int(parent.stdout.readline())
        assert psutil.pid_exists(worker)
        parent.kill()
    until(lambda: has_ended(worker))


def test_known_files_are_read_in_full_only_once(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"weights")
    known = {"model.bin": "3b70cef41bd62dfa0c6cd9f7e3e2b0f71a6a3b04ffd2e0cfcf90c1fa54fe7b33"}
    with pytest.raises(ModelUnavailable, match=r"model\.bin is not the file"):
        weights.check(tmp_path, known, remember=tmp_path / "seal")
    import hashlib

    known = {"model.bin": hashlib.sha256(b"weights").hexdigest()}
    weights.check(tmp_path, known, remember=tmp_path / "seal")
    stat = (tmp_path / "model.bin").stat()
    (tmp_path / "model.bin").write_bytes(b"WEIGHTS")
    os.utime(tmp_path / "model.bin", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    weights.check(tmp_path, known, remember=tmp_path / "seal")  # same size and time: not read again
    os.utime(tmp_path / "model.bin", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        weights.check(tmp_path, known, remember=tmp_path / "seal")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"model\.bin"):
        weights.check(tmp_path, {"model.bin": ""}, remember=tmp_path / "seal")


def test_what_a_call_reports_reaches_its_caller_before_its_result(executor):
    received = []
    assert executor.submit_reporting(received.append, reports.send, "half").result(10) is None
    assert received == ["half"]


def test_a_report_that_nobody_asked_for_disturbs_no_call(executor):
    assert [executor.submit(reports.send, number).result(10) for number in range(3)] == [None] * 3
    assert executor.submit(abs, -1).result(10) == 1
