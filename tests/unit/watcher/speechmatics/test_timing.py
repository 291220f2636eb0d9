"""When a request is tried again, and how long polls pause: decisions, without waiting."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.speechmatics import (
    AuthenticationError,
    BadRequest,
    BrokenJson,
    ConcurrencyLimited,
    ConnectionLost,
    JobTimeout,
    NotFound,
    RateLimited,
    RetryPolicy,
    ServerError,
    Timeout,
)
from watcher.speechmatics.timing import parse_retry_after
from watcher.speechmatics.waiting import Patience

PASSING = [
    ServerError(500), ServerError(503), RateLimited(429), ConcurrencyLimited(429), Timeout(), ConnectionLost(),
    BrokenJson(),
]  # fmt: skip
LASTING = [BadRequest(400), AuthenticationError(401), NotFound(404), ServerError(501), JobTimeout("a", 1.0)]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PASSING), st.integers(1, 9), st.integers())
def test_pauses_double_up_to_their_bound_with_jitter(error, tried, seed):
    policy = RetryPolicy(attempts=10, base=1.0, longest=20.0, rng=random.Random(seed))
    full = min(20.0, 2.0 ** (tried - 1))
    assert full / 2 <= policy.delay(error, tried) <= full


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_there_is_an_end_to_trying(error):
    assert RetryPolicy(attempts=3).delay(error, 3) is None
    assert RetryPolicy(attempts=1).delay(error, 1) is None


@pytest.mark.parametrize("error", LASTING, ids=lambda error: type(error).__name__)
def test_what_lasts_is_not_tried_again(error):
    assert RetryPolicy().delay(error, 1) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.floats(0, 60), st.integers(1, 4))
def test_the_services_wish_is_the_least_pause(asked, tried):
    delay = RetryPolicy().delay(RateLimited(429, retry_after=asked), tried)
    assert asked <= delay <= asked + 2.0


def test_a_wish_that_is_too_long_is_left_to_the_caller():
    assert RetryPolicy(longest_retry_after=60).delay(RateLimited(429, retry_after=61), 1) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("5", 5.0),
        (" 0 ", 0.0),
        ("999999999999999", 999999999.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-3", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, expected):
    assert parse_retry_after(value, now=60.0) == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40))
def test_no_retry_after_breaks_the_reader(value):
    found = parse_retry_after(value, now=0.0)
    assert found is None or found >= 0


def test_a_server_that_holds_its_answer_is_asked_again_at_once():
    patience = Patience(interval=5.0, first=0.5)
    assert patience.wait(None) == 30
    assert patience.pause(30, 30.0) == 0.0
    assert patience.pause(30, 5.0) == 0.0  # the server caps a wait
    assert patience.wait(7.9) == 7
    assert patience.pause(7, 7.0) == 0.0


def test_a_server_that_does_not_is_polled_with_growing_pauses():
    patience = Patience(interval=2.0, first=0.5, rng=random.Random(1))
    assert patience.wait(None) == 30
    pauses = []
    asked = 30
    for _ in range(8):
        pauses.append(patience.pause(asked, 0.01))
        asked = patience.wait(None)
        assert asked == 0
    assert pauses[0] <= 0.5
    assert all(1.6 <= pause <= 2.0 for pause in pauses[5:])


def test_the_pause_is_never_above_the_interval():
    assert Patience(interval=0.1, first=0.5).pause(0, 0.0) <= 0.1
