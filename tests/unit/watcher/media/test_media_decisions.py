"""What the service takes as it is."""

from dataclasses import replace

import pytest

from watcher.media import Limits, needs_preparation
from watcher.models import MediaInfo

WAV = MediaInfo("wav", "pcm_s16le", 1.0, 1, 16000)
MP4 = MediaInfo("mov,mp4,m4a,3gp,3g2,mj2", "aac", 1.0, 2, 48000, has_video=True)


@pytest.mark.parametrize(
    ("container", "codec", "suffix"),
    [
        ("wav", "pcm_s16le", ".wav"),
        ("wav", "pcm_mulaw", ".wav"),
        ("mp3", "mp3float", ".mp3"),
        ("aac", "aac", ".aac"),
        ("ogg", "vorbis", ".ogg"),
        ("ogg", "opus", ".opus"),
        ("mpeg", "mp2", ".mpeg"),
        ("amr", "amrnb", ".amr"),
        ("mov,mp4,m4a,3gp,3g2,mj2", "aac", ".m4a"),
        ("flac", "flac", ".flac"),
    ],
)
def test_what_the_service_lists_goes_as_it_is(container, codec, suffix):
    assert needs_preparation(replace(WAV, container=container, codec=codec), suffix, 10_000_000) is None


@pytest.mark.parametrize("container", ["matroska,webm", "avi", "asf", "mpegts", "aiff", "caf", "flv", "wv"])
def test_other_containers_are_prepared(container):
    assert "doesn't take xyz files" in needs_preparation(replace(WAV, container=container), ".xyz", 1000)


@pytest.mark.parametrize("suffix", [".mov", ".3gp", ".QT"])
def test_relatives_of_mp4_that_the_service_does_not_list_are_prepared(suffix):
    assert "doesn't take" in needs_preparation(MP4, suffix, 1000)


def test_an_unusual_codec_is_prepared():
    assert "adpcm_ima_wav" in needs_preparation(replace(WAV, codec="adpcm_ima_wav"), ".wav", 1000)


def test_what_is_too_large_is_prepared():
    assert needs_preparation(WAV, ".wav", 1_000_000_000) is None
    assert "1.00 GB at most" in needs_preparation(WAV, ".wav", 1_000_000_001)
    assert needs_preparation(WAV, ".wav", 1001, Limits(largest=1000)) is not None


def test_of_a_large_film_only_the_sound_goes_up():
    assert needs_preparation(MP4, ".mp4", 1_000_000) is None
    assert "sound" in needs_preparation(MP4, ".mp4", 500_000_000)
    assert needs_preparation(replace(MP4, has_video=False), ".m4a", 500_000_000) is None
