"""Our synchronous client: the names of Speechmatics' own, and what it does better."""

import json
import threading

import pytest

from tests.support.fault_server import Fault, fault_server_thread
from tests.support.waiting import until
from watcher.speechmatics import (
    BadRequest,
    BatchClient,
    ConfigurationError,
    ConnectionSettings,
    JobConfig,
    JobRejected,
    JobTimeout,
    Locked,
    NotFound,
    PayloadTooLarge,
    SourceUnreadable,
    TranscriptionConfig,
)

CONFIG = {"type": "transcription", "transcription_config": {"language": "en"}, "newer": 1}


@pytest.fixture
def server():
    with fault_server_thread() as server:
        yield server


@pytest.fixture
def client(server):
    with BatchClient(ConnectionSettings(url=server.url, auth_token="key")) as client:
        yield client


@pytest.fixture
def recordings(tmp_path):
    paths = [tmp_path / f"{index}.wav" for index in range(7)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_every_way_to_give_a_config_and_audio_works(client, server, tmp_path, recordings):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG), encoding="utf-8")
    for audio, config in [
        (recordings[0], CONFIG),
        (str(recordings[0]), str(file)),
        (("b.wav", b"bytes"), file),
        (b"bytes", JobConfig.from_dict(CONFIG)),
    ]:
        client.submit_job(audio, config)
        assert server.jobs[-1].config == CONFIG
    client.submit_job(b"bytes", TranscriptionConfig(language="de"))
    assert server.jobs[-1].config["transcription_config"] == {"language": "de"}
    client.submit_job(None, {**CONFIG, "fetch_data": {"url": "https://example.org/a.wav"}})
    assert server.jobs[-1].data_name == "https://example.org/a.wav"


def test_results_come_in_every_format(client):
    job_id = client.submit_job(b"bytes", CONFIG)
    assert client.check_job_status(job_id)["job"]["status"] == "done"
    text = client.wait_for_completion(job_id)
    assert text.startswith("Recording ")
    for name in ("json-v2", "json", "JSON"):
        assert client.get_job_result(job_id, name)["job"]["id"] == job_id
    assert client.wait_for_completion(job_id, transcription_format="srt").startswith("1\n")
    with pytest.raises(ConfigurationError, match=r"docx"):
        client.get_job_result(job_id, "docx")
    assert [job["id"] for job in client.list_jobs()] == [job_id]
    assert client.delete_job(job_id) == f"Job {job_id} deleted"
    with pytest.raises(NotFound):
        client.check_job_status(job_id)


def test_failures_are_our_own_errors(client, server):
    job_id = client.submit_job(b"bytes", CONFIG)
    server.jobs[0].forced_status = "running"
    with pytest.raises(Locked):
        client.delete_job(job_id)
    with pytest.raises(JobTimeout):
        client.wait_for_completion(job_id, timeout=0.01)
    server.script.add(Fault("reject", on="post", detail="No speech"))
    with pytest.raises(JobRejected, match=r"No speech"):
        client.wait_for_completion(client.submit_job(b"bytes", CONFIG))
    with pytest.raises(BadRequest):
        client.submit_job(b"bytes", {"type": "alignment"})
    for bad in ("/no/such/config.json", 7, [1]):
        with pytest.raises(ConfigurationError):
            client.submit_job(b"bytes", bad)


def test_many_recordings_are_seen_through_and_none_is_lost_silently(client, server, recordings, tmp_path):
    server.settings.processing_time = 0.02
    server.script.add(Fault("early", on="post", status=413, skip=2))
    gone = tmp_path / "gone.wav"
    found = {}
    jobs = client.submit_jobs([*recordings[:3], gone, *recordings[3:]], CONFIG, concurrency=3)
    with pytest.raises(ExceptionGroup) as caught:
        found.update(jobs)
    assert sorted(found.values()) == sorted(job.id for job in server.jobs)
    assert len(found) == len(recordings) - 1
    assert {type(error) for error in caught.value.exceptions} == {SourceUnreadable, PayloadTooLarge}
    (lost,) = set(recordings) - set(found)
    notes = [note for error in caught.value.exceptions for note in error.__notes__]
    assert sorted(notes) == sorted([f"The recording was {lost}.", f"The recording was {gone}."])
    with pytest.raises(ConfigurationError):
        next(client.submit_jobs(recordings, CONFIG, concurrency=51))


def test_leaving_early_stops_what_is_on_its_way(client, server, recordings):
    server.settings.processing_time = 0.01
    first = next(iter(client.submit_jobs(recordings, CONFIG, concurrency=2)))
    assert first[0] in recordings[:2]
    assert len(server.jobs) <= 3


def test_it_may_be_shared_by_threads_and_leaves_none_behind(server):
    before = set(threading.enumerate())
    with BatchClient(ConnectionSettings(url=server.url, auth_token="key")) as client:
        workers = [threading.Thread(target=client.submit_job, args=(b"bytes", CONFIG)) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert len(server.jobs) == 8
    until(lambda: not set(threading.enumerate()) - before)  # the event loop's workers end a moment after it


def test_it_says_when_it_is_not_connected(server):
    client = BatchClient(ConnectionSettings(url=server.url, auth_token="key"))
    with pytest.raises(ConfigurationError, match=r"not connected"):
        client.list_jobs()
    assert client.connect().connect() is client
    assert client.list_jobs() == []
    client.close()
    client.close()
    with pytest.raises(ConfigurationError):
        client.list_jobs()


def test_an_id_can_not_lead_to_another_path(client, server):
    with pytest.raises(NotFound):
        client.check_job_status("../usage")
    with pytest.raises(ConfigurationError):
        client.check_job_status("..")
