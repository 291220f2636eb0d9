"""What is recognised, held against what was said; and recordings that mean harm."""

import re

import av
import psutil
import pytest

from tests.support.sounds import encode, silence
from tests.support.words import MOST_WRONG, READ, assert_reads, error_rate

MOST_WRONG_IN_ALL = 0.05
"""The share of wrong words over all recordings in all formats: 27 of 546 words.

Measured with the packaged model and CTranslate2's switch CT2_FORCE_CPU_ISA, with 1 and with 2 threads: AVX512 0 words,
AVX2 4, AVX 4, GENERIC 4 (1 thread). Which words they are differs: on AVX2 "unless" and "ill-disposed" through the
telephone, on GENERIC the like in FLAC. The bound leaves room for processors that were not tried, and still notices
what costs one word in twenty.
"""


def encoded(source, path, codec, rate, **options):
    """Write a recording in another format."""
    with av.open(str(source)) as container, av.open(str(path), "w", **options) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        for frame in (*container.decode(audio=0), None):
            for resampled in resampler.resample(frame):
                resampled.pts = None
                out.mux(stream.encode(resampled))
        out.mux(stream.encode(None))
    return path


FORMATS = [
    ("flac", None, 16_000),
    ("wav", "pcm_mulaw", 8_000),
    ("mp3", "libmp3lame", 44_100),
    ("ogg", "libopus", 48_000),
    ("m4a", "aac", 44_100),
    ("mkv", "libopus", 48_000),
]
SECONDS = {"dashwood": (26, 27), "cards": (9, 10, 11)}


@pytest.mark.timeout(600)  # twelve recordings; the kernels for any processor are slow
def test_the_words_are_right_in_every_format(api, recordings, tmp_path):
    submitted = []
    for suffix, codec, rate in FORMATS:
        for name in SECONDS:
            path = recordings / f"{name}.flac"
            if codec is not None:
                path = encoded(path, tmp_path / f"{name}.{suffix}", codec, rate)
            submitted.append((name, api.submit(path, name=path.name).json()["id"]))
    pairs = []
    for name, job_id in submitted:
        job = api.ended(job_id)
        assert (job["status"], job["duration"] in SECONDS[name]) == ("done", True), job
        text = api.transcript(job, "txt")
        assert_reads(text, name)
        pairs.append((READ[name], text))
        if name == "dashwood":
            assert 3 <= len(re.findall(r"[.?!](?:\s|$)", text)) <= 8
    assert error_rate(pairs) <= MOST_WRONG_IN_ALL


def test_a_file_that_is_cut_short_gives_what_is_there(api, recordings):
    whole = (recordings / "dashwood.flac").read_bytes()
    job = api.done(whole[: len(whole) // 2], name="cut.flac")
    assert job["status"] == "done"
    text = api.transcript(job, "txt")
    beginning = " ".join(READ["dashwood"].split()[: len(text.split())])
    assert len(text.split()) > 20
    assert error_rate([(beginning, text)]) <= MOST_WRONG


def test_a_language_is_found_out_and_told(api, recordings):
    job = api.done(recordings / "leisure.flac", language="auto")
    told = api.transcript(job)
    assert told["metadata"]["language_identification"]["results"][0]["alternatives"][0]["language"] == "en"
    assert told["results"][0]["alternatives"][0]["language"] == "en"


def test_a_language_that_is_not_expected_rejects_the_job_with_the_reason(api, recordings):
    expected = {"language_identification_config": {"expected_languages": ["de", "fr"]}}
    job = api.done(recordings / "leisure.flac", language="auto", config=expected)
    assert job["status"] == "rejected"
    assert "expected_languages: de, fr" in job["errors"][0]["message"]


def test_words_that_are_to_be_expected_are_recognised(api, recordings):
    job = api.done(recordings / "leisure.flac", additional_vocab=[{"content": "Dashwood"}, {"content": "leisure"}])
    assert_reads(api.transcript(job, "txt"), "leisure")


def test_what_is_too_quiet_is_left_out(api, recordings):
    loud = api.done(recordings / "leisure.flac", audio_filtering_config={"volume_threshold": 5})
    quiet = api.done(recordings / "leisure.flac", audio_filtering_config={"volume_threshold": 100})
    assert_reads(api.transcript(loud, "txt"), "leisure")
    assert api.transcript(quiet)["results"] == []


def test_a_small_file_that_decodes_to_hours_is_refused_in_little_memory(start_server, tmp_path):
    path = encode(tmp_path / "hours.flac", silence(3600 * 16_000), "flac", "flac")
    assert path.stat().st_size < 1_000_000
    api = start_server("--max-seconds", "300")
    job = api.done(path)
    assert job["status"] == "rejected"
    assert "300 seconds" in job["errors"][0]["message"]
    (worker,) = psutil.Process(api.server.pid).children()
    assert worker.memory_info().rss < 500_000_000
