"""Any order of moves, crashes and people's words: the ledger agrees with a plain model, and never pays twice."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.ledger_tools import CLOUD, ROOT, claim, new, opened
from watcher.ledger import IllegalMove, JobOutcome
from watcher.models import AttemptState, EntryState

S = EntryState
NAMES = [f"{letter}.wav" for letter in "abc"]
CONTENTS = ["one", "two", "three"]


class LedgerMachine(RuleBasedStateMachine):
    """Plays daemon, service and person."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="dropscribe-machine-")
        self.ledger = self.opened()
        self.now = 1.0
        self.model = {}  # entry id -> state
        self.uploads = []  # (attempt, content) under way in this process, not armed
        self.lost = []  # (attempt, content, job or None) armed, whose answer is not known
        self.jobs = {}  # the service: id -> content of each job that was billed and not deleted
        self.ended = []  # attempts that came to something
        self.latest = {}  # entry id -> reference of its latest attempt
        self.stored = set()  # entry ids whose transcript is stored
        self.allowed = {}  # content -> how many times a person agreed to pay

    @initialize()
    def start(self):
        self.now += 1

    def teardown(self):
        self.ledger.close()
        self.folder.cleanup()

    def opened(self):
        """The ledger, without waiting for the disk: no power is lost here."""
        ledger = opened(Path(self.folder.name))
        ledger._connection.execute("PRAGMA synchronous = OFF")
        return ledger

    def tick(self):
        self.now += 1.0
        return self.now

    def note(self, *entries):
        for entry in self.ledger.take_moved():
            self.model[entry.id] = entry.state
        for entry in entries:
            assert self.model[entry.id] == entry.state

    def reusable(self, _entry, _twin, owner):
        return owner.id in self.stored

    @precondition(lambda self: list(self.model.values()).count(S.WAITING) < 2)
    @rule(name=st.sampled_from(NAMES), content=st.sampled_from(CONTENTS))
    def drop(self, name, content):
        self.ledger.add([new(name, content)], now=self.tick())
        self.note()

    def has(self, state):
        return state in self.model.values()

    # Rules that can't do anything are left out: a step without an effect is a step less of what is looked for.

    @precondition(lambda self: self.has(S.WAITING) and len(self.uploads) < 2)
    @rule()
    def begin(self):
        claimed = claim(self.ledger, now=self.tick(), reusable=self.reusable)
        self.note()
        if claimed and claimed[1]:
            entry, attempt = claimed
            assert entry.state is S.SUBMITTING
            assert (entry.job_id, entry.copy_of) == (None, None)
            self.latest[entry.id] = attempt.reference
            self.uploads.append((attempt, entry.fingerprint.sha256))

    @precondition(lambda self: self.uploads)
    @rule(
        outcome=st.sampled_from(["accepted", "accepted, answer lost", "not received, answer lost", "refused", "broken"])
    )
    def finish(self, outcome):
        attempt, content = self.uploads.pop(0)
        if self.adopts(attempt):
            return
        wanted = self.model[attempt.entry_id] is S.SUBMITTING and self.latest[attempt.entry_id] == attempt.reference
        if outcome != "broken":
            assert self.arms(attempt) == wanted
            outcome = outcome if wanted else "broken"
        if outcome != "broken":
            assert not self.arms(attempt), "a tail is sent once"
        if outcome == "accepted":
            self.jobs[attempt.reference] = content
            self.accept(attempt)
        elif outcome == "accepted, answer lost":
            self.jobs[attempt.reference] = content
            self.lost.append((attempt, content, "job"))
        elif outcome == "not received, answer lost":
            self.lost.append((attempt, content, None))
        else:
            self.requeue(attempt, AttemptState.REFUSED if outcome == "refused" else AttemptState.DROPPED)

    def adopts(self, attempt):
        """Whether a job that nobody waits for does, instead of an upload."""
        entry = self.ledger.entry(attempt.entry_id)
        left = self.ledger.orphaned_jobs(entry, CLOUD)
        if not left:
            return False
        wanted = entry.state is S.SUBMITTING and self.latest[entry.id] == attempt.reference
        after = self.ledger.adopt(attempt, left[0], now=self.tick())
        assert (after.job_id == left[0].what) == wanted
        self.ended.append(attempt)
        self.note()
        return True

    def arms(self, attempt):
        """Whether the ledger lets the tail of an attempt be sent."""
        try:
            self.ledger.arm(attempt, now=self.tick(), key="key")
        except IllegalMove:
            return False
        return True

    @precondition(lambda self: self.ended)
    @rule(which=st.integers(0, 50), what=st.sampled_from(["arm", "accept", "requeue"]))
    def come_late(self, which, what):
        """An attempt that has ended is heard of once more: from a task that was slow, or a second look at the list."""
        attempt = self.ended[which % len(self.ended)]
        before = self.ledger.entry(attempt.entry_id)
        if what == "arm":
            assert not self.arms(attempt)
        elif what == "accept":
            after = self.ledger.accept(attempt, "a job that is too late", now=self.tick(), key="key")
            assert after.job_id != "a job that is too late"
        else:
            self.requeue(attempt, AttemptState.ABSENT)
        assert self.ledger.entry(attempt.entry_id) == before

    def accept(self, attempt):
        self.ended.append(attempt)
        self.ledger.accept(attempt, attempt.reference, now=self.tick(), key="key")
        self.note()

    def requeue(self, attempt, ended):
        now = self.tick()
        self.ended.append(attempt)
        self.ledger.requeue(attempt, ended, now=now, next_attempt_at=now, reason="No job.")
        self.note()

    @precondition(lambda self: self.lost)
    @rule()
    def reconcile(self):
        attempt, _content, job = self.lost.pop(0)
        if job:
            self.accept(attempt)
        else:
            self.requeue(attempt, AttemptState.ABSENT)

    @precondition(lambda self: self.lost)
    @rule()
    def hold(self):
        entry = self.ledger.entry(self.lost[0][0].entry_id)
        if entry.state is S.SUBMITTING:
            self.ledger.hold(entry, now=self.tick(), reason="It can't be known.")
            self.note()

    @precondition(lambda self: self.uploads or self.lost)
    @rule(happens=st.sampled_from([False, False, True]))
    def crash(self, happens):
        """Nothing but the ledger and the stored transcripts outlives it; attempts that were not armed are dropped."""
        if not happens:
            return
        self.ledger.close()
        self.ledger = self.opened()
        self.uploads.clear()
        for attempt in self.ledger.open_attempts(AttemptState.PREPARED):
            self.requeue(attempt, AttemptState.DROPPED)
        armed = {attempt.reference for attempt in self.ledger.open_attempts(AttemptState.ARMED)}
        assert armed <= {attempt.reference for attempt, _content, _job in self.lost}

    @precondition(lambda self: self.has(S.SUBMITTED))
    @rule(which=st.integers(0, 5))
    def fetch(self, which):
        entries = self.ledger.in_state(S.SUBMITTED)
        if entries:
            entry = self.ledger.transcribed(entries[which % len(entries)], now=self.tick())
            self.stored.add(entry.id)
            self.note(entry)

    @precondition(lambda self: self.has(S.TRANSCRIBED))
    @rule(which=st.integers(0, 5))
    def publish(self, which):
        entries = self.ledger.in_state(S.TRANSCRIBED)
        if entries:
            self.note()
            entry = self.ledger.done(entries[which % len(entries)], (), now=self.tick())
            self.note(entry)

    @precondition(lambda self: self.model)
    @rule(name=st.sampled_from(NAMES), word=st.sampled_from(["cancel", "retry"]))
    def a_persons_word(self, name, word):
        entry = self.ledger.at_path(ROOT / name)
        if entry is None:
            return
        with contextlib.suppress(IllegalMove):
            if word == "cancel":
                self.ledger.cancel(entry, now=self.tick(), reason="Cancelled.")
            else:
                self.retry(entry)
        self.note()

    def retry(self, entry):
        after = self.ledger.retry(entry, now=self.tick(), reason="Asked.", resume=True)
        content = entry.fingerprint.sha256
        if entry.state is S.HELD and after.state is S.WAITING:
            self.allowed[content] = self.allowed.get(content, 0) + 1

    @rule()
    def clean(self):
        """The network is there: what nobody waits for is deleted."""
        for left in self.ledger.due_cleanups(self.tick(), kind="job"):
            self.ledger.finish_cleanup(left, now=self.now, outcome="Deleted.")
            self.jobs.pop(left.what, None)

    @precondition(lambda self: self.has(S.SUBMITTED))
    @rule(which=st.integers(0, 5))
    def vanish(self, which):
        """The service lost a job: its entry is for a person to decide about."""
        entries = self.ledger.in_state(S.SUBMITTED)
        if entries:
            entry = entries[which % len(entries)]
            del self.jobs[entry.job_id]
            ended = self.ledger.hold(entry, now=self.tick(), reason="Expired.", job=JobOutcome.NO_TRANSCRIPT)
            self.note(ended)
            assert ended.job_id is None

    @invariant()
    def the_ledger_agrees_with_the_model(self):
        self.note()
        for entry_id, state in self.model.items():
            assert self.ledger.entry(entry_id).state is state

    @invariant()
    def nothing_is_billed_twice(self):
        for content in CONTENTS:
            billed = list(self.jobs.values()).count(content)
            assert billed <= 1 + self.allowed.get(content, 0), f"{content}: billed {billed} times"

    @invariant()
    def every_job_is_waited_for_or_left_to_be_deleted_or_looked_for(self):
        entries = [self.ledger.entry(entry_id) for entry_id in self.model]
        known = {entry.job_id for entry in entries if entry.state in {S.SUBMITTED, S.TRANSCRIBED, S.DONE, S.HELD}}
        known |= {left.what for entry in entries for left in self.ledger.cleanups(entry.id)}
        known |= {attempt.reference for attempt, _content, job in self.lost if job}
        assert set(self.jobs) <= known, "a job was forgotten at the service"

    @invariant()
    def what_waits_is_at_its_path_and_has_no_job(self):
        for entry in self.ledger.in_state(S.WAITING):
            assert entry.current
            assert entry.job_id is None

    @invariant()
    def only_the_latest_attempt_of_an_entry_is_open(self):
        for state in (AttemptState.PREPARED, AttemptState.ARMED):
            for attempt in self.ledger.open_attempts(state):
                assert attempt.reference == self.ledger.entry(attempt.entry_id).reference

    @invariant()
    def histories_lead_to_the_states(self):
        for entry_id, state in self.model.items():
            changes = self.ledger.history(entry_id)
            assert [change.origin for change in changes[1:]] == [change.target for change in changes[:-1]]
            assert changes[-1].target is state


@pytest.mark.parametrize("examples", [25, pytest.param(200, marks=pytest.mark.long)])
def test_the_ledger_agrees_with_the_model(examples):
    health = [HealthCheck.too_slow]
    how = settings(max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=health)
    run_state_machine_as_test(LedgerMachine, settings=how)
