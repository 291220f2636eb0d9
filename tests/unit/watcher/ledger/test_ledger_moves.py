import pytest

from tests.support.ledger_tools import CLOUD, CONFIG, ROOT, added, claim, done, new, opened, states, submitted
from watcher.ledger import AUTOMATIC, IllegalMove, JobOutcome, config_key
from watcher.models import AttemptState, Engine, EntryState, OutputFormat

S = EntryState


@pytest.fixture
def ledger(tmp_path):
    ledger = opened(tmp_path)
    yield ledger
    ledger.close()


def history(ledger, entry):
    return [change.target for change in ledger.history(entry.id)]


def test_an_entry_goes_its_whole_way_and_leaves_a_row_for_each_move(ledger):
    entry = added(ledger, "a.wav")
    ended = done(ledger)
    assert ended.state is S.DONE
    assert history(ledger, entry) == [S.WAITING, S.SUBMITTING, S.SUBMITTED, S.TRANSCRIBED, S.DONE]


def test_nothing_that_may_have_been_paid_waits_again_by_itself_without_proof():
    assert S.WAITING not in AUTOMATIC[S.SUBMITTED] | AUTOMATIC[S.TRANSCRIBED] | AUTOMATIC[S.DONE]


def test_the_same_content_at_the_same_path_is_not_added_again(ledger):
    entry = added(ledger, "a.wav")
    [(again, is_new)] = ledger.add([new("a.wav", mtime_ns=9)], now=2.0)
    assert (again.id, is_new, again.fingerprint.mtime_ns) == (entry.id, False, 9)


def test_other_content_is_a_new_entry_and_cancels_the_waiting_one(ledger):
    entry = added(ledger, "a.wav", "one")
    other = added(ledger, "a.wav", "two")
    assert ledger.entry(entry.id).state is S.CANCELLED
    assert not ledger.entry(entry.id).current
    assert ledger.at_path(other.path).id == other.id


def test_other_content_during_an_upload_leaves_no_entry_that_waits_for_ever(ledger):
    added(ledger, "a.wav", "one")
    _entry, attempt = claim(ledger)
    added(ledger, "a.wav", "two")
    back = ledger.requeue(attempt, AttemptState.REFUSED, now=3.0, next_attempt_at=3.0, reason="It changed.")
    assert back.state is S.CANCELLED


def test_the_same_complaint_is_not_written_down_twice_even_about_a_name_that_is_no_text(ledger):
    why = "in\udcffbox/a.wav can't be read"
    unread = new("a\udcff.wav", state=S.FAILED, reason=why)
    unread = type(unread)(**{name: getattr(unread, name) for name in unread.__slots__} | {"fingerprint": _no_digest()})
    [(first, is_new)] = ledger.add([unread], now=1.0)
    [(second, again)] = ledger.add([unread], now=2.0)
    assert (is_new, again, first.id) == (True, False, second.id)
    assert ledger.known([(unread.path, 10, 1)]) == [False], "it is tried again by the next scan"


def _no_digest():
    from watcher.models import Fingerprint

    return Fingerprint(10, 1, "")


def test_names_and_reasons_that_are_no_text_are_kept(ledger):
    added(ledger, "caf\udce9.wav")
    entry, _ = claim(ledger)
    ledger.hold(entry, now=2.0, reason=f"{entry.path} is odd")
    assert ledger.at_path(ROOT / "caf\udce9.wav").state is S.HELD


# Claiming


