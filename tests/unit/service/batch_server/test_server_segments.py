import itertools

from hypothesis import given
from hypothesis import strategies as st

from service.batch_server.recognition.segments import Span, pack, unrecognised


def test_short_pauses_stay_in_a_window_and_long_ones_part_it():
    speech = [Span(0, 10), Span(12, 20), Span(30, 40)]
    windows = pack(speech, longest=100, longest_pause=5)
    assert [(window.start, window.end) for window in windows] == [(0, 20), (30, 40)]
    assert windows[0].speech == (Span(0, 10), Span(12, 20))


def test_a_window_is_never_longer_than_allowed():
    windows = pack([Span(0, 60), Span(60, 100), Span(100, 130)], longest=100, longest_pause=5)
    assert [(window.start, window.end) for window in windows] == [(0, 100), (100, 130)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 100)), max_size=50), st.integers(0, 50))
def test_no_speech_is_lost_or_heard_twice(raw, pause):
    position, speech = 0, []
    for gap, length in raw:
        speech.append(Span(position + gap, position + gap + length))
        position += gap + length
    windows = pack(speech, longest=100, longest_pause=pause)
    assert [span for window in windows for span in window.speech] == speech
    assert all(window.end - window.start <= 100 for window in windows)
    assert all(a.end <= b.start for a, b in itertools.pairwise(windows))


def test_a_window_is_heard_again_from_the_first_speech_that_was_left_out():
    speech = [Span(0, 100), Span(120, 200), Span(210, 300)]
    assert unrecognised(speech, 110, padding=10, least=50) == 120
    assert unrecognised(speech, 150, padding=10, least=50) == 150
    assert unrecognised(speech, 290, padding=10, least=50) is None
    assert unrecognised(speech, 300, padding=10, least=1) is None
