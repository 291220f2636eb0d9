"""No page order, page size or clustering of creation times loses a job."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.speechmatics import BrokenJson, JobDetails, JobStatus, PagingStalled, parse_timestamp
from watcher.speechmatics.paging import JobPager, as_cursor

START = datetime(2026, 1, 1, tzinfo=UTC)


def job(index, microseconds):
    when = START + timedelta(microseconds=microseconds)
    return JobDetails(str(index), JobStatus.DONE, when.isoformat(timespec="microseconds").replace("+00:00", "Z"))


def floor(when):
    return when.replace(microsecond=when.microsecond // 1000 * 1000)


def nearest(when):
    return floor(when + timedelta(microseconds=500))


class Listing:
    """A service's job list: cut to whole milliseconds (or rounded), newest first, at most `cap` at once."""

    def __init__(self, jobs, *, to_millisecond=floor, cap=None):
        self.jobs = sorted(jobs, key=lambda each: each.created, reverse=True)
        self.to_millisecond = to_millisecond
        self.cap = cap
        self.asked = 0

    def page(self, cursor, limit):
        self.asked += 1
        assert self.asked < 2000, "the pager never ends"
        before = None if cursor is None else parse_timestamp(as_cursor(cursor))
        shown = [each for each in self.jobs if before is None or self.to_millisecond(each.created) < before]
        return shown[: min(limit or len(shown), self.cap or len(shown))]


def walk(listing, page_size, created_before=None):
    pager = JobPager(created_before, page_size)
    found = []
    while not pager.done:
        found += pager.accept(listing.page(pager.cursor, pager.limit))
    return found


TIMES = st.lists(st.integers(0, 5) | st.integers(0, 20_000), max_size=60)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TIMES, st.integers(1, 20), st.sampled_from([floor, nearest]))
def test_every_job_is_found_once_and_in_order(times, page_size, to_millisecond):
    listing = Listing([job(index, when) for index, when in enumerate(times)], to_millisecond=to_millisecond)
    found = walk(listing, page_size)
    assert sorted(each.id for each in found) == sorted(each.id for each in listing.jobs)
    assert [each.created for each in found] == sorted((each.created for each in found), reverse=True)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TIMES, st.integers(0, 20_000))
def test_a_start_in_the_past_leaves_out_only_what_is_newer(times, begin):
    jobs = [job(index, when) for index, when in enumerate(times)]
    before = floor(START + timedelta(microseconds=begin))
    found = walk(Listing(jobs), 7, before)
    assert {each.id for each in found} == {each.id for each in jobs if floor(each.created) < before}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TIMES, st.lists(st.integers(0, 59), max_size=10))
def test_jobs_that_come_and_go_meanwhile_cost_no_other(times, removed):
    jobs = [job(index, when) for index, when in enumerate(times)]
    listing = Listing(jobs)
    pager = JobPager(None, 5)
    found = []
    leaving = [str(index) for index in removed]
    while not pager.done:
        found += pager.accept(listing.page(pager.cursor, pager.limit))
        listing.jobs.insert(0, job(f"new{listing.asked}", 30_000 + listing.asked))
        if leaving:
            gone = leaving.pop()
            listing.jobs = [each for each in listing.jobs if each.id != gone]
    ids = [each.id for each in found]
    assert len(ids) == len(set(ids))
    assert {each.id for each in jobs if each.id not in {str(index) for index in removed}} <= set(ids)


def test_more_jobs_in_one_millisecond_than_a_page_holds_are_asked_for_whole():
    listing = Listing([job(index, 7) for index in range(250)] + [job("old", 0)])
    assert len(walk(listing, 100)) == 251


def test_a_list_that_silently_repeats_itself_is_not_trusted():
    listing = Listing([job(index, 7) for index in range(250)], cap=100)
    with pytest.raises(PagingStalled, match=r"could be missed"):
        walk(listing, 100)


def test_a_page_cap_below_the_limit_loses_nothing():
    listing = Listing([job(index, index * 10_000) for index in range(230)], cap=50)
    assert len(walk(listing, 100)) == 230


def test_a_job_without_a_readable_time_is_an_error():
    with pytest.raises(BrokenJson, match=r"creation time"):
        JobPager().accept([JobDetails("a", JobStatus.DONE, "yesterday")])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2018-01-09T12:29:01.853047Z", datetime(2018, 1, 9, 12, 29, 1, 853047, UTC)),
        ("2018-01-09T12:29:01.853047999Z", datetime(2018, 1, 9, 12, 29, 1, 853047, UTC)),
        ("2018-01-09T12:29:01.85Z", datetime(2018, 1, 9, 12, 29, 1, 850000, UTC)),
        ("2018-01-09T12:29:01Z", datetime(2018, 1, 9, 12, 29, 1, tzinfo=UTC)),
        ("2018-01-09T14:29:01+02:00", datetime(2018, 1, 9, 12, 29, 1, tzinfo=UTC)),
        ("2018-01-09T12:29:01", datetime(2018, 1, 9, 12, 29, 1, tzinfo=UTC)),
    ],
)
def test_timestamps_of_every_precision_are_read(text, expected):
    assert parse_timestamp(text) == expected


def test_a_cursor_is_utc_to_the_millisecond():
    assert as_cursor(datetime(2026, 1, 1, 1, 2, 3, 4999, UTC)) == "2026-01-01T01:02:03.004Z"
    assert as_cursor(datetime(2026, 1, 1, 1, 2, 3)) == "2026-01-01T01:02:03.000Z"  # noqa: DTZ001 - on purpose