def test_claims_are_oldest_first_or_newest_first(ledger):
    for name, at in (("b.wav", 2), ("a.wav", 1), ("c.wav", 3)):
        added(ledger, name, mtime_ns=at)
    assert claim(ledger)[0].path.name == "a.wav"
    assert claim(ledger, newest_first=True)[0].path.name == "c.wav"


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_copy_waits_while_its_twin_may_have_a_job_and_shares_its_transcript(ledger, newest_first):
    def claim_next(**more):
        return claim(ledger, newest_first=newest_first, **more)

    added(ledger, "a.wav", "same")
    first, attempt = claim_next()
    added(ledger, "b.wav", "same")
    added(ledger, "c.wav", "same")
    assert claim_next() is None
    assert ledger.twin_in_flight(ledger.at_path(ROOT / "b.wav")).id == first.id
    ledger.arm(attempt, now=1.0, key="key")
    entry = ledger.accept(attempt, "job", now=1.0, key="key")
    assert claim_next() is None
    entry = ledger.transcribed(entry, now=2.0)
    assert claim_next() is None, "its transcript may lack a format, or be damaged"
    ledger.done(entry, (), now=3.0)
    copy, none = claim_next(reusable=lambda _entry, twin, owner: twin.id == owner.id == first.id)
    assert (copy.state, none, copy.copy_of) == (S.TRANSCRIBED, None, first.id)
    ledger.done(copy, (), now=4.0)
    copys_copy, none = claim_next(reusable=lambda _entry, twin, owner: (twin.id, owner.id) == (copy.id, first.id))
    assert (copys_copy.state, none, copys_copy.copy_of) == (S.TRANSCRIBED, None, first.id)


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_copy_of_what_is_held_waits_for_the_persons_decision(ledger, newest_first):
    added(ledger, "a.wav", "same")
    entry, _ = claim(ledger)
    added(ledger, "b.wav", "same")
    ledger.hold(entry, now=1.0, reason="unknown")
    assert claim(ledger, newest_first=newest_first) is None


def test_a_copy_whose_transcript_could_not_be_had_is_a_recording_of_its_own_once_it_is_paid(ledger):
    added(ledger, "a.wav", "same")
    first = done(ledger)
    added(ledger, "b.wav", "same")
    copy, _ = claim(ledger, reusable=lambda _entry, _twin, owner: owner.id == first.id)
    held = ledger.hold(copy, now=104.0, reason="Its stored transcript is gone.")
    ledger.retry(held, now=105.0, reason="You asked for it.")
    again, attempt = claim(ledger, now=106.0)
    assert (again.id, again.copy_of) == (copy.id, None)
    assert attempt is not None


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_copy_of_what_was_cancelled_waits_until_it_is_known_whether_that_has_a_job(ledger, newest_first):
    added(ledger, "a.wav", "same")
    entry, attempt = claim(ledger)
    ledger.arm(attempt, now=2.0, key="key")
    ledger.cancel(entry, now=3.0, reason="You cancelled it.")
    copy = added(ledger, "b.wav", "same")
    assert claim(ledger, newest_first=newest_first) is None
    assert ledger.twin_in_flight(copy).id == entry.id
    ledger.accept(attempt, "job", now=4.0, key="key")
    waiting, second = claim(ledger)
    assert waiting.id == copy.id
    [left] = ledger.orphaned_jobs(waiting, CLOUD)
    assert not ledger.due_cleanups(9.0), "it is not deleted while somebody is about to ask for it"
    taken = ledger.adopt(second, left, now=5.0)
    assert (taken.state, taken.job_id, taken.attempts) == (S.SUBMITTED, "job", 0)
    assert not ledger.cleanups(entry.id)
    assert "for b.wav" in ledger.history(entry.id)[-1].reason


def test_a_copy_with_another_config_is_paid_on_its_own(ledger):
    added(ledger, "a.wav", "same")
    added(ledger, "b.wav", "same", config={"language": "de"})
    assert claim(ledger)
    assert claim(ledger)


def test_a_cancelled_entry_whose_own_transcript_is_stored_is_not_paid_again(ledger):
    added(ledger, "a.wav")
    entry = ledger.transcribed(submitted(ledger), now=2.0)
    entry = ledger.cancel(entry, now=3.0, reason="You cancelled it.")
    ledger.retry(entry, now=4.0, reason="You asked for it.")
    again, attempt = claim(ledger, reusable=lambda entry, _twin, owner: owner.id == entry.id)
    assert (again.state, again.copy_of, attempt) == (S.TRANSCRIBED, None, None)


def test_a_delay_is_kept_but_not_one_that_a_wrong_clock_made(ledger):
    added(ledger, "a.wav")
    _, attempt = claim(ledger, now=100.0)
    ledger.requeue(attempt, AttemptState.REFUSED, now=100.0, next_attempt_at=160.0, reason="later")
    assert claim(ledger, now=120.0) is None
    assert ledger.next_due_at(120.0) == 160.0
    _, attempt = claim(ledger, now=161.0)
    ledger.requeue(attempt, AttemptState.REFUSED, now=9e9, next_attempt_at=9e9 + 60, reason="the clock was ahead")
    assert claim(ledger, now=200.0)


