import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher import errors as ours
from watcher import speechmatics as sm
from watcher.models import EntryKind
from watcher.scheduler import retry
from watcher.scheduler.breaker import CircuitBreaker
from watcher.scheduler.retry import Cancel, Fail, Hold, Look, PauseAccount, StopAccount, TryAgain
from watcher.timings import RetryDelays

DELAYS = RetryDelays()
retry_delay = functools.partial(retry.retry_delay, delays=DELAYS)
decide = functools.partial(retry.decide, delays=DELAYS)

jitters = st.floats(0, 1)
times = st.floats(0, 4e9)

DECISIONS = [
    (sm.SubmissionUnknown("lost"), Look),
    (sm.AuthenticationError(401, "no"), StopAccount),
    (sm.PermissionDenied(403, "no"), StopAccount),
    (sm.ConfigurationError("no key"), StopAccount),
    (sm.Redirected(302, "elsewhere"), StopAccount),
    (sm.NotFound(404, "no such path"), StopAccount),
    (sm.RateLimited(429, "slow down"), PauseAccount),
    (sm.ConcurrencyLimited(429, "too many"), PauseAccount),
    (sm.ConnectFailed("offline"), PauseAccount),
    (ours.EngineUnavailable("starting"), PauseAccount),
    (sm.ServerError(503, "later", retry_after=30.0), PauseAccount),
    (sm.ServerError(503, "later"), TryAgain),
    (sm.ConnectionLost("reset"), TryAgain),
    (sm.Timeout("stalled"), TryAgain),
    (sm.WrongContentType("a page"), TryAgain),
    (sm.ApiError(408, "stalled"), TryAgain),
    (sm.BadRequest(400, "bad"), Fail),
    (sm.Unprocessable(422, "bad"), Fail),
    (sm.PayloadTooLarge(413, "large"), Fail),
    (ours.BrokenMedia("broken"), Fail),
    (ours.LimitExceeded("endless"), Fail),
    (ours.ReadTimeout("a stuck share"), TryAgain),
    (ours.TooLarge("too large"), Fail),
    (ours.InternalError("no decoder"), Hold),
    (ours.ConfigError("bad settings"), Fail),
    (ours.NoSpace("full"), TryAgain),
    (ours.NotWritable("read-only"), TryAgain),
    (ours.SourceChanged("changed"), TryAgain),
    (sm.SourceUnreadable("unreadable"), TryAgain),
    (ZeroDivisionError("a bug"), TryAgain),
]


@pytest.mark.parametrize(("error", "decision"), DECISIONS, ids=lambda each: type(each).__name__)
def test_every_error_has_its_decision(error, decision):
    found = decide(error, attempts=1, now=1000.0, jitter=0.5)
    assert isinstance(found, decision)
    assert found.reason


def test_a_refused_request_is_made_again_with_other_options():
    error = sm.BadRequest(400, "no such language")
    found = decide(error, attempts=1, now=0.0, jitter=0.0, kind=EntryKind.REQUESTED)
    assert found.fix == "Run `dropscribe transcribe` again with other options."
    assert "dropscribe retry FILE" in decide(error, attempts=1, now=0.0, jitter=0.0).fix


@given(st.sampled_from([error for error, _ in DECISIONS]), st.integers(1, 1000), times, jitters)
def test_delays_lie_ahead_and_within_bounds(error, attempts, now, jitter):
    found = decide(error, attempts=attempts, now=now, jitter=jitter)
    at = {TryAgain: "at", Hold: "at", PauseAccount: "until"}.get(type(found))
    if at:
        assert now < getattr(found, at) <= now + 3600.0


@given(st.integers(1, 10_000), times, jitters)
def test_networks_and_busy_services_are_never_given_up(attempts, now, jitter):
    for error, decision in DECISIONS:
        if decision in {PauseAccount, TryAgain} and not isinstance(error, ZeroDivisionError):
            assert isinstance(decide(error, attempts=attempts, now=now, jitter=jitter), PauseAccount | TryAgain)


@given(st.integers(1, 10_000), jitters)
def test_only_an_unknown_outcome_is_looked_for_and_it_always_is(attempts, jitter):
    for error, _ in DECISIONS:
        found = decide(error, attempts=attempts, now=0.0, jitter=jitter)
        assert isinstance(found, Look) == isinstance(error, sm.SubmissionUnknown)


