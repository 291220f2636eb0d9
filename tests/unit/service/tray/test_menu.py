import datetime as dt
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.tray.icons import IconState
from service.tray.menu import SEPARATOR, Action, Verb, pause_until, view
from service.tray.model import Snapshot
from tests.support.control_server import snapshot

NOW = dt.datetime(2026, 3, 28, 15, 30).astimezone()


def local(*when):
    return dt.datetime(*when).astimezone().timestamp()


def shown(state="idle", *, now=NOW, at_login=True, can_start=True, **more):
    status = None if state == "down" else msgspec.convert(snapshot(state, **more), Snapshot)
    return view(status, now=now, at_login=at_login, can_start=can_start)


def item(found, label):
    return next(each for each in found.menu if each.label.startswith(label))


def every_item(items):
    for each in items:
        yield each
        yield from every_item(each.children)


def test_idle_says_what_is_watched():
    found = shown()
    assert (found.icon, found.count) == (IconState.IDLE, 0)
    assert found.tooltip == "Dropscribe: all done, watching 1 folder"
    assert shown(folders=[]).tooltip == "Dropscribe: no watch folder yet"


def test_working_counts_and_shows_progress_of_a_single_one():
    counts = {"WAITING": 2, "SUBMITTING": 1, "SUBMITTED": 3, "TRANSCRIBED": 1, "DONE": 50, "FAILED": 9}
    found = shown("working", counts=counts)
    assert (found.icon, found.count) == (IconState.WORKING, 7)
    assert found.tooltip == "Dropscribe: transcribing 7 recordings"
    active = [{"uid": "u", "name": "call.wav", "path": "/r/call.wav", "state": "SUBMITTED", "progress": 0.419}]
    assert shown("working", counts={"SUBMITTED": 1}, active=active).tooltip == "Dropscribe: transcribing call.wav, 41 %"


@pytest.mark.parametrize(
    ("until", "words"),
    [
        (None, "paused, 4 recordings waiting"),
        (NOW.timestamp() + 3600, "paused until 16:30, 4 recordings waiting"),
        (local(2026, 3, 29), "paused until tomorrow, 4 recordings waiting"),
        (local(2026, 4, 2, 8), "paused until 2026-04-02 08:00, 4 recordings waiting"),
    ],
)
def test_paused_says_until_when_and_offers_to_resume(until, words):
    hold = {"name": "pause", "reason": "You paused it.", "fix": "dropscribe resume", "since": 0, "until": until}
    found = shown("paused", paused_until=until, counts={"WAITING": 4}, holds=[hold])
    assert found.icon is IconState.PAUSED
    assert found.tooltip == f"Dropscribe: {words}"
    assert item(found, "Resume").action == Action(Verb.RESUME)
    assert not [each for each in found.menu if each.label == "Pause" or each.label.startswith("⚠")]


def test_attention_names_the_reason_and_leads_to_the_page():
    hold = {"name": "account:x", "reason": "The API key was rejected.", "fix": "dropscribe login", "since": 0}
    found = shown("attention", holds=[hold])
    assert found.icon is IconState.ATTENTION
    assert found.tooltip == "Dropscribe: needs you: The API key was rejected"
    assert item(found, "⚠ The API key was rejected").action == Action(Verb.OPEN_PAGE)
    assert "2 recordings need your decision" in shown("attention", counts={"HELD": 2}).tooltip
    folder = {"path": "/mnt/NAS", "state": "unavailable", "reason": "It is not mounted.", "fix": ""}
    assert shown("attention", folders=[folder]).tooltip == "Dropscribe: needs you: /mnt/NAS: It is not mounted"


def test_a_broken_config_is_named_first():
    found = shown("attention", config_problem="/c.toml, line 3: unknown key 'x'.", counts={"WAITING": 1})
    assert found.icon is IconState.ATTENTION
    assert "line 3" in found.tooltip


def test_failed_recordings_can_be_dismissed_together():
    found = shown("attention", counts={"FAILED": 2, "HELD": 1})
    assert found.tooltip == "Dropscribe: needs you: 1 recording needs your decision, and 1 more"
    assert item(found, "Dismiss 2 failed recordings").action == Action(Verb.DISMISS)
    held = shown("attention", counts={"HELD": 1})
    assert not [each for each in held.menu if each.label.startswith("Dismiss")]