# Attempts and their ends


def test_a_cancelled_upload_is_not_armed(ledger):
    added(ledger, "a.wav")
    entry, attempt = claim(ledger)
    ledger.cancel(entry, now=2.0, reason="You cancelled it.")
    with pytest.raises(IllegalMove):
        ledger.arm(attempt, now=3.0, key="key")
    assert ledger.latest_attempt(entry.id).state is AttemptState.PREPARED


def test_an_upload_that_was_cancelled_and_asked_for_again_is_not_armed(ledger):
    added(ledger, "a.wav")
    entry, attempt = claim(ledger)
    cancelled = ledger.cancel(entry, now=2.0, reason="You cancelled it.")
    ledger.retry(cancelled, now=3.0, reason="You asked for it.")
    _, second = claim(ledger)
    with pytest.raises(IllegalMove):
        ledger.arm(attempt, now=4.0, key="key")
    left = ledger.requeue(attempt, AttemptState.DROPPED, now=4.0, next_attempt_at=4.0, reason="late")
    assert (left.state, left.reference) == (S.SUBMITTING, second.reference)
    ledger.accept(attempt, "late", now=4.5, key="key")
    assert ledger.entry(entry.id) == left
    assert [job.what for job in ledger.due_cleanups(9.0)] == ["late"], "nobody waits for that one"
    ledger.arm(second, now=5.0, key="key")
    with pytest.raises(IllegalMove):
        ledger.arm(second, now=5.0, key="key")


def test_what_is_read_of_a_former_job_does_not_move_the_entry_of_another(ledger):
    """A request that waited for a job that was cancelled is answered when the next one runs already."""
    added(ledger, "a.wav")
    first = submitted(ledger, job_id="first")
    cancelled = ledger.cancel(first, now=101.0, reason="You cancelled it.")
    [left] = ledger.due_cleanups(102.0)
    ledger.finish_cleanup(left, now=102.0, outcome="Its job was deleted at the service.")
    ledger.retry(cancelled, now=103.0, reason="You asked for it.")
    second = submitted(ledger, job_id="second", now=104.0)
    with pytest.raises(IllegalMove):
        ledger.hold(first, now=105.0, reason="Its job was deleted.", job=JobOutcome.NO_TRANSCRIPT)
    with pytest.raises(IllegalMove):
        ledger.transcribed(first, now=105.0)
    assert ledger.entry(first.id) == second


def test_what_was_cancelled_while_its_outputs_were_written_is_not_done(ledger):
    added(ledger, "a.wav", "same")
    first = done(ledger)
    added(ledger, "b.wav", "same")
    copy, _ = claim(ledger, reusable=lambda _entry, _twin, owner: owner.id == first.id)
    ledger.cancel(copy, now=104.0, reason="You cancelled it.")
    with pytest.raises(IllegalMove):
        ledger.done(copy, (), now=105.0)
    assert ledger.entry(copy.id).state is S.CANCELLED


def test_what_came_of_a_former_upload_does_not_end_the_next_one(ledger):
    added(ledger, "a.wav")
    first, _ = claim(ledger)
    cancelled = ledger.cancel(first, now=101.0, reason="You cancelled it.")
    ledger.retry(cancelled, now=102.0, reason="You asked for it.")
    _, second = claim(ledger, now=103.0)
    with pytest.raises(IllegalMove):
        ledger.fail(first, now=104.0, reason="It is no recording.", job=JobOutcome.NOT_CREATED)
    ledger.arm(second, now=105.0, key="key")


def test_a_job_accepted_after_a_cancel_is_nobodys(ledger):
    added(ledger, "a.wav")
    entry, attempt = claim(ledger)
    ledger.arm(attempt, now=2.0, key="key")
    ledger.cancel(entry, now=3.0, reason="You cancelled it.")
    after = ledger.accept(attempt, "job", now=4.0, key="key")
    assert (after.state, after.job_id) == (S.CANCELLED, None)
    assert ledger.latest_attempt(entry.id).job_id == "job"


