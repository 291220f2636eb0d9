"""What a container tells about its own length: a whole one is never called cut short, a part is where it tells."""

import io
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.sounds import encode, noise, silence, tone, wav
from watcher.folders.stability.containers import is_complete


class Pipe(io.BytesIO):
    """What is written can't be gone back to."""

    def seekable(self):
        return False

    seek = None


def encoded(container, codec, *, seconds=1.0, rate=16000, layout="mono", sound=tone, to=None, **more):
    """Encode a sound; return the file's bytes."""
    channels = 2 if layout == "stereo" else 1
    samples = sound(int(seconds * rate) * channels).reshape(-1, channels)
    return encode(to or io.BytesIO(), samples, container, codec, rate=rate, layout=layout, **more).getvalue()


def completeness(path, data):
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return is_complete(descriptor, len(data))
    finally:
        os.close(descriptor)


CONTAINERS = {
    "wav": ("wav", "pcm_s16le", True),
    "avi": ("avi", "pcm_s16le", True),
    "aiff": ("aiff", "pcm_s16be", True),
    "mp4": ("mp4", "aac", True),
    "mov": ("mov", "pcm_s16le", True),
    "fragmented mp4": ("mp4", "aac", True),
    "matroska": ("matroska", "aac", True),
    "asf": ("asf", "wmav2", True),
    "w64": ("w64", "pcm_s16le", True),
    "caf": ("caf", "pcm_s16le", True),
    "au": ("au", "pcm_s16be", True),
    "ogg": ("ogg", "libopus", True),
    "mp3": ("mp3", "libmp3lame", True),
    "flac": ("flac", "flac", None),
    "mp3 without a count": ("mp3", "libmp3lame", None),
    "live matroska": ("matroska", "aac", None),
    "adts": ("adts", "aac", None),
    "amr": ("amr", "libopencore_amrnb", None),
    "ac3": ("ac3", "ac3", None),
    "ts": ("mpegts", "aac", None),
}
OPTIONS = {
    "fragmented mp4": {"movflags": "frag_keyframe+empty_moov"},
    "mp3 without a count": {"write_xing": "0"},
    "live matroska": {"live": "1"},
}
RATES = {"libopus": 48000, "ac3": 48000, "libopencore_amrnb": 8000}
UNTOLD = ["mp3 without a count", "live matroska", "adts", "amr", "ac3", "ts"]
TOLD = [name for name in CONTAINERS if name not in UNTOLD]


@pytest.fixture(scope="module")
def containers():
    made = {}
    for name, (container, codec, _) in CONTAINERS.items():
        made[name] = encoded(container, codec, rate=RATES.get(codec, 16000), options=OPTIONS.get(name))
    return made


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_whole_container_is_never_called_cut_short(name, containers, tmp_path):
    assert completeness(tmp_path / "x", containers[name]) is CONTAINERS[name][2]


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.9])
def test_a_container_that_tells_its_length_is_seen_to_be_cut_short(name, part, containers, tmp_path):
    data = containers[name]
    assert completeness(tmp_path / "x", data[: int(len(data) * part)]) is False


@pytest.mark.parametrize("name", UNTOLD)
@pytest.mark.parametrize("part", [0.6, 0.999])
def test_a_container_that_does_not_tell_is_called_neither_whole_nor_cut_short(name, part, containers, tmp_path):
    data = containers[name]
    assert completeness(tmp_path / "x", data[: int(len(data) * part)]) is None


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("padding", [1, 128, 100_000])
def test_zeros_after_a_whole_one_do_not_make_it_cut_short(name, padding, containers, tmp_path):
    assert completeness(tmp_path / "x", containers[name] + bytes(padding)) is not False


