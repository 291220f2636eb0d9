import contextlib
import json
import sqlite3

import pytest

from service.batch_server.api.params import created_before
from service.batch_server.job import JobError, creation_time, timestamp
from service.batch_server.store.connection import StoreTooNew, StoreUnusable
from service.batch_server.store.store import Store
from tests.support.small_disks import fill, mounted


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "data")
    yield store
    store.close()


def add(store, *, owner="me", reference=None, content=b"audio"):
    upload = store.upload_path()
    upload.write_bytes(content)
    return store.add(owner=owner, reference=reference, data_name="a.wav", config=b"{}", upload=upload, log="Accepted\n")


def test_an_accepted_job_survives_a_restart_with_its_audio(tmp_path):
    first = Store(tmp_path / "data")
    job, is_new = add(first, content=b"sound")
    assert is_new
    first.close()
    second = Store(tmp_path / "data")
    assert second.unfinished() == [job]
    assert second.audio_path(job.id).read_bytes() == b"sound"
    assert second.log(job.id) == "Accepted\n"
    second.close()


def test_a_restart_removes_what_belongs_to_no_running_job(tmp_path):
    first = Store(tmp_path / "data")
    first.upload_path().write_bytes(b"half")
    job, _ = add(first)
    first.retire(job.id, "deleted")
    first.audio_path(job.id).write_bytes(b"left over")
    first.audio_path("unknown").write_bytes(b"left over")
    first.close()
    second = Store(tmp_path / "data")
    assert [path for path in (tmp_path / "data").glob("*/*") if path.is_file()] == []
    second.close()


def test_a_repeated_reference_gives_the_first_job(store):
    first, _ = add(store, reference="r")
    again, is_new = add(store, reference="r")
    assert (again.id, is_new) == (first.id, False)
    other, is_new = add(store, owner="you", reference="r")
    assert is_new
    assert other.id != first.id


def test_a_deleted_job_leaves_its_reference_free(store):
    first, _ = add(store, reference="r")
    store.retire(first.id, "deleted")
    again, is_new = add(store, reference="r")
    assert is_new
    assert again.id != first.id


def test_pages_go_back_in_time_without_gap_or_repetition(store):
    jobs = [add(store)[0] for _ in range(7)]
    found, before = [], None
    while page := store.page("me", before=before, limit=3, with_deleted=False):
        found += page
        # What a client sends back: the last job's time as it was told, which the API cuts to the millisecond.
        before = created_before({"created_before": timestamp(page[-1].created)})
    assert found == jobs[::-1]


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        (5_000_123, 4_000_000, 5_000_123),
        (5_000_124, 5_000_123, 5_001_000),
        (5_000_999, 5_000_000, 5_001_000),
        (5_001_000, 5_000_999, 5_001_000),
        (1, 5_000_123, 5_001_000),
    ],
)
def test_every_job_has_a_millisecond_of_its_own(now, last, expected):
    assert creation_time(now, last) == expected


def test_deleted_jobs_are_listed_only_when_asked_for(store):
    job, _ = add(store)
    store.retire(job.id, "deleted")
    assert store.page("me", before=None, limit=None, with_deleted=False) == []
    assert [found.status for found in store.page("me", before=None, limit=None, with_deleted=True)] == ["deleted"]


def test_a_finished_job_keeps_its_transcript_and_loses_its_audio(store):
    job, _ = add(store)
    assert store.finish(job, status="done", transcript=b"{}", duration=1.5, language="en", operating_point="standard")
    assert store.transcript(job.id) == b"{}"
    assert not store.audio_path(job.id).exists()
    assert store.get(job.id).duration == 1.5
    assert store.unfinished() == []


def test_a_job_that_was_deleted_meanwhile_is_not_finished(store):
    job, _ = add(store)
    store.retire(job.id, "deleted")
    assert not store.finish(job, status="done", transcript=b"{}")
    assert store.get(job.id).status == "deleted"
    assert store.transcript(job.id) is None


def test_errors_are_kept(store):
    job, _ = add(store)
    error = JobError(timestamp="2026-01-01T00:00:00Z", message="No", type="audio")
    store.finish(job, status="rejected", errors=(error,))
    assert store.get(job.id).errors == (error,)


def test_expiry_takes_old_finished_jobs_only(store):
    running, _ = add(store)
    done, _ = add(store)
    store.finish(done, status="done", transcript=b"{}")
    assert store.expire(before=0) == []
    assert store.expire(before=store.get(done.id).finished + 1) == [done.id]
    assert store.transcript(done.id) is None
    assert (store.get(running.id).status, store.get(done.id).status) == ("running", "expired")


def test_of_a_deleted_job_only_what_names_it_is_kept(tmp_path):
    secrets = (b"Bearer s3cret", b"Xylophonia", b"whispered words", b"recording of Ann")
    config = {
        "type": "transcription",
        "transcription_config": {"language": "en", "additional_vocab": [{"content": "Xylophonia"}]},
        "fetch_data": {"url": "https://example.org", "auth_headers": ["Authorization: Bearer s3cret"]},
        "tracking": {"reference": "r", "details": {"kept": None}},
    }
    store = Store(tmp_path)
    job, _ = store.add(
        owner="me", reference="r", data_name="a.wav", config=json.dumps(config).encode(), upload=None,
        log="Accepted the recording of Ann\n",
    )  # fmt: skip
    store.finish(job, status="done", transcript=b'{"results": "whispered words"}' * 1000, log="Transcribed\n")

    def on_disk(secret):
        return any(secret in path.read_bytes() for path in tmp_path.glob("jobs.*"))

    assert all(on_disk(secret) for secret in secrets)
    store.retire(job.id, "deleted")
    assert not any(on_disk(secret) for secret in secrets)
    (kept,) = store.page("me", before=None, limit=None, with_deleted=True)
    assert json.loads(kept.config) == {"type": "transcription", "tracking": config["tracking"]}
    store.close()


def test_usage_is_counted_even_when_jobs_are_deleted(store):
    job, _ = add(store)
    store.finish(job, status="done", transcript=b"{}", duration=90.0, language="en", operating_point="standard")
    store.retire(job.id, "deleted")
    day = store.first_usage_day("me")
    assert store.usage("me", day, day) == [("en", "standard", 1, 90.0)]
    assert store.usage("you", day, day) == []


def test_a_database_of_a_newer_version_is_left_alone(tmp_path):
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "jobs.sqlite3") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StoreTooNew, match="99"):
        Store(tmp_path)


def test_commits_are_flushed_to_disk(store):
    assert store._database.pragma("journal_mode") == "wal"
    assert store._database.pragma("synchronous") == 2


@pytest.mark.parametrize("content", ["nothing", "a header"])
def test_a_first_start_that_was_killed_leaves_a_database_that_can_be_used(tmp_path, content):
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "jobs.sqlite3"
    file.touch()
    if content == "a header":
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    store = Store(tmp_path / "data")
    job, _ = add(store)
    assert store.unfinished() == [job]
    store.close()


def test_a_first_start_on_a_full_disk_says_so_and_a_later_one_works(tmp_path):
    with mounted(tmp_path / "disk", "size=1m") as disk:
        data = disk / "data"
        data.mkdir()
        filler = fill(disk)
        with pytest.raises((StoreUnusable, OSError)) as caught:
            Store(data)
        assert "move it away" not in str(caught.value)
        filler.unlink()
        store = Store(data)
        add(store)
        store.close()
