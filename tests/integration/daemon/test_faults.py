"""Whatever the network and the service do, every recording ends, and is billed once."""

import pytest

from tests.support.daemon_bench import quick_client, until
from tests.support.fault_server import Fault
from watcher.config import FolderConfig
from watcher.events import Event
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
DONE, HELD, FAILED = EntryState.DONE, EntryState.HELD, EntryState.FAILED

PASSING = {
    "lost answer": Fault("lose_answer", on="post"),
    "500 after acceptance": Fault("error_after", on="post", status=500),
    "an HTML page after acceptance": Fault("html_after", on="post"),
    "half of the answer": Fault("truncate", on="post"),
    "half of its JSON": Fault("broken_json", on="post"),
    "no answer at all": Fault("hang", on="post"),
    "503": Fault("status", on="post", status=503),
    "503 as a page": Fault("status", on="post", status=503, html=True),
    "429": Fault("status", on="post", status=429, retry_after="0"),
    "too many running": Fault("status", on="post", status=429, error="Max concurrent running jobs exceeded"),
    "429 before the body": Fault("early", on="post", status=429),
    "503 in the middle of the body": Fault("early", on="post", status=503, abrupt=True),
    "reset before the body": Fault("reset_before", on="post"),
    "reset in the body": Fault("reset_midbody", on="post"),
    "no answer, nothing done": Fault("hang_before", on="post"),
    "the list fails": Fault("status", on="list", status=500, times=4),
    "the job fails": Fault("status", on="job", status=502, html=True, times=4),
    "the transcript is cut off": Fault("truncate", on="transcript", times=2),
    "the transcript is a page": Fault("html_after", on="transcript", times=2),
    "the transcript is not ready": Fault("status", on="transcript", status=404, error="Not ready", times=2),
    "the job can't be found at first": Fault("status", on="job", status=404, error="Job not found", times=2),
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_passing_fault_costs_only_time(bench, name):
    async with bench(PASSING[name], processing_time=0.05) as it:
        it.record("a.wav")
        it.record("b.wav")
        sources = it.sources()
        await it.run()
        assert [it.state_of(name) for name in ("a.wav", "b.wav")] == [DONE, DONE]
        assert len(it.server.jobs) == 2
        it.assert_promises(sources)


async def test_many_jobs_are_seen_to_their_end_though_the_list_is_broken_for_good(bench):
    async with bench(Fault("status", on="list", status=500, times=None), processing_time=0.5) as it:
        for number in range(25):
            it.record(f"{number}.wav")
        sources = it.sources()
        await it.run(timeout=60)
        it.assert_promises(sources)
        assert it.read(lambda ledger: ledger.counts())[DONE] == 25


async def test_a_list_that_lags_behind_does_not_make_a_second_job(bench):
    async with bench(Fault("lose_answer", on="post"), listing_lag=0.9, account={"settle_listing": 1.2}) as it:
        it.record("a.wav")
        await it.run()
        assert it.state_of("a.wav") is DONE
        assert len(it.server.jobs) == 1
        assert any("found by its reference" in reason for reason in it.reasons("a.wav"))


async def test_a_job_that_was_never_made_is_submitted_again_after_two_listings(bench):
    async with bench(Fault("hang_before", on="post", seconds=0.1)) as it:
        it.record("a.wav")
        await it.run()
        assert it.state_of("a.wav") is DONE
        assert len(it.server.jobs) == 1
        assert any("shows no such job" in reason for reason in it.reasons("a.wav"))


async def test_whatever_goes_wrong_once_a_job_may_exist_it_is_looked_for(bench):
    broken = []

    def checkpoint(name):
        if name == "after commit: arm" and not broken:
            broken.append(name)
            raise RuntimeError("nobody thought of this")

    async with bench() as it:
        it.record("a.wav")
        await it.run(checkpoint=checkpoint)
        assert broken
        assert it.state_of("a.wav") is DONE
        assert any("shows no such job" in reason for reason in it.reasons("a.wav"))


async def test_listings_without_config_are_matched_through_each_job(bench):
    async with bench(Fault("lose_answer", on="post"), list_config=False) as it:
        it.record("a.wav")
        it.record("b.wav")
        sources = it.sources()
        await it.run()
        assert it.state_of("a.wav") is it.state_of("b.wav") is DONE
        it.assert_promises(sources)


async def test_where_neither_list_nor_job_tells_a_person_decides(bench):
    faults = Fault("lose_answer", on="post"), Fault("status", on="job", status=404, error="Job not found", times=None)
    async with bench(*faults, list_config=False) as it:
        it.record("a.wav")
        await it.run()
        entry = it.entry("a.wav")
        assert entry.state is HELD
        assert "can't be known" in entry.reason
        assert "dropscribe retry" in entry.fix


async def test_a_list_that_does_not_move_on_proves_nothing(bench):
    faults = Fault("hang_before", on="post", seconds=0.1), Fault("status", on="list", status=503)
    async with bench(*faults, same_created_at=1000, list_cap=100) as it:
        config = {"type": "transcription", "transcription_config": {"language": "en"}}
        for number in range(150):
            it.server.state.create(config, f"{number}.wav", 1, "")
        it.record("a.wav")
        await it.run()
        entry = it.entry("a.wav")
        assert entry.state is HELD
        assert "older ones could be missed" in entry.reason
        assert "dropscribe retry" in entry.fix
        assert len(it.server.jobs) == 150


async def test_a_service_that_has_no_job_list_proves_nothing(bench):
    faults = (
        Fault("hang_before", on="post", seconds=0.1),
        Fault("status", on="list", status=404, error="Job not found", times=None),
    )
    async with bench(*faults) as it:
        it.record("a.wav")
        await it.run()
        entry = it.entry("a.wav")
        assert entry.state is HELD
        assert "job list can't be read" in entry.reason
        assert "dropscribe retry" in entry.fix
        assert it.server.jobs == []


async def test_no_more_jobs_run_than_the_account_allows(bench):
    async with bench(processing_time=0.3, max_concurrent=2, account={"max_running": 2}) as it:
        for number in range(6):
            it.record(f"{number}.wav")
        await it.run()
        assert len(it.server.jobs) == it.server.requests["post"] == 6, "some were refused"


async def test_twin_jobs_are_settled_for_the_older_and_the_running_one_is_deleted(bench):
    async with bench(Fault("lose_answer", on="post"), processing_time=1.5, listing_lag=0.3) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.server.jobs)
            first = it.server.jobs[0]
            twin = it.server.state.create(first.config, first.data_name, first.size, first.sha256)
            await until(lambda: it.state_of("a.wav") is DONE)
        assert it.entry("a.wav").job_id == first.id
        assert it.server.state.status(twin) == "deleted"


