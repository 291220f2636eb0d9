"""Configs pass through unharmed, known fields and unknown ones alike."""

import pathlib

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.speechmatics import (
    AdditionalVocab,
    FetchData,
    JobConfig,
    JobStatus,
    JobType,
    Model,
    NotificationConfig,
    NotificationContents,
    Replacement,
    TrackingData,
    TranscriptFilteringConfig,
    TranscriptionConfig,
)
from watcher.speechmatics import job_config as models
from watcher.speechmatics.models import ConfigModel

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def _example(model):
    """Configs of this model with known fields, right and wrong, and unknown ones."""
    fields = {info.encode_name for info in msgspec.structs.fields(model) if info.name != "extra_fields"}
    nested = {name: inner for name, inner in NESTED.items() if name in fields}
    required = {info.encode_name: st.text() for info in msgspec.structs.fields(model) if info.required}
    known = dict.fromkeys(sorted(fields - set(nested) - set(required)), JSON)
    known |= {name: st.deferred(lambda inner=inner: _example(inner) | JSON) for name, inner in nested.items()}
    return st.fixed_dictionaries(required, optional={**known, "a_newer_field": JSON, "extra_fields": JSON})


NESTED = {
    "transcription_config": models.TranscriptionConfig,
    "transcript_filtering_config": models.TranscriptFilteringConfig,
    "speaker_diarization_config": models.SpeakerDiarizationConfig,
    "fetch_data": models.FetchData,
    "tracking": models.TrackingData,
    "output_config": models.OutputConfig,
    "summarization_config": models.SummarizationConfig,
}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_example(JobConfig))
def test_any_config_comes_out_as_it_went_in(data):
    config = JobConfig.from_dict(data)
    assert config.to_dict() == data
    assert msgspec.json.decode(msgspec.json.encode(config.to_dict())) == msgspec.json.decode(msgspec.json.encode(data))
    assert JobConfig.from_dict(config.to_dict()) == config


def test_the_models_have_every_field_of_the_api():
    # Taken from the JobConfig and TranscriptionConfig definitions of the API's reference.
    assert {info.encode_name for info in msgspec.structs.fields(JobConfig)} == {
        "type", "fetch_data", "fetch_text", "transcription_config", "notification_config", "tracking",
        "output_config", "translation_config", "language_identification_config", "summarization_config",
        "sentiment_analysis_config", "topic_detection_config", "auto_chapters_config", "audio_events_config",
        "extra_fields",
    }  # fmt: skip
    assert {info.encode_name for info in msgspec.structs.fields(TranscriptionConfig)} == {
        "language", "domain", "output_locale", "model", "operating_point", "additional_vocab",
        "punctuation_overrides", "diarization", "channel_diarization_labels", "enable_entities", "max_delay_mode",
        "audio_filtering_config", "transcript_filtering_config", "speaker_diarization_config", "extra_fields",
    }  # fmt: skip


def test_a_typed_config_becomes_what_the_api_takes():
    config = JobConfig(
        type=JobType.TRANSCRIPTION,
        transcription_config=TranscriptionConfig(
            language="de",
            model=Model.ENHANCED,
            operating_point="standard",
            additional_vocab=[AdditionalVocab("gnocchi", ["nyohki"]), {"content": "CEO"}],
            transcript_filtering_config=TranscriptFilteringConfig(replacements=[Replacement(from_="a", to="b")]),
        ),
        notification_config=[NotificationConfig("https://example.org", contents=[NotificationContents.DATA])],
        tracking=TrackingData(reference="r", details={"n": 1}),
        extra_fields={"brand_new": {"on": True}},
    )
    assert config.to_dict() == {
        "type": "transcription",
        "transcription_config": {
            "language": "de",
            "model": "enhanced",
            "operating_point": "standard",
            "additional_vocab": [{"content": "gnocchi", "sounds_like": ["nyohki"]}, {"content": "CEO"}],
            "transcript_filtering_config": {"replacements": [{"from": "a", "to": "b"}]},
        },
        "notification_config": [{"url": "https://example.org", "contents": ["data"]}],
        "tracking": {"reference": "r", "details": {"n": 1}},
        "brand_new": {"on": True},
    }
    assert JobConfig.from_dict(config.to_dict()).transcription_config.additional_vocab[0].content == "gnocchi"


def test_a_known_field_beats_an_extra_one_of_its_name():
    config = TranscriptionConfig(language="en", extra_fields={"language": "xx", "more": 1})
    assert config.to_dict() == {"language": "en", "more": 1}


def test_a_model_without_its_required_field_is_refused():
    with pytest.raises(ValueError, match=r"url"):
        FetchData.from_dict({"auth_headers": []})


def test_credentials_are_not_shown():
    for shown in (
        FetchData("https://example.org", auth_headers=["Authorization: hush"]),
        NotificationConfig("https://example.org", auth_headers=["Authorization: hush"]),
        JobConfig(fetch_data=FetchData("u", auth_headers=["Authorization: hush"])),
    ):
        assert "hush" not in repr(shown)
        assert "hush" not in str(shown)
        assert "hush" in str(shown.to_dict())


@pytest.mark.parametrize("value", ["running", "a_newer_state"])
def test_enumerations_take_what_they_do_not_know(value):
    status = msgspec.json.decode(f'"{value}"', type=JobStatus)
    assert status == value
    assert str(status) == value
    assert not status.is_final
    assert msgspec.json.decode(msgspec.json.encode(status)) == value
    assert status == JobStatus(value)
    assert hash(status) == hash(JobStatus(value))
    with pytest.raises(ValueError, match=r"7"):
        JobStatus(7)


def test_every_config_model_is_documented():
    found = [each for each in vars(models).values() if isinstance(each, type) and issubclass(each, ConfigModel)]
    assert len(found) > 20
    assert [each.__name__ for each in found if not (each.__doc__ or "").strip()] == []
    assert pathlib.Path(models.__file__).exists()