def test_asking_again_for_what_is_being_submitted_is_refused_as_a_job_may_exist(ledger):
    added(ledger, "a.wav")
    entry, attempt = claim(ledger)
    ledger.arm(attempt, now=2.0, key="key")
    with pytest.raises(IllegalMove):
        ledger.retry(entry, now=3.0, reason="You asked for it.")
    assert ledger.latest_attempt(entry.id).state is AttemptState.ARMED


def test_asking_again_for_what_was_cancelled_while_a_job_may_exist_looks_for_it_first(ledger):
    added(ledger, "a.wav")
    entry, attempt = claim(ledger)
    ledger.arm(attempt, now=2.0, key="key")
    cancelled = ledger.cancel(entry, now=3.0, reason="You cancelled it.")
    again = ledger.retry(cancelled, now=4.0, reason="You asked for it.")
    assert again.state is S.SUBMITTING
    assert ledger.accept(attempt, "job", now=5.0, key="key").state is S.SUBMITTED


def test_retry_asks_a_job_that_can_still_answer_before_it_pays(ledger):
    added(ledger, "a.wav")
    entry = submitted(ledger)
    held = ledger.hold(entry, now=3.0, reason="broken")
    assert ledger.retry(held, now=4.0, reason="You asked for it.", resume=True).state is S.SUBMITTED
    held = ledger.hold(ledger.entry(entry.id), now=5.0, reason="expired", job=JobOutcome.NO_TRANSCRIPT)
    assert ledger.retry(held, now=6.0, reason="You asked for it.", resume=True).state is S.WAITING


def test_who_pays_again_for_what_is_held_gives_up_the_job_that_may_exist(ledger):
    added(ledger, "a.wav", "same")
    entry, attempt = claim(ledger)
    ledger.arm(attempt, now=2.0, key="key")
    held = ledger.hold(entry, now=3.0, reason="unknown")
    ledger.retry(held, now=4.0, reason="You asked for it.")
    assert ledger.open_attempts(AttemptState.ARMED) == []
    assert claim(ledger)[0].id == entry.id


def test_who_pays_again_for_what_is_held_does_not_get_its_job_back(ledger):
    added(ledger, "a.wav")
    held = ledger.hold(submitted(ledger), now=101.0, reason="Another key is needed.")
    again = ledger.retry(held, now=102.0, reason="You asked for it.", resume=False)
    assert (again.state, again.job_id) == (S.WAITING, None)
    assert ledger.orphaned_jobs(again, CLOUD) == []
    assert [left.what for left in ledger.due_cleanups(103.0)] == ["job"]


def test_a_job_that_others_still_need_is_not_given_up_with_one_of_them(ledger):
    added(ledger, "a.wav", "same")
    first = done(ledger)
    added(ledger, "b.wav", "same")
    copy, _ = claim(ledger, reusable=lambda _entry, _twin, owner: owner.id == first.id)
    fetching = ledger.fetch_again(copy, first, now=104.0, reason="Not every format was stored.")
    ledger.cancel(fetching, now=105.0, reason="You cancelled it.")
    assert ledger.due_cleanups(106.0) == []


def test_a_job_is_taken_up_only_by_what_it_does_for(ledger):
    added(ledger, "a.wav", "same")
    entry = submitted(ledger)
    ledger.cancel(entry, now=101.0, reason="You cancelled it.")
    assert [left.what for left in ledger.orphaned_jobs(entry, CLOUD)] == ["job"]
    assert ledger.orphaned_jobs(entry, "elsewhere") == []
    assert ledger.orphaned_jobs(added(ledger, "b.wav", "same", config={"language": "de"}), CLOUD) == []
    assert ledger.orphaned_jobs(added(ledger, "c.wav", "other"), CLOUD) == []


