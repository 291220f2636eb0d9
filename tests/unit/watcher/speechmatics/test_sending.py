"""The parts of a submission that need no server: the body's layout, the recording, and what an answer means."""

import io
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.speechmatics import (
    ApiError,
    ConfigurationError,
    FetchData,
    JobConfig,
    SourceChanged,
    SourceUnreadable,
    SubmissionUnknown,
    TranscriptionConfig,
)
from watcher.speechmatics.answers import Answer, error_from
from watcher.speechmatics.multipart import build_form
from watcher.speechmatics.new_job import sort_out
from watcher.speechmatics.secret import Secret
from watcher.speechmatics.source import Recording
from watcher.speechmatics.submission import judge

JSON = {"content-type": "application/json"}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=30), st.integers(0, 5000))
def test_the_body_is_as_long_as_announced_and_starts_with_the_config(name, size):
    form = build_form(JobConfig(), data_name=name, size=size)
    boundary = form.content_type.partition("boundary=")[2].encode()
    body = form.head + b"x" * size + form.closing
    assert len(body) == form.length
    assert form.tail == min(size, 1024)
    _, config, audio, end = re.split(rb"(?:\r\n)?--" + boundary, body)
    assert config == b'\r\nContent-Disposition: form-data; name="config"\r\n\r\n{"type":"transcription"}'
    assert audio.startswith(b'\r\nContent-Disposition: form-data; name="data_file"; filename="')
    headers, _, content = audio.partition(b"\r\n\r\n")
    assert content == b"x" * size
    assert headers.count(b"\r\n") == 2  # no name breaks out of its header
    assert end == b"--\r\n"


def test_a_fetching_job_has_no_audio_part():
    form = build_form(JobConfig(fetch_data=FetchData("u")), data_name=None, size=0)
    assert b"data_file" not in form.head


def test_every_kind_of_source_is_opened(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"0123456789")
    with path.open("rb") as file:
        file.seek(4)
        for source, name, content in [
            (path, "a.wav", b"0123456789"),
            (str(path), "a.wav", b"0123456789"),
            (b"bytes", "audio", b"bytes"),
            (("b.mp3", b"bytes"), "b.mp3", b"bytes"),
            (io.BytesIO(b"memory"), "audio", b"memory"),
            (file, "a.wav", b"456789"),
        ]:
            recording = Recording.open(source)
            assert (recording.name, recording.size) == (name, len(content))
            assert recording.read(recording.size) == content
            recording.check_unchanged()
            recording.close()
        assert not file.closed
    named = Recording.open(path, "other name.wav")
    assert named.name == "other name.wav"
    named.close()


def test_a_source_that_cannot_be_measured_is_refused():
    class Pipe(io.RawIOBase):
        def readable(self):
            return True

    with pytest.raises(SourceUnreadable, match=r"can seek"):
        Recording.open(Pipe())
    with pytest.raises(SourceUnreadable):
        Recording.open("/dev/zero")


def test_a_file_object_that_grows_or_shrinks_is_noticed():
    growing = io.BytesIO(b"12345")
    recording = Recording.open(growing)
    recording.read(5)
    growing.write(b"6")
    growing.seek(5)
    with pytest.raises(SourceChanged, match=r"grew"):
        recording.check_unchanged()
    shrinking = io.BytesIO(b"12345")
    recording = Recording.open(shrinking)
    shrinking.truncate(3)
    with pytest.raises(SourceChanged, match=r"5 bytes, and ended after 3"):
        recording.read(5)


@pytest.mark.parametrize(
    ("source", "config", "transcription"),
    [
        (None, None, None),
        (b"audio", JobConfig(fetch_data=FetchData("u")), None),
        (b"audio", JobConfig(), TranscriptionConfig()),
        (FetchData("v"), JobConfig(fetch_data=FetchData("u")), None),
    ],
)
def test_contradictions_are_refused(source, config, transcription):
    with pytest.raises(ConfigurationError):
        sort_out(source, config, transcription)


def verdict(status, body, *, tail_sent=True, headers=JSON):
    answer = Answer(status, headers, body, "POST /jobs")
    return judge(answer, tail_sent=tail_sent, reference="r", now=0.0, secret=Secret("hush-hush"))


def test_a_clear_201_is_a_job():
    assert verdict(201, b'{"id":"a1","brand":"new"}').id == "a1"
    assert verdict(201, b'{"id":"a1"}', headers={"content-type": "text/html"}).id == "a1"  # the id is what counts
    created = verdict(201, b'{"id":"a1","status":"done","json-v2":{"format":"2.9"}}')
    assert bytes(created.json_v2) == b'{"format":"2.9"}'


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(200, 599),
    st.binary(max_size=30) | st.sampled_from([b'{"code":1,"error":"E"}', b'{"id":"a1"}', b'{"id":7}', b"{}"]),
    st.booleans(),
)
def test_every_answer_is_a_job_a_refusal_or_unknown(status, body, tail_sent):
    found = outcome(status, body, tail_sent)
    if isinstance(found, SubmissionUnknown):
        assert found.__cause__ is not None
        assert (found.status, found.tail_sent) == (status, tail_sent)
        assert tail_sent or status < 300  # before the tail, only a claim of success leaves doubt
    elif isinstance(found, ApiError):
        assert found.status == status
        assert status >= 300
        if tail_sent:
            assert 400 <= status < 500
            assert status in {401, 413, 429} or found.from_api
    else:
        assert (status, tail_sent, found.id) == (201, True, "a1")


def outcome(status, body, tail_sent):
    try:
        return verdict(status, body, tail_sent=tail_sent)
    except (ApiError, SubmissionUnknown) as error:
        return error


def test_errors_carry_what_the_service_said_and_no_key():
    body = b'{"code":400,"error":"Job rejected","detail":"key hush-hush\\nis\\u0007 odd ' + b"x" * 600 + b'"}'
    error = error_from(Answer(400, {"x-request-id": "id-1"}, body, "POST /jobs"), now=0.0, secret="hush-hush")
    assert (error.status, error.error, error.request_id) == (400, "Job rejected", "id-1")
    assert error.detail.startswith("key *** is  odd x")
    assert len(error.detail) <= 501
    assert str(error).startswith("POST /jobs was answered with 400 (Job rejected: key ***")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(300, 999), st.binary(max_size=50))
def test_no_error_body_breaks_the_reader(status, body):
    error = error_from(Answer(status, {}, body, "GET /x"), now=0.0)
    assert error.status == status
    assert str(status) in str(error)
