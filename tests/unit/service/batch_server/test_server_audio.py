"""Decoding what was uploaded."""

import pytest

from service.batch_server.recognition.audio import SAMPLE_RATE, blocks
from tests.support.sounds import tone, write_wav
from tests.support.tags import with_undecodable_tag


@pytest.fixture
def recording(tmp_path):
    return write_wav(tmp_path / "a.wav", tone(SAMPLE_RATE), rate=SAMPLE_RATE)


def test_a_recording_with_tags_that_are_not_utf_8_is_decoded(recording):
    (block,) = blocks(with_undecodable_tag(recording), by_channel=False, seconds=10.0)
    assert block.shape == (1, SAMPLE_RATE)
