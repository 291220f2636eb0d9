"""Job descriptions of all ages: with and without config, with nulls, with fields and states yet unknown."""

import msgspec
import pytest

from watcher.speechmatics import JobDetails, JobStatus, Usage

BASE = {"id": "a1", "status": "running", "created_at": "2026-01-01T00:00:00Z"}


def job(**more):
    return msgspec.convert({**BASE, **more}, JobDetails)


def test_what_is_missing_or_null_is_none():
    bare = job()
    nulls = job(data_name=None, duration=None, config=None, errors=None, tracking=None, text_name=None, lang=None)
    assert bare == nulls
    assert (bare.config, bare.reference, bare.reasons, bare.data_name) == (None, None, [], None)


@pytest.mark.parametrize(
    ("more", "reference"),
    [
        ({"config": {"type": "transcription", "tracking": {"reference": "r"}}}, "r"),
        ({"tracking": {"reference": "r"}}, "r"),
        ({"config": {"tracking": {"reference": "r"}}, "tracking": {"reference": "other"}}, "r"),
        ({"config": {"tracking": {"title": "t"}}}, None),
        ({"config": {"tracking": {"reference": 7}}}, None),
        ({"config": {"tracking": "odd"}, "tracking": {}}, None),
    ],
)
def test_the_reference_is_found_wherever_it_stands(more, reference):
    assert job(**more).reference == reference


def test_newer_states_and_fields_do_no_harm():
    newer = job(
        status="transcribing", mood="good", config={"type": "alignment", "alignment_config": {"language": "en"}}
    )
    assert newer.status == "transcribing"
    assert not newer.status.is_final
    assert newer.config.extra_fields == {"alignment_config": {"language": "en"}}
    assert [status.value for status in JobStatus if status.is_final] == ["done", "rejected", "deleted", "expired"]


def test_reasons_are_the_messages_that_there_are():
    errors = [{"message": "one", "timestamp": "t"}, {"timestamp": "t"}, {"message": None}, {"message": "two", "new": 1}]
    assert job(errors=errors).reasons == ["one", "two"]


def test_usage_is_read():
    each = {"mode": "batch", "type": "transcription", "count": 4, "duration_hrs": 1.5, "model": "enhanced", "new": 1}
    found = msgspec.convert({"since": "a", "until": "b", "summary": [each], "details": [each]}, Usage)
    assert (found.summary[0].count, found.details[0].model) == (4, "enhanced")
