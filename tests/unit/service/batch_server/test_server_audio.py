"""Decoding what was uploaded."""

import wave

import pytest

from service.batch_server.recognition.audio import SAMPLE_RATE, blocks
from tests.support.tags import with_undecodable_tag


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        out.writeframes(b"\x01\x02" * SAMPLE_RATE)
    return path


def test_a_recording_with_tags_that_are_not_utf_8_is_decoded(recording):
    (block,) = blocks(with_undecodable_tag(recording), by_channel=False, seconds=10.0)
    assert block.shape == (1, SAMPLE_RATE)
