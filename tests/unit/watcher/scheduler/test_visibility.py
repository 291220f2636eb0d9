import pytest

from watcher.scheduler.visibility import Visibility


class Client:
    def __init__(self, key):
        self._key = key

    def key_digest(self, salt):
        return f"{self._key} {salt.decode()}"


@pytest.fixture
def visibility():
    made = Visibility(any_key=False)
    made.salt = b"salt"
    return made


def test_a_key_sees_its_own_jobs_and_those_whose_key_is_not_known(visibility):
    assert visibility.sees(Client("old"), "old salt")
    assert visibility.sees(Client("old"), None)
    assert not visibility.sees(Client("new"), "old salt")


def test_where_any_key_will_do_every_job_is_seen_and_no_key_is_new():
    visibility = Visibility(any_key=True)
    assert visibility.sees(Client("new"), "old")
    assert not visibility.key_of(Client("new"))
    assert not visibility.key_of(Client("old"))
    assert visibility.changes == 0


def test_each_change_of_the_key_counts_and_the_first_key_is_no_change(visibility):
    seen = []
    for name in ("old", "new", "new", "old"):
        visibility.key_of(Client(name))
        seen.append(visibility.changes)
    assert seen == [0, 1, 1, 2]


def test_what_is_held_for_a_key_that_was_replaced_just_before_is_asked_for_again(visibility):
    replaced = visibility.key_of(Client("new"))
    present = visibility.key_of(Client("old"))
    assert visibility.changes == 1
    visibility.gave_up(replaced)
    assert visibility.changes == 2
    visibility.gave_up(present)
    assert visibility.changes == 2
