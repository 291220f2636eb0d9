"""Every move that `transitions` allows happens in some scenario, and the ledger's methods make no other move."""

import itertools

import pytest

from tests.support.ledger_tools import CLOUD, ROOT, added, claim, opened
from watcher.ledger import AUTOMATIC, USER_REQUESTS, IllegalMove, JobOutcome
from watcher.models import AttemptState, EntryState

S = EntryState


class Recorder:
    """A ledger that records which entry each of its methods moved, as the database shows it.

    Attributes:
        automatic: the moves (origin, target) that Dropscribe made by itself.
        user_requests: those that the user asked for.
    """

    USER_METHODS = ("cancel", "retry")

    def __init__(self, ledger):
        self.ledger = ledger
        self.automatic, self.user_requests = set(), set()
        self.now = itertools.count(100.0)

    def __getattr__(self, name):
        method = getattr(self.ledger, name)

        def call(*args, **values):
            before = self.states()
            try:
                return method(*args, **values)
            finally:
                moves = {(before[each], state) for each, state in self.states().items() if each in before}
                moved = self.user_requests if name in self.USER_METHODS else self.automatic
                moved |= {(origin, target) for origin, target in moves if origin is not target}

        return call

    def states(self):
        return {entry.id: entry.state for state in S for entry in self.ledger.in_state(state)}

    # Steps that scenarios have in common

    def drop(self, name="a.wav", content="content", **more):
        return added(self, name, content, now=next(self.now), **more)

    def upload(self):
        entry, attempt = claim(self, now=next(self.now))
        return entry, attempt

    def armed(self):
        entry, attempt = self.upload()
        self.arm(attempt, now=next(self.now), key="key")
        return entry, attempt

    def submitted(self):
        _, attempt = self.armed()
        return self.accept(attempt, f"job of {attempt.reference}", now=next(self.now), key="key")

    def transcribed_one(self):
        return self.transcribed(self.submitted(), now=next(self.now))

    def done_one(self):
        return self.done(self.transcribed_one(), (), now=next(self.now))

    def why(self):
        return {"now": next(self.now), "reason": "A reason."}

    def requeued(self, attempt, ended=AttemptState.REFUSED):
        return self.requeue(attempt, ended, next_attempt_at=0.0, **self.why())


# Scenarios: each is a possible life of a recording; `it` is a Recorder with one recording that waits.


def transcribe(it):
    it.done_one()


def reuse_the_transcript_of_a_copy(it):
    first = it.done_one()
    it.drop("copy.wav")
    copy, _ = claim(it, now=next(it.now), reusable=lambda _entry, _twin, owner: owner.id == first.id)
    it.done(copy, (), now=next(it.now))


def replace_a_waiting_recording(it):
    it.drop("a.wav", "other content")


def stop_watching_the_folder(it):
    it.cancel_unwatched([ROOT / "elsewhere"], now=next(it.now))


def submit_again_after_a_passing_error(it):
    it.requeued(it.upload()[1])


def fail_for_a_refused_upload(it):
    it.fail(it.upload()[0], job=JobOutcome.NOT_CREATED, **it.why())


def remove_the_recording_during_its_upload(it):
    it.withdraw(it.upload()[0], **it.why())


def hold_for_a_fault_of_dropscribe(it):
    held = it.hold(it.upload()[0], job=JobOutcome.NOT_CREATED, retry_at=900.0, **it.why())
    it.try_again(held, **it.why())


def lose_the_answer_and_find_the_job(it):
    entry, attempt = it.armed()
    it.hold(entry, **it.why())
    it.accept(attempt, "job", now=next(it.now), key="key")


def lose_the_answer_and_find_no_job(it):
    entry, attempt = it.armed()
    it.hold(entry, **it.why())
    it.requeued(attempt, AttemptState.ABSENT)


def lose_the_answer_of_a_replaced_recording_and_find_no_job(it):
    entry, attempt = it.armed()
    it.hold(entry, **it.why())
    it.drop("a.wav", "other content")
    it.requeued(attempt, AttemptState.ABSENT)


def reject_the_job(it):
    it.fail(it.submitted(), job=JobOutcome.NO_TRANSCRIPT, **it.why())


def change_the_key_and_change_it_back(it):
    it.track_again(it.hold(it.submitted(), **it.why()), **it.why())


def fetch_a_damaged_transcript_again(it):
    entry = it.transcribed_one()
    it.fetch_again(entry, entry, **it.why())


def fail_to_convert_the_transcript(it):
    it.hold(it.transcribed_one(), **it.why())


def replace_the_recording_before_its_transcript_is_written(it):
    it.discard(it.transcribed_one(), **it.why())


def cancel_while_waiting_and_retry(it):
    waiting = it.ledger.at_path(ROOT / "a.wav")
    it.retry(it.cancel(waiting, **it.why()), **it.why())


def cancel_while_a_job_may_exist_and_retry(it):
    entry, _ = it.armed()
    it.retry(it.cancel(entry, **it.why()), **it.why())


def cancel_a_submitted_recording_and_adopt_its_job(it):
    it.retry(it.cancel(it.submitted(), **it.why()), **it.why())
    entry, attempt = it.upload()
    it.adopt(attempt, it.orphaned_jobs(entry, CLOUD)[0], now=next(it.now))


def cancel_before_the_outputs_are_written(it):
    it.cancel(it.transcribed_one(), **it.why())


def publish_a_finished_recording_again(it):
    it.retry(it.done_one(), **it.why())


def retry_and_cancel_a_failure(it):
    it.retry(it.drop("b.wav", "b", state=S.FAILED), **it.why())
    it.cancel(it.drop("c.wav", "c", state=S.FAILED), **it.why())


def retry_a_skipped_recording(it):
    it.retry(it.drop("b.wav", "b", state=S.SKIPPED), **it.why())


