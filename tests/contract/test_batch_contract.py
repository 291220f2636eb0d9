"""What holds for every client and every server: the same tests drive our two clients and both official ones.

The servers are the embedded one and the fault server without faults, so that each is held to what the official
clients expect, and our clients to what both servers do.
"""

import json
import secrets

import pytest

from tests.support.batch_clients import CLIENTS, Refused, tone
from tests.support.embedded_server import EmbeddedServer, embedded_server
from tests.support.fault_server import fault_server_thread

CONFIG = {"type": "transcription", "transcription_config": {"language": "en"}}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    with embedded_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def scripted():
    with fault_server_thread(key="scripted-key", processing_time=0.05) as server:
        yield EmbeddedServer(server.url, "scripted-key", 0)


@pytest.fixture(params=["embedded", "scripted"])
def server(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(params=list(CLIENTS))
def new_client(request):
    opened = []

    def new(url, key):
        opened.append(CLIENTS[request.param](url, key))
        return opened[-1]

    yield new
    for client in opened:
        client.close()


@pytest.fixture
def client(new_client, server):
    return new_client(server.url, server.key)


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "recording.wav"
    path.write_bytes(tone())
    return path


def test_a_recording_becomes_a_transcript_in_every_format(client, recording):
    job_id = client.submit(recording, CONFIG)
    assert client.wait(job_id) == "done"
    found = client.result(job_id, "json-v2")
    transcript = json.loads(found) if isinstance(found, str) else found
    assert transcript["job"]["id"] == job_id
    assert transcript["job"]["data_name"] == "recording.wav"
    assert transcript["metadata"]["type"] == "transcription"
    assert transcript["metadata"]["transcription_config"]["language"] == "en"
    assert isinstance(transcript["results"], list)
    assert isinstance(client.result(job_id, "txt"), str)
    assert isinstance(client.result(job_id, "srt"), str)


def test_waiting_for_a_job_gives_its_text(client, recording):
    job_id = client.submit(recording, CONFIG)
    assert client.complete(job_id).strip() == client.result(job_id, "txt").strip()


def test_the_newest_job_is_listed_first(client, recording):
    older = client.submit(recording, CONFIG)
    newer = client.submit(recording, CONFIG)
    listed = [job_id for job_id in client.jobs() if job_id in {older, newer}]
    assert listed == [newer, older]


def test_a_deleted_job_is_gone(client, recording):
    job_id = client.submit(recording, CONFIG)
    client.delete(job_id)
    assert job_id not in client.jobs()
    with pytest.raises(Refused):
        client.result(job_id, "txt")


def test_an_unknown_job_is_an_error(client):
    for ask in (client.status, client.delete, lambda job_id: client.result(job_id, "txt")):
        with pytest.raises(Refused) as caught:
            ask(f"none{secrets.token_hex(4)}")
        assert caught.value.status in {404, None}  # the oldest client loses the status


def test_a_wrong_key_is_refused(new_client, server, recording):
    client = new_client(server.url, "wrong-key")
    for ask in (lambda: client.submit(recording, CONFIG), client.jobs):
        with pytest.raises(Refused) as caught:
            ask()
        assert "wrong-key" not in repr(caught.value.error)


def test_the_config_reaches_the_job(client, recording):
    config = {
        "type": "transcription",
        "transcription_config": {"language": "en", "diarization": "none", "enable_entities": True},
        "tracking": {"title": "Ein Täg", "reference": secrets.token_hex(4), "tags": ["a", "b"]},
    }
    job_id = client.submit(recording, config)
    assert client.wait(job_id) == "done"
    found = client.result(job_id, "json-v2")
    transcript = json.loads(found) if isinstance(found, str) else found
    used = transcript["metadata"]["transcription_config"]
    assert (used["language"], used["enable_entities"]) == ("en", True)
