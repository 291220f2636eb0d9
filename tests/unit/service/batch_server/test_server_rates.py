import datetime as dt

import pytest

from service.batch_server.api.rate_limit import RateLimit
from service.batch_server.usage import Sum, report
from tests.support import spec


def test_a_second_s_worth_is_allowed_at_once_and_then_one_by_one():
    limit = RateLimit(10.0)
    assert [limit.excess("me", 100.0) for _ in range(10)] == [None] * 10
    assert limit.excess("me", 100.0) == pytest.approx(0.1)
    assert limit.excess("me", 100.1) is None
    assert limit.excess("me", 100.1) == pytest.approx(0.1)


def test_owners_do_not_share_their_rate():
    limit = RateLimit(1.0)
    assert limit.excess("me", 0.0) is None
    assert limit.excess("you", 0.0) is None
    assert limit.excess("me", 0.5) == pytest.approx(0.5)


def test_over_time_no_more_than_the_rate_is_allowed():
    limit = RateLimit(10.0)
    allowed = sum(limit.excess("me", step / 100) is None for step in range(1000))
    assert allowed == 10 + 99


def test_without_a_rate_everything_is_allowed():
    limit = RateLimit(None)
    assert all(limit.excess("me", 0.0) is None for _ in range(1000))


def test_those_who_have_gone_are_forgotten():
    limit = RateLimit(1.0)
    for number in range(5000):
        assert limit.excess(str(number), float(number)) is None
    assert len(limit._next) < 1100


def test_usage_is_reported_as_documented():
    body = report(
        [Sum("de", "enhanced", 1, 720.0), Sum("en", "standard", 2, 5400.0)], dt.date(2026, 1, 1), dt.date(2026, 1, 31)
    )
    spec.assert_valid(body, "UsageResponse")
    assert body["summary"] == [{"mode": "batch", "type": "transcription", "count": 3, "duration_hrs": 1.7}]
    assert [item["duration_hrs"] for item in body["details"]] == [0.2, 1.5]
    assert (body["since"], body["until"]) == ("2026-01-01T00:00:00Z", "2026-01-31T23:59:59Z")


def test_no_usage_is_reported_as_nothing():
    body = report([], dt.date(2026, 1, 1), dt.date(2026, 1, 1))
    assert (body["summary"], body["details"]) == ([], [])
