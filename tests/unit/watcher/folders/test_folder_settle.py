"""When is a file whole? Time is passed in; nothing here waits."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.folders.model import Sighting
from watcher.folders.stability.decide import CandidateQueue, Observation, Outcome, StabilityPolicy

PATH = Path("/r/a.wav")
WALL = 1_700_000_000.25  # not a whole second: those are special


def sighting(size, at, inode=1, ctime=None):
    return Sighting(PATH, size, int((WALL + at) * 1e9), int((WALL + (at if ctime is None else ctime)) * 1e9), inode, 1)


class World:
    """A file, its queue, and the time."""

    def __init__(self, **policy):
        self.queue = CandidateQueue(StabilityPolicy(**policy))
        self.now = 0.0

    def at(self, now):
        self.now = now
        return self

    def look(self, size, written_at, *, writing=False, complete=True, problem="", inode=1):
        [candidate] = self.queue.due(self.now)
        seen = Observation(sighting(size, written_at, inode), writing, complete, problem)
        return self.queue.decide(candidate, seen, began=self.now, now=self.now, wall=WALL + self.now)

    def next_look(self):
        self.now = self.queue.next_due()
        return self


def test_a_closed_complete_file_settles_after_a_moment():
    world = World()
    assert world.queue.notice(PATH, 0.0)
    assert not world.queue.notice(PATH, 0.01, closed=True)
    assert world.queue.due(0.2) == []
    assert world.at(0.22).look(100, 0.01).outcome is Outcome.WHOLE
    assert world.queue.next_due() is None


def test_a_closed_file_whose_container_does_not_tell_waits_a_little_longer():
    world = World()
    world.queue.notice(PATH, 0.0, closed=True)
    assert world.at(0.2).look(100, 0.0, complete=None).outcome is Outcome.WAIT
    assert world.next_look().now == pytest.approx(1.0)
    assert world.look(100, 0.0, complete=None).outcome is Outcome.WHOLE


def test_a_closed_file_needs_a_second_look_where_nobody_tells_who_writes():
    world = World()
    world.queue.notice(PATH, 0.0, closed=True)
    assert world.at(0.2).look(100, 0.0, writing=None).outcome is Outcome.WAIT
    assert world.next_look().look(100, 0.0, writing=None).outcome is Outcome.WHOLE


def test_an_old_file_found_by_a_scan_settles_at_the_first_look():
    world = World()
    world.queue.notice(PATH, 0.0, found=True)
    assert world.at(0.0).look(100, -3600).outcome is Outcome.WHOLE


def test_a_young_file_found_by_a_scan_waits_for_quiet():
    world = World(settle=2.0)
    world.queue.notice(PATH, 0.0, found=True)
    assert world.at(0.0).look(100, -0.5).outcome is Outcome.WAIT
    assert world.next_look().now == pytest.approx(1.5)
    assert world.look(100, -0.5).outcome is Outcome.WHOLE


def test_a_copy_with_an_old_mtime_is_as_young_as_its_inode():
    world = World(settle=2.0)
    world.queue.notice(PATH, 0.0, found=True)
    [candidate] = world.queue.due(0.0)
    seen = Observation(sighting(100, -9999, ctime=-0.1), complete=True)
    assert world.queue.decide(candidate, seen, began=0, now=0, wall=WALL).outcome is Outcome.WAIT


def test_the_clock_of_a_share_is_not_trusted():
    world = World(settle=2.0, trusted_age=600.0)
    world.queue.notice(PATH, 0.0, found=True)
    assert world.at(0.0).look(100, -500).outcome is Outcome.WAIT
    assert world.at(2.0).look(100, -500).outcome is Outcome.WHOLE


def test_a_file_from_the_future_is_watched_instead():
    world = World(settle=2.0)
    world.queue.notice(PATH, 0.0, found=True)
    assert world.at(0.0).look(100, +5000).outcome is Outcome.WAIT
    assert world.at(2.0).look(100, +5000).outcome is Outcome.WHOLE


def test_nothing_settles_while_it_is_open_for_writing_however_quiet():
    world = World()
    world.queue.notice(PATH, 0.0, closed=True)
    for _ in range(100):
        decision = world.next_look().look(100, -5, writing=True)
        assert decision.outcome is Outcome.WAIT
        assert decision.wait <= 10.0
    assert world.now > 600
    assert "open for writing" in decision.reason


def test_a_close_while_it_is_looked_at_is_newer_than_the_look():
    world = World()
    world.queue.notice(PATH, 0.0)
    [candidate] = world.queue.due(0.2)
    world.queue.notice(PATH, 0.25, closed=True)
    stale = Observation(sighting(10, 0.1), has_writer=True, complete=True)
    assert world.queue.decide(candidate, stale, began=0.2, now=0.3, wall=WALL + 0.3).outcome is Outcome.WAIT
    assert world.next_look().now == pytest.approx(0.45)
    assert world.look(100, 0.25).outcome is Outcome.WHOLE


def test_a_container_cut_short_waits_and_is_then_given_up_on():
    world = World(incomplete=60.0)
    world.queue.notice(PATH, 0.0, closed=True)
    while (decision := world.next_look().look(100, 0.0, complete=False)).outcome is Outcome.WAIT:
        assert "not complete" in decision.reason
    assert decision.outcome is Outcome.TRUNCATED
    assert world.now == pytest.approx(60.0, abs=0.1)


def test_where_nobody_tells_who_writes_a_container_cut_short_waits_much_longer():
    world = World(incomplete=60.0, abandoned=600.0)
    world.queue.notice(PATH, 0.0, closed=True)
    while (decision := world.next_look().look(100, 0.0, complete=False, writing=None)).outcome is Outcome.WAIT:
        pass
    assert decision.outcome is Outcome.TRUNCATED
    assert world.now == pytest.approx(600.0, abs=0.1)


@pytest.mark.parametrize(("told", "settled_at"), [(-0.25, 1.75), (0.0, 0.2), (-1.25, 0.75), (-2.25, 0.2), (40.75, 0.2)])
def test_a_time_in_whole_seconds_must_be_past_before_it_is_believed(told, settled_at):
    """Two seconds after a whole second nothing can get that time any more; a clock that is ahead is not waited for."""
    world = World()
    world.queue.notice(PATH, 0.0, closed=True)
    while (decision := world.next_look().look(100, told)).outcome is Outcome.WAIT:
        assert "too coarse" in decision.reason
    assert decision.outcome is Outcome.WHOLE
    assert world.now == pytest.approx(settled_at, abs=0.03)


def test_a_container_that_becomes_complete_settles_soon():
    world = World()
    world.queue.notice(PATH, 0.0, closed=True)
    assert world.at(0.2).look(100, 0.0, complete=False).outcome is Outcome.WAIT
    world.queue.notice(PATH, 3.0, closed=True)
    assert world.next_look().look(200, 3.0).outcome is Outcome.WHOLE
    assert world.now == pytest.approx(3.2)


def test_a_writer_that_pauses_teaches_its_rhythm():
    world = World()
    size = 100
    world.queue.notice(PATH, 0.0, closed=True)
    for start in (10.0, 20.0, 30.0):
        while world.queue.next_due() < start:
            assert world.next_look().look(size, start - 10, complete=False).outcome is Outcome.WAIT
        size += 100
        world.queue.notice(PATH, start, closed=True)
    # From its header on it looks complete at each close now; the rhythm of its pauses says to wait.
    decision = world.next_look().look(size, 30.0, complete=True)
    assert decision.outcome is Outcome.WAIT
    while world.next_look().look(size, 30.0, complete=True).outcome is Outcome.WAIT:
        pass
    assert 40.0 < world.now <= 30.0 + 20.1


def test_a_placeholder_that_is_filled_later_is_no_rhythm():
    world = World()
    world.queue.notice(PATH, 0.0, closed=True)
    while world.queue.next_due() < 30.0:
        world.next_look().look(0, 0.0, complete=False)
    world.queue.notice(PATH, 30.0, closed=True)
    assert world.next_look().look(5000, 30.0).outcome is Outcome.WHOLE
    assert world.now == pytest.approx(30.2)


def test_what_can_not_be_read_is_handed_on_to_be_explained():
    world = World(settle=2.0)
    world.queue.notice(PATH, 0.0, closed=True)
    assert world.at(0.2).look(1, 0.0, problem="may not be read").outcome is Outcome.WAIT
    assert world.next_look().look(1, 0.0, problem="may not be read").outcome is Outcome.UNREADABLE
    assert world.now == pytest.approx(2.0)


def test_what_is_gone_is_forgotten():
    world = World()
    world.queue.notice(PATH, 0.0)
    [candidate] = world.queue.due(0.2)
    assert world.queue.decide(candidate, Observation(None), began=0.2, now=0.2, wall=WALL).outcome is Outcome.GONE
    assert not world.queue.candidates


def test_a_renamed_candidate_keeps_what_is_known_about_it():
    world = World()
    new = PATH.with_name("b.wav")
    world.queue.notice(new, 0.0)
    world.queue.notice(PATH, 0.0, closed=True)
    world.queue.moved(PATH, new, 0.1)
    assert list(world.queue.candidates) == [new]
    assert world.queue.candidates[new].closed


@dataclass(frozen=True)
class Step:
    """Something that happens to the file: after `pause` seconds."""

    pause: float
    what: str


STEPS = st.lists(
    st.builds(
        Step,
        pause=st.floats(0.01, 40.0),
        what=st.sampled_from(["open", "write", "close", "attrib", "found", "replace"]),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, tells_writers=st.booleans(), tells_closes=st.booleans(), complete=st.sampled_from([True, None]))
def test_whatever_happens_nothing_is_half_and_nothing_is_forgotten(  # noqa: C901 - one model of a file, in one place
    steps, tells_writers, tells_closes, complete
):
    """Play any order of events against a model of the file.

    Where the platform tells who writes, nothing settles while it is open. Where it doesn't tell, nothing settles
    within the quiet that was asked for. Left alone, everything settles.
    """
    policy = StabilityPolicy()
    queue = CandidateQueue(policy)
    now, size, inode, changed, is_open = 0.0, 100, 1, 0.0, False
    events: list[float] = []

    def look_until(end):
        nonlocal now
        while (due := queue.next_due()) is not None and due <= end:
            now = max(now, due)
            for candidate in queue.due(now):
                found = Sighting(PATH, size, int((WALL + changed) * 1e9), int((WALL + changed) * 1e9), inode, 1)
                seen = Observation(found, is_open if tells_writers else None, complete)
                decision = queue.decide(candidate, seen, began=now, now=now, wall=WALL + now)
                if decision.outcome is Outcome.WHOLE:
                    events.append(now)
                    if tells_writers:
                        assert not is_open
                    quiet = now - changed
                    least = policy.closed if tells_closes or tells_writers else policy.settle
                    assert quiet >= least - 0.03

    queue.notice(PATH, 0.0, found=not tells_closes)
    for step in steps:
        look_until(now + step.pause)
        now += step.pause
        match step.what:
            case "open":
                is_open = True
            case "write" if is_open:
                size, changed = size + 10, now
            case "close" if is_open:
                is_open = False
                if tells_closes:
                    queue.notice(PATH, now, closed=True)
            case "attrib" if tells_closes:
                queue.notice(PATH, now)
            case "replace" if not is_open:
                size, inode, changed = size + 1, inode + 1, now
                if tells_closes:
                    queue.notice(PATH, now, closed=True)
                else:
                    queue.notice(PATH, now, found=True)
            case "found":
                queue.notice(PATH, now, found=True)
    if is_open:
        is_open = False
        if tells_closes:
            queue.notice(PATH, now, closed=True)
    queue.notice(PATH, now, found=True)
    look_until(now + 400)
    assert events
    assert events[-1] >= changed
    assert not queue.candidates


def test_patience_is_a_value():
    assert replace(StabilityPolicy(), settle=9).settle == 9