def test_without_a_daemon_it_says_so_and_offers_to_start_it():
    found = shown("down")
    assert (found.icon, found.tooltip) == (IconState.DOWN, "Dropscribe: not running")
    assert item(found, "Start Dropscribe").action == Action(Verb.START)
    assert "service install" in item(shown("down", can_start=False), "To start it").label


def test_recent_transcripts_open_their_first_file():
    recent = [{"uid": str(n), "name": f"r{n}.wav", "outputs": [f"/r/r{n}.txt", "/r/x.json"]} for n in range(15)]
    found = item(shown(recent=[{"uid": "x", "name": "no file", "outputs": []}, *recent]), "Recent").children
    assert [each.action for each in found] == [Action(Verb.OPEN_FILE, f"/r/r{n}.txt") for n in range(9)]
    assert [each.label for each in item(shown(), "Recent").children] == ["None yet"]


def test_folders_of_the_same_name_are_told_apart():
    folders = [{"path": path, "state": "watching"} for path in ("/a/Calls", "/b/Calls", "/c/Other")]
    assert [each.label for each in item(shown(folders=folders), "Watch").children] == ["/a/Calls", "/b/Calls", "Other"]
    many = [{"path": f"/a/{n}", "state": "watching"} for n in range(25)]
    assert item(shown(folders=many), "Watch").children[-1].label == "5 more on the page"


def test_start_at_login_is_checked_and_toggles():
    assert (item(shown(at_login=True), "Start at").checked, item(shown(at_login=True), "Start at").action.argument) == (
        True,
        "off",
    )
    assert item(shown(at_login=False), "Start at").action == Action(Verb.AT_LOGIN, "on")
    assert not [each for each in shown(at_login=None).menu if each.label.startswith("Start at")]


@pytest.mark.parametrize("state", ["idle", "working", "paused", "attention", "down"])
def test_every_menu_has_one_default_and_a_way_out(state):
    found = shown(state)
    defaults = [each for each in every_item(found.menu) if each.default]
    assert len(defaults) == 1
    assert found.menu[-1].action == Action(Verb.QUIT)
    assert SEPARATOR in found.menu


def test_pauses():
    assert pause_until("hour", NOW) == NOW.timestamp() + 3600
    assert pause_until("resumed", NOW) is None
    assert pause_until("tomorrow", NOW) == local(2026, 3, 29)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone can't be set here")
def test_tomorrow_is_midnight_even_when_the_clocks_change(monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        # In the night to 29 March 2026, 02:00 becomes 03:00; at noon of the 29th the offset is another one.
        noon = dt.datetime(2026, 3, 29, 12).astimezone()
        assert pause_until("tomorrow", noon) - noon.timestamp() == 12 * 3600
        evening = dt.datetime(2026, 3, 28, 23).astimezone()
        assert pause_until("tomorrow", evening) - evening.timestamp() == 3600
        autumn = dt.datetime(2026, 10, 25, 0, 30).astimezone()
        assert pause_until("tomorrow", autumn) - autumn.timestamp() == 24.5 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


@given(
    name=st.text(min_size=1),
    reason=st.text(),
    state=st.sampled_from(["idle", "working", "paused", "attention"]),
    number=st.integers(0, 10**9),
)
def test_names_and_reasons_stay_one_readable_line(name, reason, state, number):
    found = shown(
        state,
        counts={"WAITING": number},
        recent=[{"uid": "u", "name": name, "outputs": ["/x"]}],
        holds=[{"name": "h", "reason": reason, "fix": ""}],
        folders=[{"path": f"/r/{name}", "state": "watching", "reason": reason}],
        active=[{"uid": "u", "name": name, "progress": 0.5}],
    )
    assert 0 < len(found.tooltip) <= 120
    for each in every_item(found.menu):
        assert each == SEPARATOR or 0 < len(each.label) <= 150
        assert not set(each.label) & set("\n\r\t\0\u202e\u2066\u200b\u2028")


def test_what_a_newer_daemon_adds_is_passed_over():
    found = msgspec.convert({**snapshot(), "new": 1, "counts": {"NEW": 3, "WAITING": 1}}, Snapshot)
    assert found.at_work == 1
