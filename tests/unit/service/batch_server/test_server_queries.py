import pytest

from service.batch_server.api import params
from service.batch_server.errors import BadQuery, Malformed


@pytest.mark.parametrize(("text", "expected"), [("1", 1), ("100", 100), ("+5", 5)])
def test_limit(text, expected):
    assert params.limit({"limit": text}) == expected


@pytest.mark.parametrize("text", ["0", "101", "-1", "x", "", "1.5", "9" * 40])
def test_a_limit_out_of_range_is_refused(text):
    with pytest.raises(BadQuery, match="limit in query"):
        params.limit({"limit": text})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000),
        ("1970-01-01T00:00:01.234567Z", 1_234_000),
        ("1970-01-01T00:00:01.234999999Z", 1_234_000),
        ("1970-01-01T00:00:01.2Z", 1_200_000),
        ("1970-01-01T02:00:01+02:00", 1_000_000),
        ("1970-01-01T02:00:01 02:00", 1_000_000),
        ("1970-01-01T00:00:01", 1_000_000),
    ],
)
def test_created_before_is_cut_to_the_millisecond(text, expected):
    assert params.created_before({"created_before": text}) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "12345", "2020-13-01T00:00:00Z"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(BadQuery, match="created_before"):
        params.created_before({"created_before": text})


def test_absent_means_no_bound():
    assert params.limit({}) is None
    assert params.created_before({}) is None
    assert params.flag({}, "force") is False
    assert params.wait_seconds({}, longest=60) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("5", 5),
        ("1000", 60),
        ("-3", 0),
    ],
)
def test_wait_is_capped(text, expected):
    assert params.wait_seconds({"wait": text}, longest=60) == expected


def test_flags():
    assert params.flag({"force": "true"}, "force") is True
    assert params.flag({"force": "0"}, "force") is False
    with pytest.raises(BadQuery, match="force"):
        params.flag({"force": "maybe"}, "force")


@pytest.mark.parametrize("text", ["x", "", "1.5"])
def test_a_wait_that_is_no_number_is_refused(text):
    with pytest.raises(BadQuery, match="wait"):
        params.wait_seconds({"wait": text}, longest=60)


def test_days():
    assert str(params.day({"since": "2026-02-28"}, "since")) == "2026-02-28"
    assert params.day({}, "since") is None
    with pytest.raises(BadQuery, match="since"):
        params.day({"since": "2026-02-30"}, "since")


def test_processing_data_is_noted():
    assert params.processing_data(None) == ""
    assert "user ann" in params.processing_data('{"user_id": "ann"}')
    assert "no effect" in params.processing_data('{"parallel_engines": 4}')
    for wrong in ("", "x", "[]", '{"parallel_engines": "4"}', '{"other": 1}'):
        with pytest.raises(Malformed):
            params.processing_data(wrong)