def retry_and_cancel_what_is_held(it):
    held = it.hold(it.submitted(), **it.why())
    resumed = it.retry(held, resume=True, **it.why())
    held = it.hold(resumed, job=JobOutcome.NO_TRANSCRIPT, **it.why())
    it.retry(held, **it.why())
    it.cancel(it.hold(it.armed()[0], **it.why()), **it.why())


SCENARIOS = [
    transcribe,
    reuse_the_transcript_of_a_copy,
    replace_a_waiting_recording,
    stop_watching_the_folder,
    submit_again_after_a_passing_error,
    fail_for_a_refused_upload,
    remove_the_recording_during_its_upload,
    hold_for_a_fault_of_dropscribe,
    lose_the_answer_and_find_the_job,
    lose_the_answer_and_find_no_job,
    lose_the_answer_of_a_replaced_recording_and_find_no_job,
    reject_the_job,
    change_the_key_and_change_it_back,
    fetch_a_damaged_transcript_again,
    fail_to_convert_the_transcript,
    replace_the_recording_before_its_transcript_is_written,
    cancel_while_waiting_and_retry,
    cancel_while_a_job_may_exist_and_retry,
    cancel_a_submitted_recording_and_adopt_its_job,
    cancel_before_the_outputs_are_written,
    publish_a_finished_recording_again,
    retry_and_cancel_a_failure,
    retry_a_skipped_recording,
    retry_and_cancel_what_is_held,
]


def edges(table):
    return {(origin, target) for origin, targets in table.items() for target in targets}


@pytest.fixture
def recorder(tmp_path):
    """Make a recorder with a new ledger and one waiting recording."""
    ledgers = []

    def make():
        ledgers.append(opened(tmp_path / str(len(ledgers))))
        it = Recorder(ledgers[-1])
        it.drop()
        return it

    yield make
    for ledger in ledgers:
        ledger.close()


def test_the_scenarios_take_every_allowed_move_and_no_other(recorder):
    automatic, user_requests = set(), set()
    for scenario in SCENARIOS:
        it = recorder()
        scenario(it)
        automatic |= it.automatic
        user_requests |= it.user_requests
    assert automatic == edges(AUTOMATIC)
    assert user_requests == edges(USER_REQUESTS)


# No method moves an entry along anything but an edge, whatever state the entry is in.

SITUATIONS = {
    "waiting": lambda it: it.ledger.at_path(ROOT / "a.wav"),
    "uploading": lambda it: it.upload()[0],
    "armed": lambda it: it.armed()[0],
    "submitted": lambda it: it.submitted(),
    "transcribed": lambda it: it.transcribed_one(),
    "done": lambda it: it.done_one(),
    "failed": lambda it: it.fail(it.upload()[0], job=JobOutcome.NOT_CREATED, **it.why()),
    "failed with a job": lambda it: it.fail(it.submitted(), **it.why()),
    "skipped": lambda it: it.drop("b.wav", "b", state=S.SKIPPED),
    "cancelled": lambda it: it.cancel(it.ledger.at_path(ROOT / "a.wav"), **it.why()),
    "cancelled while a job may exist": lambda it: it.cancel(it.armed()[0], **it.why()),
    "held while a job may exist": lambda it: it.hold(it.armed()[0], **it.why()),
    "held with a job": lambda it: it.hold(it.submitted(), **it.why()),
    "held without a job": lambda it: it.hold(it.upload()[0], job=JobOutcome.NOT_CREATED, **it.why()),
}

METHODS = {
    "fail": lambda it, entry, _: it.fail(entry, **it.why()),
    "hold": lambda it, entry, _: it.hold(entry, **it.why()),
    "withdraw": lambda it, entry, _: it.withdraw(entry, **it.why()),
    "discard": lambda it, entry, _: it.discard(entry, **it.why()),
    "cancel": lambda it, entry, _: it.cancel(entry, **it.why()),
    "retry": lambda it, entry, _: it.retry(entry, **it.why()),
    "retry, resume": lambda it, entry, _: it.retry(entry, resume=True, **it.why()),
    "transcribed": lambda it, entry, _: it.transcribed(entry, now=next(it.now)),
    "done": lambda it, entry, _: it.done(entry, (), now=next(it.now)),
    "fetch again": lambda it, entry, _: it.fetch_again(entry, entry, **it.why()),
    "try again": lambda it, entry, _: it.try_again(entry, **it.why()),
    "track again": lambda it, entry, _: it.track_again(entry, **it.why()),
    "cancel unwatched": lambda it, _, __: it.cancel_unwatched([], now=next(it.now)),
    "replace": lambda it, entry, _: it.drop(entry.path.name, "other content"),
    "claim": lambda it, _, __: claim(it, now=next(it.now)),
    "arm": lambda it, _, attempt: it.arm(attempt, now=next(it.now), key="key"),
    "accept": lambda it, _, attempt: it.accept(attempt, "job", now=next(it.now), key="key"),
    "requeue": lambda it, _, attempt: it.requeued(attempt),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_moves_an_entry_only_along_an_edge_and_refuses_everything_else(recorder, method):
    for situation, bring_about in SITUATIONS.items():
        it = recorder()
        entry = bring_about(it)
        attempt = it.ledger.latest_attempt(entry.id)
        if attempt is None and method in {"arm", "accept", "requeue"}:
            continue
        before = it.ledger.history(entry.id)
        try:
            METHODS[method](it, entry, attempt)
        except IllegalMove:
            assert it.ledger.entry(entry.id) == entry, situation
            assert it.ledger.history(entry.id) == before, situation
        assert it.automatic <= edges(AUTOMATIC), situation
        assert it.user_requests <= edges(USER_REQUESTS), situation