async def test_a_rejected_key_stops_submission_is_told_once_and_resumes_by_itself(bench):
    async with bench(key="key") as it:
        it.server.settings.key = "another"
        for number in range(6):
            it.record(f"{number}.wav")
        async with it.running() as control:
            with control.bus.subscribe() as events:
                await until(lambda: it.ledger.exists() and it.read(lambda ledger: ledger.holds(0)))
                hold = it.read(lambda ledger: ledger.holds(0))[0]
                assert "401" in hold.reason
                assert "dropscribe login" in hold.fix
                assert (await control.snapshot())["state"] == "attention"
                it.server.settings.key = "key"
                await until(lambda: it.read(lambda ledger: ledger.counts())[DONE] == 6)
                holds = [event for event in list(events._queue) if event.kind == "hold"]
        assert not it.read(lambda ledger: ledger.holds(0))
        assert len(holds) <= 2, f"told of the hold {len(holds)} times: {holds}"
        assert isinstance(holds[0], Event)


async def test_a_job_that_expired_or_was_deleted_is_held_and_never_paid_again_unasked(bench):
    async with bench(processing_time=0.6) as it:
        it.record("expired.wav")
        it.record("deleted.wav")
        async with it.running() as control:
            await until(lambda: len(it.server.jobs) == 2)
            for job in it.server.jobs:
                job.forced_status = "expired" if job.data_name.startswith("expired") else "deleted"
            it.server.touch()
            await until(lambda: it.state_of("expired.wav") is it.state_of("deleted.wav") is HELD)
            assert len(it.server.jobs) == 2
            again = it.entry("expired.wav")
            await control.retry(again.uid)
            await until(lambda: it.state_of("expired.wav") is DONE)
        assert len(it.server.jobs) == 3
        assert it.state_of("deleted.wav") is HELD


async def test_a_rejection_is_final_and_gives_the_services_reasons(bench):
    async with bench(Fault("reject", on="post", detail="There is no speech in it")) as it:
        it.record("a.wav")
        await it.run()
        entry = it.entry("a.wav")
        assert entry.state is FAILED
        assert "There is no speech in it" in entry.reason


@pytest.mark.long
async def test_two_hundred_recordings_with_failing_and_lost_answers_are_each_billed_once(bench):
    faults = (
        Fault("status", on="post", status=503, probability=0.05, times=None),
        Fault("lose_answer", on="post", probability=0.05, times=None),
        Fault("status", on="get", status=503, probability=0.05, times=None),
    )
    async with bench(*faults, seed=7, processing_time=0.3, account={"max_uploads": 8}) as it:
        for number in range(200):
            it.record(f"{number % 10}/{number}.wav")
        sources = it.sources()
        await it.run(timeout=100)
        assert it.read(lambda ledger: ledger.counts())[DONE] == 200
        assert len(it.server.jobs) == 200
        it.assert_promises(sources)


async def test_offline_is_a_state_and_not_an_attempt(bench, tmp_path):
    async with bench() as it:
        it.record("a.wav")
        async with quick_client("http://127.0.0.1:9/v2") as nowhere:
            daemon = it.daemon(nowhere)
            await daemon.run(once=True)  # gives up waiting for the network after some tries
        entry = it.entry("a.wav")
        assert (entry.state, entry.attempts) == (EntryState.WAITING, 0)
        assert "connect" in entry.reason
        await it.run()
        assert it.state_of("a.wav") is DONE


async def test_a_config_that_makes_no_job_fails_its_own_recordings_only(bench, tmp_path):
    async with bench() as it:
        it.record("a.wav")
        other = tmp_path / "other"
        other.mkdir()
        good = FolderConfig(path=str(it.inbox), settle=0.0)
        bad = FolderConfig(path=str(other), settle=0.0, transcription={"diarization": 5, "additional_vocab": "no"})
        (other / "b.wav").write_bytes((it.inbox / "a.wav").read_bytes() + b"\0\0")
        await it.run(config=it.config(good, bad))
        assert it.state_of("a.wav") is DONE
        failed = it.read(lambda ledger: ledger.at_path(other / "b.wav"))
        assert failed.state in {FAILED, DONE}
        assert not it.read(lambda ledger: ledger.holds(0))
