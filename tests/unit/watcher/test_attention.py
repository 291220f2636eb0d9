"""What needs attention: one table, and every surface agrees on it."""

import datetime as dt
import itertools

import msgspec
import pytest

from service.cli.status import _status_lines
from service.desktop_notifications import Grouper, current_problems
from service.os_service.sd_notify import status_line
from service.tray.icons import IconState
from service.tray.menu import view
from service.tray.model import Snapshot
from tests.support.control_server import snapshot
from tests.support.ledger_tools import added, opened
from watcher.attention import attention, entry_needs_attention, overall_state
from watcher.models import PAUSE, EntryState

HOLDS = {
    "none": [],
    "pause": [{"name": PAUSE, "reason": "You paused it.", "fix": "dropscribe resume", "since": 0.0, "until": None}],
    "key": [{"name": "account:x", "reason": "The key was rejected.", "fix": "dropscribe login", "since": 0.0}],
}
HOLDS["both"] = [*HOLDS["pause"], *HOLDS["key"]]
FOLDER = {"path": "/r", "engine": "local", "state": "events", "reason": "", "fix": "", "pending": 0, "paused": False}
FOLDERS = {
    "good": {**FOLDER},
    "by looking": {**FOLDER, "state": "polling", "reason": 'The config says polling = "always".'},
    "paused": {**FOLDER, "paused": True},
    "gone": {**FOLDER, "state": "unavailable", "reason": "It is not there.", "fix": "Mount it."},
    "marked": {**FOLDER, "reason": "/r/.dropscribe.toml: bad.", "problems": ["/r/.dropscribe.toml: bad."]},
}
NEEDS_YOU = {"key", "both", "gone", "marked", "broken", "FAILED", "HELD"}
"""The table: which of the facts below need attention."""

CASES = [
    (state, dismissed, hold, folder, config)
    for state, dismissed in [*((state, False) for state in EntryState), (EntryState.FAILED, True)]
    for hold, folder, config in itertools.product(HOLDS, FOLDERS, ("good", "broken"))
]


def whole(state, hold, folder, config, *, dismissed=False):
    """Build the snapshot as `Control.snapshot` does."""
    needs = entry_needs_attention(state, dismissed_at=1.0 if dismissed else None)
    problem = "line 3: unknown key." if config == "broken" else ""
    found = attention({state: 1} if needs else {}, HOLDS[hold], [FOLDERS[folder]], problem)
    counts = {each: int(each is state) for each in EntryState}
    paused = hold in {"pause", "both"}
    return snapshot(
        overall_state(counts, needs_attention=bool(found), paused=paused),
        counts={each.value: number for each, number in counts.items()},
        holds=HOLDS[hold],
        folders=[FOLDERS[folder]],
        config_problem=problem,
        attention=found,
        paused=paused,
        accounts=[],
    )


@pytest.mark.parametrize(("state", "dismissed", "hold", "folder", "config"), CASES)
def test_every_surface_agrees_on_what_needs_attention(state, dismissed, hold, folder, config):
    expected = bool({hold, folder, config} & NEEDS_YOU) or (state.value in NEEDS_YOU and not dismissed)
    found = whole(state, hold, folder, config, dismissed=dismissed)

    icon = view(msgspec.convert(found, Snapshot), now=dt.datetime.now().astimezone(), at_login=None, can_start=False)
    printed = _status_lines(found)
    messages = Grouper().problems(current_problems(found, first=True), 0.0)

    assert (found["state"] == "attention") is expected, "the page"
    assert (icon.icon is IconState.ATTENTION) is expected, "the tray icon"
    assert ("needs you" in icon.tooltip) is expected, "its tooltip"
    assert any(item.label.startswith("⚠") for item in icon.menu) is expected, "its menu"
    assert ("needs you" in printed[0]) is expected, "dropscribe status"
    assert any(line.startswith("needs you:") for line in printed) is expected, "dropscribe status"
    assert bool(messages) is expected, "notifications"
    assert ("needs you" in status_line(found)) is expected, "the service manager"
    assert len(messages) == len(found["attention"]) == sum(line.startswith("needs you:") for line in printed)
    if not expected and hold == "pause":
        assert (found["state"], icon.icon) == ("paused", IconState.PAUSED)


def test_the_ledger_counts_what_the_definition_names(tmp_path):
    ledger = opened(tmp_path)
    for state in EntryState:
        for name in ("open", "dismissed", "replaced"):
            entry = added(ledger, f"{state} {name}")
            values = (state.value, 5.0 if name == "dismissed" else None, int(name != "replaced"), entry.id)
            ledger._connection.execute("UPDATE entries SET state=?, dismissed_at=?, current=? WHERE id=?", values)
    everything = [entry for state in EntryState for entry in ledger.in_state(state)]
    needing = [e for e in everything if entry_needs_attention(e.state, dismissed_at=e.dismissed_at, current=e.current)]
    assert ledger.count_attention() == {entry.state: 1 for entry in needing}
    assert {e.id for e in ledger.entries(attention=True)} == {e.id for e in needing}
    assert {e.path.name for e in needing} == {"FAILED open", "HELD open"}
    assert ledger.entries(attention=True, state=EntryState.DONE) == []
    ledger.close()