def test_what_is_cancelled_while_it_asks_for_its_former_job_does_not_take_it_up(ledger):
    added(ledger, "a.wav")
    cancelled = ledger.cancel(submitted(ledger), now=101.0, reason="You cancelled it.")
    ledger.retry(cancelled, now=102.0, reason="You asked for it.")
    entry, attempt = claim(ledger, now=103.0)
    [left] = ledger.orphaned_jobs(entry, CLOUD)
    assert ledger.due_cleanups(104.0) == [], "it is about to be asked for"
    ledger.cancel(entry, now=104.0, reason="You cancelled it.")
    assert ledger.adopt(attempt, left, now=105.0).state is S.CANCELLED
    assert ledger.due_cleanups(106.0) == [left]


def test_a_job_is_kept_until_the_outputs_are_written(ledger):
    added(ledger, "a.wav")
    entry = ledger.transcribed(submitted(ledger), now=101.0, delete_job=True)
    assert ledger.due_cleanups(102.0) == []
    ledger.done(entry, (), now=103.0)
    assert [left.what for left in ledger.due_cleanups(104.0)] == ["job"]


def test_engines_share_no_transcripts():
    assert config_key(Engine.LOCAL, CONFIG) != config_key(Engine.SPEECHMATICS, CONFIG)


def test_retry_takes_the_settings_of_now(ledger):
    added(ledger, "a.wav")
    failed = ledger.fail(claim(ledger)[0], now=2.0, reason="refused", job=JobOutcome.NOT_CREATED)
    settings = Engine.LOCAL, {"language": "de"}, (OutputFormat.SRT,)
    again = ledger.retry(failed, now=3.0, reason="You asked for it.", again=settings)
    assert (again.engine, again.config, again.formats) == settings
    assert again.config_key == config_key(Engine.LOCAL, {"language": "de"})


def test_retry_of_what_is_not_at_its_path_any_more_is_refused(ledger):
    entry = added(ledger, "a.wav", "one")
    ended = ledger.withdraw(entry, now=2.0, reason="It was removed.")
    with pytest.raises(IllegalMove):
        ledger.retry(ended, now=3.0, reason="You asked for it.")
    assert added(ledger, "a.wav", "one").id != entry.id, "what comes there next is new"


def test_an_attempt_counts_once_it_has_ended_unless_its_entry_is_not_to_blame(ledger):
    added(ledger, "a.wav")
    entry, attempt = claim(ledger)
    assert entry.attempts == 0
    offline = ledger.requeue(attempt, AttemptState.REFUSED, now=2, next_attempt_at=2, reason="offline", counts=False)
    assert offline.attempts == 0
    _, attempt = claim(ledger)
    assert ledger.requeue(attempt, AttemptState.REFUSED, now=3, next_attempt_at=3, reason="refused").attempts == 1
    assert ledger.requeue(attempt, AttemptState.REFUSED, now=4, next_attempt_at=4, reason="late").attempts == 1
    entry, _ = claim(ledger)
    held = ledger.hold(entry, now=101.0, reason="our own fault", job=JobOutcome.NOT_CREATED, retry_at=102.0)
    assert held.attempts == 2
    ledger.try_again(held, now=102.0, reason="It is tried again.")
    assert submitted(ledger, now=103.0).attempts == 3


def test_held_goes_on_by_itself_only_with_certainty(ledger):
    added(ledger, "a.wav")
    entry, attempt = claim(ledger)
    ledger.arm(attempt, now=2.0, key="key")
    ledger.hold(entry, now=3.0, reason="unknown")
    back = ledger.requeue(attempt, AttemptState.ABSENT, now=4.0, next_attempt_at=4.0, reason="no such job")
    assert back.state is S.WAITING


def test_what_was_held_and_replaced_is_given_up_once_it_is_certain_that_it_has_no_job(ledger):
    added(ledger, "a.wav", "one")
    entry, attempt = claim(ledger)
    ledger.arm(attempt, now=2.0, key="key")
    ledger.hold(entry, now=3.0, reason="unknown")
    added(ledger, "a.wav", "two")
    back = ledger.requeue(attempt, AttemptState.ABSENT, now=4.0, next_attempt_at=4.0, reason="no such job")
    assert back.state is S.CANCELLED


# Places


def test_an_entry_follows_its_recording(ledger):
    entry = added(ledger, "a.wav")
    there = added(ledger, "b.wav")
    moved = ledger.relocate(entry.id, root=ROOT, path=ROOT / "b.wav", size=10, mtime_ns=5, now=2.0)
    assert ledger.at_path(ROOT / "a.wav") is None
    assert ledger.at_path(ROOT / "b.wav").id == moved.id
    assert not ledger.entry(there.id).current


