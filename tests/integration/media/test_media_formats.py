"""One short recording in each container and codec that can be made here, and a broken one of each."""

import numpy as np
import pytest

from tests.integration.media.conftest import make
from tests.support.sounds import decoded, encode
from tests.support.tags import with_undecodable_tag
from watcher.errors import BrokenMedia, NotARecording
from watcher.media import needs_preparation, prepare

pytestmark = pytest.mark.anyio

# ending: container, codec, options of `make`
FORMATS = {
    "wav": ("wav", "pcm_s16le", {}),
    "24bit.wav": ("wav", "pcm_s24le", {}),
    "mulaw.wav": ("wav", "pcm_mulaw", {"rate": 8000}),
    "alaw.wav": ("wav", "pcm_alaw", {"rate": 8000}),
    "adpcm.wav": ("wav", "adpcm_ima_wav", {}),
    "w64": ("w64", "pcm_s16le", {}),
    "aiff": ("aiff", "pcm_s16be", {}),
    "au": ("au", "pcm_s16be", {}),
    "caf": ("caf", "pcm_s16le", {}),
    "voc": ("voc", "pcm_s16le", {}),
    "flac": ("flac", "flac", {}),
    "mp3": ("mp3", "libmp3lame", {}),
    "mp2": ("mp2", "mp2", {}),
    "aac": ("adts", "aac", {}),
    "m4a": ("ipod", "aac", {}),
    "alac.m4a": ("ipod", "alac", {}),
    "mp4": ("mp4", "aac", {"video": "mpeg4"}),
    "fragmented.mp4": ("mp4", "aac", {"options": {"movflags": "frag_keyframe+empty_moov"}}),
    "mov": ("mov", "pcm_s16le", {"video": "mpeg4"}),
    "3gp": ("3gp", "libopencore_amrnb", {"rate": 8000}),
    "amr": ("amr", "libopencore_amrnb", {"rate": 8000}),
    "ogg": ("ogg", "libopus", {"rate": 48000}),
    "opus": ("opus", "libopus", {"rate": 48000}),
    "oga": ("oga", "libopus", {"rate": 48000}),
    "mka": ("matroska", "libmp3lame", {"rate": 44100, "layout": "stereo"}),
    "mkv": ("matroska", "aac", {"video": "mpeg4"}),
    "webm": ("webm", "libopus", {"rate": 48000}),
    "avi": ("avi", "libmp3lame", {"video": "mpeg4"}),
    "wma": ("asf", "wmav2", {}),
    "wmv": ("asf", "wmav2", {"video": "mpeg4"}),
    "flv": ("flv", "libmp3lame", {"rate": 44100, "video": "flv1"}),
    "ts": ("mpegts", "mp2", {"video": "mpeg2video"}),
    "mpeg": ("mpeg", "mp2", {"rate": 44100, "video": "mpeg1video"}),
    "vob": ("vob", "ac3", {"rate": 48000, "video": "mpeg2video"}),
    "mxf": ("mxf", "pcm_s16le", {"rate": 48000, "video": "mpeg2video"}),
    "nut": ("nut", "pcm_s16le", {}),
    "ac3": ("ac3", "ac3", {"rate": 48000}),
    "eac3": ("eac3", "eac3", {"rate": 48000}),
    "tta": ("tta", "tta", {}),
    "wv": ("wv", "wavpack", {}),
    "sox": ("sox", "pcm_s32le", {}),
}
TELL_NO_DURATION = {"fragmented.mp4"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats")
    made = {}

    def get(name):
        if name not in made:
            container, codec, options = FORMATS[name]
            made[name] = make(folder / f"a.{name}", container, codec, **options)
        return made[name]

    return get


@pytest.mark.parametrize("name", FORMATS)
async def test_it_is_probed_and_prepared(name, files, prober, tmp_path):
    path = files(name)
    info = await prober.probe(path)
    assert info.codec
    assert info.channels == (2 if "layout" in FORMATS[name][2] else 1)
    assert info.sample_rate >= 8000
    assert info.has_video is ("video" in FORMATS[name][2])
    assert not info.cut_short
    if info.duration is not None:
        assert info.duration == pytest.approx(1.0, abs=0.35)
    told = []
    prepared = await prepare(path, tmp_path / "a.flac", progress=told.append)
    assert prepared.duration == pytest.approx(1.0, abs=0.15)
    assert prepared.size == (tmp_path / "a.flac").stat().st_size
    again = await prober.probe(tmp_path / "a.flac")
    assert (again.container, again.channels, again.sample_rate) == ("flac", 1, 16000)
    assert needs_preparation(again, ".flac", prepared.size) is None
    assert loudness(tmp_path / "a.flac") > 1000
    assert told == sorted(told)
    assert all(0 <= part <= 1 for part in told)
    assert [file.name for file in tmp_path.iterdir()] == ["a.flac"]


def loudness(path):
    return float(np.abs(decoded(path).astype(np.int64)).mean())


@pytest.mark.parametrize("name", FORMATS)
async def test_a_broken_one_is_explained_or_read_as_far_as_it_goes(name, files, prober, tmp_path):
    data = files(name).read_bytes()
    outcomes, explained = [], []
    for length in (16, 40, len(data) // 3):
        path = tmp_path / f"{length}.{name}"
        path.write_bytes(data[:length])
        try:
            outcomes.append((await prober.probe(path)).codec)
        except (BrokenMedia, NotARecording) as error:
            outcomes.append(type(error))
            explained.append(str(path) in error.message and bool(error.fix))
    assert outcomes[0] in {BrokenMedia, NotARecording}
    assert all(explained)


@pytest.mark.parametrize("name", ["mp4", "m4a", "mov"])
async def test_a_container_without_its_index_is_broken_and_says_so(name, files, prober, tmp_path):
    data = files(name).read_bytes()
    path = tmp_path / f"cut.{name}"
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(BrokenMedia, match="cut short"):
        await prober.probe(path)


async def test_a_film_with_two_tracks(prober, tmp_path):
    path = make(tmp_path / "a.mkv", "matroska", "aac", tracks=2, layout="stereo", video="mpeg4")
    info = await prober.probe(path)
    assert (info.audio_streams, info.channels, info.has_video) == (2, 2, True)
    await prepare(path, tmp_path / "mono.flac")
    await prepare(path, tmp_path / "all.flac", all_channels=True)
    assert (await prober.probe(tmp_path / "mono.flac")).channels == 1
    assert (await prober.probe(tmp_path / "all.flac")).channels == 2


@pytest.mark.parametrize(("layout", "channels"), [("5.1", 6), ("quad", 4), ("7.1", 8)])
async def test_many_channels_are_mixed_or_kept(layout, channels, prober, tmp_path):
    path = make(tmp_path / "a.wav", "wav", "pcm_s16le", layout=layout)
    assert (await prober.probe(path)).channels == channels
    await prepare(path, tmp_path / "all.flac", all_channels=True)
    await prepare(path, tmp_path / "mono.flac")
    assert (await prober.probe(tmp_path / "all.flac")).channels == channels
    assert (await prober.probe(tmp_path / "mono.flac")).channels == 1


async def test_a_film_without_sound_is_no_recording(prober, tmp_path):
    make(tmp_path / "a.mp4", "mp4", "aac", tracks=0, video="mpeg4")
    for work in (prober.probe(tmp_path / "a.mp4"), prepare(tmp_path / "a.mp4", tmp_path / "a.flac")):
        with pytest.raises(NotARecording, match="no sound track"):
            await work
    assert not (tmp_path / "a.flac").exists()


async def test_sound_damaged_in_the_middle_is_prepared_as_far_as_it_goes(prober, tmp_path):
    path = make(tmp_path / "a.mp3", "mp3", "libmp3lame", seconds=5)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(range(250)) * 8
    path.write_bytes(data)
    prepared = await prepare(path, tmp_path / "a.flac")
    assert prepared.duration > 4


@pytest.mark.parametrize(("name", "container", "codec"), [("film.mp4", "mp4", "aac"), ("film.mkv", "matroska", "aac")])
async def test_a_film_is_as_long_as_its_sound(tmp_path, prober, name, container, codec):
    """What the service hears is compared with it: a picture that goes on in silence is nothing to hear."""
    film = make(tmp_path / name, container, codec, seconds=2.0, video="mpeg4", longer=6.0)
    assert (await prober.probe(film)).duration == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize(("container", "codec"), [("flv", "aac"), ("tta", "tta"), ("wv", "wavpack")])
async def test_sound_that_ends_long_before_its_header_says_is_seen_to_be_cut_short(tmp_path, prober, container, codec):
    whole = make(tmp_path / f"whole.{container}", container, codec, seconds=12.0, rate=44100)
    data = whole.read_bytes()
    parts = {part: tmp_path / f"{part}.{container}" for part in (0.2, 0.5)}
    for part, path in parts.items():
        path.write_bytes(data[: int(len(data) * part)])
    found = await prober.probe_all([whole, *parts.values()])
    assert [info.cut_short for info in found] == [False, True, True]


@pytest.mark.parametrize(
    "how",
    [
        ("adts", "aac", 16000, {"flags": "+qscale", "global_quality": "200"}),
        ("mp3", "libmp3lame", 16000, {"flags": "+qscale", "global_quality": "472"}),
        ("amr", "libopencore_amrnb", 8000, {"dtx": "1"}),
    ],
)
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["loud first", "silent first"])
async def test_a_stream_of_frames_is_as_long_as_they_are(tmp_path, prober, how, order):
    """Its length is told nowhere; a guess by the bit rate of silence would be forty times too long."""
    container, codec, rate, options = how
    sound = np.concatenate([np.random.default_rng(1).integers(-9000, 9000, 2 * rate), np.zeros(18 * rate)])[order]
    path = encode(
        tmp_path / f"a.{container}",
        sound.astype(np.int16),
        container,
        codec,
        rate=rate,
        options={"write_xing": "0"} if container == "mp3" else {},
        codec_options=options,
    )
    assert (await prober.probe(path)).duration == pytest.approx(20.0, abs=0.2)


async def test_a_recording_with_tags_that_are_not_utf_8_is_used(prober, tmp_path):
    path = with_undecodable_tag(make(tmp_path / "a.wav", "wav", "pcm_s16le"))
    assert (await prober.probe(path)).duration == pytest.approx(1.0)
    prepared = await prepare(path, tmp_path / "a.flac")
    assert prepared.duration == pytest.approx(1.0)
