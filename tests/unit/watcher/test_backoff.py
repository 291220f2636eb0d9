from hypothesis import given
from hypothesis import strategies as st

from watcher.backoff import backoff


def test_the_delay_doubles_until_it_reaches_its_limit():
    assert [backoff(n, first=5, longest=60) for n in range(1, 7)] == [5, 10, 20, 40, 60, 60]


def test_the_growth_can_be_slower():
    assert [backoff(n, first=100, longest=150, factor=1.2) for n in (1, 2, 3, 4)] == [100, 120, 144, 150]


@given(st.integers(-5, 10**9), st.floats(1.0, 4.0), st.floats(0, 1))
def test_jitter_shortens_it_by_a_quarter_at_most_however_many_failures_there_were(failures, factor, jitter):
    whole = backoff(failures, first=5, longest=900, factor=factor)
    assert 5 <= whole <= 900
    assert 0.75 * whole <= backoff(failures, first=5, longest=900, factor=factor, jitter=jitter) <= whole