def test_waiting_entries_follow_their_folders_engine(ledger):
    added(ledger, "a.wav")
    added(ledger, "b.wav")
    submitted(ledger)
    assert ledger.follow_engine(ROOT, Engine.LOCAL) == 1
    entry = ledger.at_path(ROOT / "b.wav")
    assert (entry.engine, entry.config_key) == (Engine.LOCAL, config_key(Engine.LOCAL, CONFIG))
    assert claim(ledger) is None
    assert ledger.at_path(ROOT / "a.wav").engine is Engine.SPEECHMATICS


def test_what_waits_in_a_folder_that_is_not_watched_any_more_is_cancelled(ledger):
    for number in range(5):
        added(ledger, f"{number}.wav")
    added(ledger, "other.wav", root=ROOT / "other")
    assert [ledger.cancel_unwatched([ROOT / "other"], now=2.0, limit=3) for _ in range(3)] == [3, 2, 0]
    assert states(ledger)["other.wav"] is S.WAITING
    assert ledger.at_path(ROOT / "0.wav") is None


def test_jobs_at_another_account_are_found(ledger):
    added(ledger, "a.wav")
    entry = submitted(ledger)
    assert [found.id for found in ledger.submitted_elsewhere(["local"])] == [entry.id]
    assert ledger.submitted_elsewhere(["local", CLOUD]) == []
    assert ledger.jobs_by_account() == {CLOUD: 1}


def test_a_dismissed_failure_stays_failed_and_any_move_clears_it(tmp_path):
    ledger = opened(tmp_path)
    entry = added(ledger, "talk.wav", state=EntryState.FAILED, reason="It is damaged.")
    [dismissed] = ledger.dismiss(entry, now=5.0)
    assert (dismissed.state, dismissed.dismissed_at, dismissed.reason) == (EntryState.FAILED, 5.0, "It is damaged.")
    assert ledger.dismiss(entry, now=6.0) == [], "it was dismissed already"
    assert [change.reason for change in ledger.history(entry.id)][1:] == ["You dismissed it."]
    waiting = ledger.retry(dismissed, now=7.0, reason="You asked for it.")
    assert (waiting.state, waiting.dismissed_at) == (EntryState.WAITING, None)
    uploading, _ = claim(ledger, now=7.5)
    failed = ledger.fail(uploading, now=8.0, reason="Again.", job=JobOutcome.NOT_CREATED)
    assert ledger.count_attention() == {EntryState.FAILED: 1}
    moved = ledger.relocate(
        ledger.dismiss(failed, now=9.0)[0].id, root=ROOT, path=ROOT / "other.wav", size=10, mtime_ns=1, now=10.0
    )
    assert moved.dismissed_at == 9.0, "a renamed file is the same failure"
    assert ledger.cancel(moved, now=11.0, reason="").dismissed_at is None
    ledger.close()


def test_dismissing_all_leaves_what_is_not_failed(tmp_path):
    ledger = opened(tmp_path)
    for state in (EntryState.FAILED, EntryState.FAILED, EntryState.SKIPPED, EntryState.WAITING):
        added(ledger, f"{state} {len(ledger.entries())}", state=state)
    held = ledger.hold(claim(ledger)[0], now=100.0, reason="Did the service take it?")
    with pytest.raises(IllegalMove, match="retry it or cancel it"):
        ledger.dismiss(held, now=101.0)
    assert {entry.state for entry in ledger.dismiss(now=101.0)} == {EntryState.FAILED}
    assert ledger.count_attention() == {EntryState.HELD: 1}
    assert ledger.dismiss(now=102.0) == []
    ledger.close()


def test_other_content_at_the_path_of_a_dismissed_failure_needs_attention_again(tmp_path):
    ledger = opened(tmp_path)
    ledger.dismiss(added(ledger, "talk.wav", "one", state=EntryState.FAILED), now=2.0)
    added(ledger, "talk.wav", "two", state=EntryState.FAILED)
    assert ledger.count_attention() == {EntryState.FAILED: 1}
    ledger.close()
