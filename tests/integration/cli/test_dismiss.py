"""`dropscribe dismiss`, `cancel` and `status`, through a daemon's control API and on the ledger alone."""

import json

import pytest
from filelock import FileLock

from service.cli import main
from tests.support.dashboard import Running
from tests.support.ledger_tools import added, opened
from watcher.ledger import Ledger
from watcher.models import EntryState
from watcher.paths import StatePaths


@pytest.fixture
def dropscribe(tmp_path, monkeypatch, capsys):
    """Run a command line; returns (exit status, standard output, standard error)."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = tmp_path / "config.toml"
    config.touch()
    (tmp_path / "state").mkdir(exist_ok=True)

    def run(*arguments):
        status = main(["--config", str(config), "--state-dir", str(tmp_path / "state"), *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def fill(ledger):
    for name in ("one.wav", "two.wav", "three.wav"):
        added(ledger, name, state=EntryState.FAILED, reason="It is damaged.", fix="Copy it again.")
    added(ledger, "done.wav", state=EntryState.SKIPPED)


@pytest.fixture(params=["daemon", "ledger"])
def reached(request, tmp_path, dropscribe):
    """The command line, whose answers come from a daemon or from the ledger."""
    if request.param == "ledger":
        ledger = opened(tmp_path / "state")
        fill(ledger)
        ledger.close()
        yield dropscribe
        return
    with Running.start(tmp_path) as running:
        running.do(running.plant.ledger(fill))
        yield dropscribe


def test_dismissed_failures_stay_in_the_list_and_need_no_attention(reached):
    assert "needs you: 3 recordings failed." in reached("status")[1]
    status, out, err = reached("dismiss", "/watched/one.wav", "/watched/done.wav", "/watched/unknown.wav")
    assert (status, out.splitlines()) == (
        1,
        ["/watched/one.wav: dismissed. To try again: dropscribe retry FILE"],
    )
    assert "done.wav is skipped: only failed recordings can be dismissed." in err
    assert "/watched/unknown.wav" in err
    assert "needs you: 2 recordings failed." in reached("status")[1]
    assert {e["name"] for e in json.loads(reached("jobs", "--state", "attention", "--json")[1])} == {
        "two.wav",
        "three.wav",
    }
    assert "Dismissed on 20" in reached("explain", "/watched/one.wav")[1]
    assert reached("jobs", "--state", "failed")[1].count("Dismissed on") == 1

    status, out, _ = reached("dismiss", "--all", "--json")
    assert status == 0
    assert {(e["name"], e["state"], e["needs_attention"]) for e in json.loads(out)} == {
        ("two.wav", "FAILED", False),
        ("three.wav", "FAILED", False),
    }
    assert reached("dismiss", "--all")[1] == "Nothing to dismiss.\n"
    status, out, _ = reached("status")
    assert "needs you" not in out
    assert "failed             3" in out
    assert json.loads(reached("status", "--json")[1])["attention"] == []


def test_recordings_are_cancelled_with_and_without_a_daemon(reached):
    status, out, err = reached("cancel", "/watched/one.wav", "/watched/done.wav")
    assert status == 1
    assert out.startswith("/watched/one.wav: cancelled.")
    assert "done.wav" in err
    assert [e["name"] for e in json.loads(reached("jobs", "--state", "cancelled", "--json")[1])] == ["one.wav"]
    assert "You cancelled it." in reached("explain", "/watched/one.wav")[1]
    assert reached("cancel", "/watched/two.wav")[0] == 0


def test_what_to_dismiss_must_be_named(reached):
    assert reached("dismiss")[0] == 2
    assert reached("dismiss", "--all", "/watched/one.wav")[0] == 2
    assert "needs you: 3 recordings failed." in reached("status")[1]


def test_before_the_first_run_there_is_nothing_to_dismiss(dropscribe):
    assert dropscribe("dismiss", "--all")[:2] == (0, "Nothing to dismiss.\n")
    assert "not running, and has never run here" in dropscribe("status")[1]


def test_a_ledger_in_use_is_left_alone(tmp_path, dropscribe):
    ledger = opened(tmp_path / "state")
    fill(ledger)
    ledger.close()
    with FileLock(StatePaths(tmp_path / "state").lock):
        status, _, err = dropscribe("dismiss", "--all")
    assert status == 78
    assert "can't be reached now" in err
    assert "needs you: 3 recordings failed." in dropscribe("status")[1]


def test_without_a_daemon_a_pause_that_is_over_stops_nothing(tmp_path, dropscribe):
    ledger = opened(tmp_path / "state")
    fill(ledger)
    Ledger.put_hold(ledger, "pause", now=1.0, reason="You paused it.", until=2.0)
    ledger.close()
    assert json.loads(dropscribe("status", "--json")[1])["paused"] is False
