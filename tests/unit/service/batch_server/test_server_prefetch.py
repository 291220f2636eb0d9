import threading

import pytest

from service.batch_server.recognition.engine import prefetch


def test_items_come_in_order():
    assert list(prefetch(range(5))) == [0, 1, 2, 3, 4]
    assert list(prefetch([])) == []


def test_the_next_item_is_made_while_the_last_is_in_use():
    second_made = threading.Event()

    def items():
        yield 1
        second_made.set()
        yield 2

    found = prefetch(items())
    assert next(found) == 1
    assert second_made.wait(5)
    assert list(found) == [2]


def test_what_goes_wrong_is_raised_in_its_turn():
    def items():
        yield 1
        raise ValueError("broken")

    found = prefetch(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_stopping_early_leaves_no_thread():
    found = prefetch(range(100))
    next(found)
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