@pytest.mark.parametrize("container", ["w64", "caf", "au", "flac", "wav", "aiff", "ogg", "matroska", "mp3"])
def test_what_was_written_into_a_pipe_is_not_called_cut_short(container, tmp_path):
    codec = {"flac": "flac", "ogg": "libopus", "matroska": "aac", "mp3": "libmp3lame"}.get(container, "pcm_s16le")
    codec = "pcm_s16be" if container in {"au", "aiff"} else codec
    data = encoded(container, codec, rate=RATES.get(codec, 16000), to=Pipe())
    assert completeness(tmp_path / "x", data) is not False


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("sound", [noise, silence], ids=["noise", "silence"])
@pytest.mark.parametrize("seconds", [0.005, 0.3, 3.0])
def test_a_flac_is_cut_short_wherever_more_than_a_frame_is_missing(layout, sound, seconds, tmp_path):
    """Noise is stored as it is: any bytes occur in it, also such as begin a frame."""
    data = encoded("flac", "flac", seconds=seconds, rate=44100, layout=layout, sound=sound)
    assert completeness(tmp_path / "x", data) is None
    whole = encoded("flac", "flac", seconds=seconds + 0.2, rate=44100, layout=layout, sound=sound)
    grown = len(whole) - len(data)  # what more than one frame takes
    for length in np.linspace(42, len(whole) - grown, 40).astype(int):
        assert completeness(tmp_path / "x", whole[:length]) is False, length


def test_a_flac_that_does_not_know_its_number_of_samples_does_not_tell(containers, tmp_path):
    data = bytearray(containers["flac"])
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert completeness(tmp_path / "x", bytes(data)) is None
    assert completeness(tmp_path / "x", bytes(data[:-500])) is None


def test_an_ogg_that_stops_between_two_pages_may_be_all_there_is(containers, tmp_path):
    data = containers["ogg"]
    last = data.rindex(b"OggS")
    assert completeness(tmp_path / "x", data[:last]) is None
    assert completeness(tmp_path / "x", data[: last + 10]) is False


@pytest.mark.parametrize(("size", "told"), [(40, True), (41, True), (400, False), (0, None), (0xFFFFFFFF, None)])
def test_a_large_avi_tells_the_length_of_every_part(size, told, containers, tmp_path):
    more = b"RIFF" + size.to_bytes(4, "little") + b"AVIX" + bytes(36)
    assert completeness(tmp_path / "x", containers["avi"] + more) is told


@pytest.mark.parametrize(("footer", "told"), [(0, None), (90, True), (100, False)])
def test_an_mxf_tells_where_its_footer_begins(footer, told, tmp_path):
    key = bytes.fromhex("060e2b34020501010d01020101020400")
    pack = bytes(24) + footer.to_bytes(8, "big")
    assert completeness(tmp_path / "x", (key + b"\x83\0\0\x20" + pack).ljust(100, b"\0")) is told


def test_an_mp4_without_its_index_is_cut_short(containers, tmp_path):
    data = containers["mp4"]
    assert completeness(tmp_path / "x", data[: data.index(b"moov") - 4]) is False


def test_an_empty_file_is_cut_short(tmp_path):
    assert completeness(tmp_path / "x", b"") is False


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_wav_written_as_a_stream_does_not_tell(size, tmp_path):
    data = bytearray(wav(silence(1600)))
    data[4:8] = size
    assert completeness(tmp_path / "x", bytes(data)) is None


def test_rf64_tells_its_length(tmp_path):
    body = wav(silence(1600))[8:]
    ds64 = b"ds64" + (28).to_bytes(4, "little") + (len(body) + 36).to_bytes(8, "little") + bytes(20)
    data = b"RF64\xff\xff\xff\xff" + body[:4] + ds64 + body[4:]
    assert completeness(tmp_path / "x", data) is True
    assert completeness(tmp_path / "x", data[:-100]) is False


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(
        [b"", b"RIFF", b"FORM", b"RF64", b"\x1a\x45\xdf\xa3", b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"caff", b".snd"]
    ),
    rest=st.binary(max_size=300),
)
def test_no_bytes_make_it_fail_or_hang(start, rest, tmp_path_factory):
    data = start + rest
    assert completeness(tmp_path_factory.getbasetemp() / "any", data) in {True, False, None}


@settings(max_examples=200, deadline=None)
@given(length=st.integers(0, 2**32 - 1), kind=st.sampled_from([b"ftyp", b"moov", b"mdat"]), tail=st.binary(max_size=64))
def test_no_box_makes_it_fail_or_hang(length, kind, tail, tmp_path_factory):
    data = length.to_bytes(4, "big") + kind + tail
    assert completeness(tmp_path_factory.getbasetemp() / "box", data) in {True, False, None}
