import pickle
import threading
import time

import pytest

from service.batch_server.workers import cancellable
from service.batch_server.workers.process import WorkerDied
from tests.support.waiting import until


@pytest.fixture
def child(monkeypatch):
    """The child for words: a new one, ended with the test."""
    executor = cancellable.WorkerExecutor()
    monkeypatch.setattr(cancellable, "_child", lambda _: executor)
    yield executor
    executor.shutdown(wait=False, cancel_futures=True)
    executor.kill()
    executor.shutdown()


def test_a_call_is_made_in_the_child_and_its_error_is_raised(child, tmp_path):
    assert cancellable.run("words", tmp_path, divmod, 7, 2) == (3, 1)
    assert child.pid is not None
    with pytest.raises(ZeroDivisionError):
        cancellable.run("words", tmp_path, divmod, 7, 0)


def test_a_call_whose_result_is_no_longer_wanted_ends_with_its_child(child, tmp_path):
    wanted = tmp_path / "part"
    wanted.touch()
    caught = []

    def call():
        with pytest.raises(cancellable.NoLongerWanted) as raised:
            cancellable.run("words", wanted, time.sleep, 600)
        caught.append(raised)

    thread = threading.Thread(target=call)
    thread.start()
    until(lambda: child.pid)
    wanted.unlink()
    thread.join(60)
    assert caught
    until(lambda: child.pid is None)
    assert cancellable.run("words", tmp_path, divmod, 7, 2) == (3, 1)  # by a new child


def test_what_nobody_wants_is_not_begun(child, tmp_path):
    with pytest.raises(cancellable.NoLongerWanted):
        cancellable.run("words", tmp_path / "gone", divmod, 7, 2)
    assert child.pid is None


def test_the_death_of_a_child_is_told_across_processes_with_its_status():
    told = pickle.loads(pickle.dumps(WorkerDied(-9)))  # noqa: S301 - our own
    assert (told.exit_status, str(told)) == (-9, str(WorkerDied(-9)))
