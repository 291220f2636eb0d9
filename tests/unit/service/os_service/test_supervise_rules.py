import pytest

from service.os_service.supervisor import main, next_start, rotate
from service.os_service.tail import follow, tail


@pytest.mark.parametrize("status", [0, 2, 78])
def test_what_another_start_cannot_help_is_not_started_again(status):
    assert next_start(status, lived=1.0, failures=0) is None


def test_waiting_grows_and_is_forgiven_after_a_healthy_life():
    waits, failures = [], 0
    for _ in range(9):
        wait, failures = next_start(-9, lived=1.0, failures=failures)
        waits.append(wait)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    assert next_start(1, lived=601.0, failures=failures) == (5.0, 1)
    assert next_start(1, lived=1.0, failures=10**6)[0] == 300


def test_a_large_log_is_put_aside(tmp_path):
    log = tmp_path / "log"
    rotate(log)
    log.write_text("x" * 11)
    rotate(log, limit=11)
    assert log.exists()
    rotate(log, limit=10)
    assert not log.exists()
    assert (tmp_path / "log.1").read_text() == "x" * 11


def test_wrong_usage_is_told(capsys):
    assert main(["run"]) == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("size", [10, 70_000])
def test_the_tail_of_a_log(tmp_path, size):
    log = tmp_path / "log"
    lines = [f"{n} {'y' * size}\n" for n in range(5)]
    log.write_text("".join(lines))
    assert tail(log, 2) == "".join(lines[-2:])
    assert tail(log, 100) == "".join(lines)
    assert tail(log, 0) == ""
    log.write_text("no line break")
    assert tail(log, 1) == "no line break"


def test_following_a_log_through_its_replacement(tmp_path):
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    todo = [
        lambda: log.write_text("one\ntwo\nthree\n"),
        lambda: log.rename(tmp_path / "log.1"),
        lambda: log.write_text("four\n"),
        lambda: log.write_text(""),
        lambda: log.write_text("five\n"),
    ]
    with_waits = follow(log, 1, wait=lambda: todo.pop(0)())  # noqa: PLW0108 - another one each time
    seen = ""
    for text in with_waits:
        seen += text
        if "five" in seen:
            break
    with_waits.close()
    assert seen == "two\nthree\nfour\nfive\n"
