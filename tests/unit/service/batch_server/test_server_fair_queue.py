from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batch_server.dispatch.fair_queue import FairQueue


def taken(turns):
    while turns:
        yield turns.take()[1]


def test_ten_thousand_jobs_of_one_delay_the_single_one_of_another_by_one_job():
    turns = FairQueue()
    for number in range(10_000):
        turns.add("many", f"m{number}")
    assert turns.take() == ("many", "m0")
    turns.add("one", "o")
    assert [turns.take() for _ in range(3)] == [("many", "m1"), ("one", "o"), ("many", "m2")]
    assert len(turns) == 10_000 - 3


def test_nobody_who_comes_back_is_served_twice_in_a_round():
    turns = FairQueue()
    for owner in "abc":
        turns.add(owner, owner)
    assert turns.take() == ("a", "a")
    turns.add("a", "a again")
    assert list(taken(turns)) == ["b", "c", "a again"]


def test_without_jobs_there_is_nothing_to_take():
    turns = FairQueue()
    assert (len(turns), bool(turns)) == (0, False)
    with pytest.raises(LookupError):
        turns.take()


@given(st.lists(st.one_of(st.sampled_from("abcd"), st.none()), max_size=200))
def test_all_are_taken_in_order_within_an_owner_and_in_turns_between_them(events):
    """A letter: that owner brings a job; ``None``: one is taken."""
    turns = FairQueue()
    waiting = defaultdict(list)
    passed_over = defaultdict(int)
    for number, owner in enumerate([*events, *[None] * len(events)]):
        if owner is not None:
            turns.add(owner, f"{owner}{number}")
            waiting[owner].append(f"{owner}{number}")
        elif any(waiting.values()):
            served, job = turns.take()
            assert job == waiting[served].pop(0)
            passed_over[served] = 0
            for other, jobs in waiting.items():
                if jobs and other != served:
                    passed_over[other] += 1
                    assert passed_over[other] <= 3  # at most each of the three others once
                elif not jobs:
                    passed_over[other] = 0
    assert not turns


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), unique=True, max_size=12))
def test_the_jobs_ahead_of_one_are_those_taken_before_it(jobs):
    turns = FairQueue()
    for owner, number in jobs:
        turns.add(owner, f"{owner}{number}")
    expected = [turns.ahead(owner, f"{owner}{number}") for owner, number in jobs]
    order = [turns.take()[1] for _ in jobs]
    assert expected == [order.index(f"{owner}{number}") for owner, number in jobs]


def test_a_job_that_does_not_wait_has_none_ahead():
    turns = FairQueue()
    turns.add("ann", "a1")
    assert turns.ahead("ann", "a2") is None
    assert turns.ahead("bob", "a1") is None