def test_a_bug_is_tried_again_some_times_then_held_and_never_the_recordings_fault():
    found = decide(ZeroDivisionError("a bug"), attempts=retry.MOST_SURPRISES, now=0.0, jitter=0.0)
    assert isinstance(found, Hold)
    assert found.reason == "Dropscribe itself failed: ZeroDivisionError: a bug"
    assert "Update Dropscribe" in found.fix
    assert "retries automatically" in found.fix
    assert found.at == retry.fault_delay(retry.MOST_SURPRISES, DELAYS)


@given(st.integers(1, 10_000))
def test_what_failed_by_our_fault_is_tried_again_after_a_minute_and_at_least_every_hour(attempts):
    found = decide(ours.InternalError("no decoder"), attempts=attempts, now=100.0, jitter=0.5)
    assert isinstance(found, Hold)
    assert 60.0 <= found.at - 100.0 <= 3600.0
    assert retry.fault_delay(attempts, DELAYS) <= retry.fault_delay(attempts + 1, DELAYS)


@given(st.integers(1, 60), jitters, jitters)
def test_backoff_doubles_up_to_a_quarter_of_an_hour(attempts, one, other):
    assert 0.75 * min(5.0 * 2 ** (attempts - 1), 900.0) <= retry_delay(attempts, one) <= 900.0
    assert retry_delay(attempts, one) <= retry_delay(attempts + 1, other) / 0.75


def test_a_wish_of_the_service_is_a_minimum_within_reason():
    assert decide(sm.RateLimited(429, "", retry_after=40.0), attempts=1, now=0.0, jitter=0.0).until == 40.0
    assert decide(sm.RateLimited(429, "", retry_after=1e9), attempts=1, now=0.0, jitter=0.0).until == 3600.0


def test_nothing_of_what_was_refused_for_its_own_fault_pauses_the_others():
    for error, decision in DECISIONS:
        if decision is Fail:
            assert not retry.is_the_services_fault(error)
    assert isinstance(Cancel("gone"), Cancel)


# The circuit breaker


def test_uploads_that_fail_together_are_one_trouble():
    one = CircuitBreaker()
    for _ in range(4):
        one.open(10.0, "offline", now=5.0)
    assert one.troubles == 1
    one.open(20.0, "offline", now=11.0)
    assert one.troubles == 2
    one.record_success()
    assert one.troubles == 0


def test_a_busy_service_is_no_trouble():
    one = CircuitBreaker()
    one.open(10.0, "slow down", now=5.0, is_trouble=False)
    assert (one.troubles, one.is_open(7.0)) == (0, True)


def test_a_service_that_fails_again_and_again_is_left_alone():
    one = CircuitBreaker()
    for _ in range(2):
        one.record_failure("503", now=1.0, delay=lambda tried: 5.0 * tried)
    assert not one.is_open(1.0)
    one.record_failure("503", now=1.0, delay=lambda tried: 5.0 * tried)
    assert one.is_open(5.9)
    assert not one.is_open(6.1)


def test_a_clock_that_was_set_back_ends_a_pause():
    one = CircuitBreaker()
    one.open(9e9 + 60, "offline", now=9e9)
    assert not one.is_open(1000.0)


def test_a_rate_limit_met_by_jitter_costs_a_moment_and_met_again_and_again_ever_more():
    error = sm.RateLimited(429, "slow down")
    waits = [decide(error, attempts=1, now=0.0, jitter=0.0, throttled=n).until for n in range(10)]
    assert waits[0] == 0.25
    assert waits == sorted(waits)
    assert waits[-1] == DELAYS.longest_throttle
    assert decide(sm.ConcurrencyLimited(429, "too many"), attempts=1, now=0.0, jitter=0.0, throttled=9).until == 15.0


def test_uploads_that_meet_a_limit_together_count_once_and_an_accepted_job_ends_it():
    one = CircuitBreaker()
    for at in (1.0, 1.1, 1.2):
        one.open(at + 1.0, "429", now=at, is_trouble=False)
    assert (one.throttled, one.troubles) == (1, 0)
    one.open(5.0, "429", now=4.0, is_trouble=False)
    assert one.throttled == 2
    one.record_success()
    assert one.throttled == 0
