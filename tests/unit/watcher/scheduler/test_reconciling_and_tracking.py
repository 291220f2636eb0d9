from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher import errors as ours
from watcher import speechmatics as sm
from watcher.models import Attempt, AttemptState
from watcher.scheduler.adopt import choose
from watcher.scheduler.deliver import covers_too_little
from watcher.scheduler.listing import Listing, oldest_relevant
from watcher.scheduler.reconcile import RETENTION, Absence, decide_outcome, next_look
from watcher.scheduler.track import is_hopeless, poll_pause, sweep_pause

NOW = 1_800_000_000.0


def attempt(armed_ago=10.0):
    return Attempt(1, 1, "reference", AttemptState.ARMED, "account", NOW - armed_ago, NOW - armed_ago)


def listing(began=100.0, *, found=False, opaque=False):
    jobs = {"reference": [sm.JobDetails("id", sm.JobStatus.RUNNING, "2026-01-01T00:00:00Z")]} if found else {}
    return Listing(began, jobs, opaque)


def decide(listing, absence=None, *, armed_ago=10.0, settle=60.0, same_key=True):
    return decide_outcome(attempt(armed_ago), listing, absence, now=NOW, settle_listing=settle, same_key=same_key)


def test_a_job_that_is_found_is_adopted_however_old_and_opaque_the_list():
    assert decide(listing(found=True, opaque=True), armed_ago=10 * RETENTION) == "adopt"


def test_one_listing_proves_nothing():
    assert decide(listing()) == "wait"


def test_two_listings_far_enough_apart_prove_that_there_is_no_job():
    assert decide(listing(159.9), Absence(100.0)) == "wait"
    assert decide(listing(160.0), Absence(100.0)) == "absent"


def test_lists_that_another_key_gave_prove_nothing_but_what_they_show():
    assert decide(listing(160.0), Absence(100.0), same_key=False) == "hold for the key"
    assert decide(listing(159.9), Absence(100.0), same_key=False) == "wait"
    assert decide(listing(160.0, found=True), Absence(100.0), same_key=False) == "adopt"


def test_without_certainty_a_person_decides():
    assert decide(listing(opaque=True), Absence(0.0)) == "hold"
    assert decide(listing(200.0), Absence(100.0), armed_ago=RETENTION + 1) == "hold"


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0.1, 1e4), st.booleans(), st.floats(-1e6, 1e7), st.booleans())
def test_never_absent_without_two_complete_listings(since, began, settle, opaque, armed_ago, same_key):  # noqa: PLR0917 - Hypothesis gives them in order
    more = {"settle": settle, "armed_ago": armed_ago, "same_key": same_key}
    found = decide(listing(began, opaque=opaque), Absence(since), **more)
    if found == "absent":
        assert same_key
        assert began - since >= settle
        assert not opaque
        assert armed_ago <= RETENTION


@pytest.mark.parametrize(
    ("statuses", "kept", "deleted"),
    [
        (("running", "running", "running"), "0", ["1", "2"]),
        (("running", "done"), "0", []),
        (("rejected", "running", "running"), "1", ["2"]),
        (("deleted", "expired", "done", "running"), "2", ["3"]),
        (("deleted", "rejected"), "0", []),
    ],
)
def test_the_oldest_job_that_may_give_a_transcript_is_kept_and_others_that_run_are_deleted(statuses, kept, deleted):
    jobs = [sm.JobDetails(str(n), sm.JobStatus(status), "2026-01-01T00:00:00Z") for n, status in enumerate(statuses)]
    keep, twins = choose(jobs)
    assert (keep.id, twins) == (kept, deleted)


@given(st.floats(0.2, 1e4), st.floats(0, 1e5))
def test_looks_come_soon_at_first_and_the_last_one_settles_it(settle, elapsed):
    pause = next_look(0.0, elapsed, settle)
    assert 0.2 <= pause <= max(0.2, settle / 2)


def test_the_absence_is_settled_right_after_its_time():
    at, looks = 0.0, 0
    while at < 600.0:
        at += next_look(0.0, at, 600.0)
        looks += 1
    assert at == pytest.approx(600.0)
    assert looks <= 12


def test_the_list_is_read_back_past_the_arming():
    assert oldest_relevant(NOW) < datetime.fromtimestamp(NOW, tz=UTC) - timedelta(hours=23)


# Tracking


@given(st.integers(1, 10**6), st.floats(0, 1.0), st.floats(0, 1))
def test_a_server_that_does_not_hold_its_answer_is_not_hammered(polls, took, jitter):
    assert 0.3 <= poll_pause(polls, took, jitter) <= 10.0


@given(st.integers(1, 10**6), st.floats(1.01, 100), st.floats(0, 1))
def test_a_server_that_holds_its_answer_is_asked_again_at_once(polls, took, jitter):
    assert poll_pause(polls, took, jitter) == 0.0


@given(st.integers(1, 20_000), st.floats(0, 1e5))
def test_sweeps_keep_to_some_pages_a_second_and_half_a_minute(tracked, quiet):
    pause = sweep_pause(tracked, quiet)
    assert 1.0 <= pause <= 30.0
    assert pause >= min(30.0, -(-tracked // 100) * 0.75)


def test_what_waiting_mends_is_never_given_up():
    for error in (sm.ServerError(503), sm.ConnectFailed("offline"), sm.RateLimited(429), ours.NoSpace("full")):
        assert not is_hopeless(error, 10**6)
    assert not is_hopeless(sm.NotFound(404, from_api=False), 10**6), "a hotel's login page says nothing of jobs"
    assert not is_hopeless(sm.Gone(410, from_api=False), 10**6)


def test_what_is_gone_is_gone_and_what_is_missing_gets_some_time():
    assert is_hopeless(sm.Gone(410), 1)
    assert not is_hopeless(sm.NotFound(404), 1)
    assert is_hopeless(sm.NotFound(404), 6)
    assert not is_hopeless(KeyError("a bug"), 5)
    assert is_hopeless(KeyError("a bug"), 6)


# Half a recording


@given(st.floats(0, 1e6))
def test_the_whole_recording_is_never_too_little(duration):
    assert not covers_too_little(duration, duration)
    assert not covers_too_little(duration, float(int(duration)))
    assert not covers_too_little(None, duration)
    assert not covers_too_little(duration, None)


@given(st.floats(10, 1e6))
def test_half_of_it_is(duration):
    assert covers_too_little(duration, duration / 2)
