from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.hooks import Finished, Limits, Outcome, environment_for, judge_status, next_try, webhook_body
from watcher.models import OutputFormat

DONE = Finished(
    uid="u1",
    source=Path("/r/Interviews/Anna; rm -rf $HOME.wav"),
    folder=Path("/r"),
    outputs={
        OutputFormat.TXT: Path("/r/Interviews/Anna.txt"),
        OutputFormat.JSON_V2: Path("/r/Interviews/Anna.json"),
    },
    done_at=12.5,
)


def test_a_command_gets_the_paths_and_no_key():
    base = {"PATH": "/bin", "SPEECHMATICS_API_KEY": "secret", "NOTIFY_SOCKET": "/s", "DROPSCRIBE_OUTPUT_SRT": "stale"}
    assert environment_for(DONE, base) == {
        "PATH": "/bin",
        "DROPSCRIBE_SOURCE": "/r/Interviews/Anna; rm -rf $HOME.wav",
        "DROPSCRIBE_FOLDER": "/r",
        "DROPSCRIBE_UID": "u1",
        "DROPSCRIBE_OUTPUT_TXT": "/r/Interviews/Anna.txt",
        "DROPSCRIBE_OUTPUT_JSON_V2": "/r/Interviews/Anna.json",
    }


def test_a_webhook_gets_names_and_not_the_text():
    assert webhook_body(DONE) == {
        "event": "transcript.ready",
        "uid": "u1",
        "name": "Anna; rm -rf $HOME.wav",
        "source": "/r/Interviews/Anna; rm -rf $HOME.wav",
        "folder": "/r",
        "outputs": {"txt": "/r/Interviews/Anna.txt", "json-v2": "/r/Interviews/Anna.json"},
        "done_at": 12.5,
    }


@pytest.mark.parametrize(
    ("status", "retry_after", "expected"),
    [
        (204, None, (True, False, None)),
        (503, "7", (False, True, 7.0)),
        (429, "Wed, 21 Oct 2026 07:28:00 GMT", (False, True, None)),
        (408, None, (False, True, None)),
        (404, "7", (False, False, None)),
        (302, None, (False, False, None)),
    ],
)
def test_answers(status, retry_after, expected):
    found = judge_status(status, retry_after=retry_after)
    assert (found.ok, found.again, found.after) == expected
    assert found.ok or str(status) in found.why


@given(tried=st.integers(1, 9), chance=st.floats(0, 1), after=st.none() | st.floats(0, 10**6))
def test_tries_end_and_waits_grow_within_bounds(tried, chance, after):
    limits = Limits()
    wait = next_try(Outcome(ok=False, again=True, after=after), tried=tried, limits=limits, chance=chance)
    if tried >= limits.tries:
        assert wait is None
    else:
        assert 3.75 <= wait <= 300
        assert wait >= min(after or 0, 300)
    assert next_try(Outcome(ok=True, again=True), tried=tried, limits=limits, chance=chance) is None
    assert next_try(Outcome(ok=False), tried=tried, limits=limits, chance=chance) is None


def test_waits_are_four_times_as_long_each():
    again = Outcome(ok=False, again=True)
    assert [next_try(again, tried=n, limits=Limits(), chance=0.5) for n in (1, 2, 3)] == [5, 20, 80]
