import json
from pathlib import Path

import pytest

from service.batch_server import capabilities, job_config
from service.batch_server.dispatch import transcription as transcribe
from service.batch_server.errors import BadConfig
from tests.support import spec


def parse(**transcription):
    return job_config.parse(
        json.dumps({"type": "transcription", "transcription_config": {"language": "en", **transcription}}).encode()
    )


EVERYTHING = {
    "type": "transcription",
    "fetch_data": {"url": "https://example.org/a.wav", "auth_headers": ["A: b"]},
    "transcription_config": {
        "language": "en",
        "domain": "finance",
        "output_locale": "en-GB",
        "model": "enhanced",
        "operating_point": "standard",
        "additional_vocab": [{"content": "gnocchi", "sounds_like": ["nyohki"]}, {"content": "CEO"}],
        "punctuation_overrides": {"sensitivity": 0.4, "permitted_marks": [".", "all"]},
        "diarization": "channel",
        "channel_diarization_labels": ["Agent", "Caller"],
        "enable_entities": True,
        "max_delay_mode": "flexible",
        "audio_filtering_config": {"volume_threshold": 3.5},
        "transcript_filtering_config": {"remove_disfluencies": True, "replacements": [{"from": "a", "to": ""}]},
        "speaker_diarization_config": {
            "prefer_current_speaker": True,
            "speaker_sensitivity": 0.6,
            "get_speakers": True,
            "speakers": [{"label": "Ann", "speaker_identifiers": ["x"]}],
        },
    },
    "notification_config": [{"url": "https://example.org", "contents": ["jobinfo"], "method": "put"}],
    "tracking": {"title": "t", "reference": "r", "tags": ["a"], "details": {"deep": [1, {"x": None}]}},
    "output_config": {"srt_overrides": {"max_line_length": 40, "max_lines": 1}},
    "translation_config": {"target_languages": ["de"]},
    "language_identification_config": {
        "expected_languages": ["en"],
        "low_confidence_action": "allow",
        "default_language": "en",
    },
    "summarization_config": {"content_type": "auto", "summary_length": "brief", "summary_type": "bullets"},
    "sentiment_analysis_config": {},
    "topic_detection_config": {"topics": ["a"]},
    "auto_chapters_config": {},
    "audio_events_config": {"types": ["music"]},
}


def test_every_documented_field_is_known():
    spec.assert_valid(EVERYTHING, "JobConfig")
    config = job_config.parse(json.dumps(EVERYTHING).encode())
    assert config.reference == "r"
    assert config.transcription_config.additional_vocab[0].sounds_like == ("nyohki",)


def properties(name):
    return set(spec.document()["definitions"][name]["properties"])


def test_the_models_have_exactly_the_documented_fields():
    def fields(model):
        return set(model.__struct_encode_fields__)

    assert fields(job_config.JobConfig) == properties("JobConfig")
    assert fields(job_config.TranscriptionConfig) == properties("TranscriptionConfig")
    assert fields(job_config.Tracking) == properties("TrackingData")
    assert fields(job_config.Notification) == properties("NotificationConfig")
    assert fields(job_config.Fetch) == properties("DataFetchConfig")


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"", "invalid"),
        (b"{", "invalid"),
        (b"\xff", "invalid"),
        (b"[]", "object"),
        (b"[" * 100_000, "invalid"),
        (b"{}", "type"),
        (b'{"type": "transcription"}', "transcription_config"),
        (b'{"type": "alignment", "transcription_config": {"language": "en"}}', r"\$\.type"),
        (b'{"type": "transcription", "transcription_config": {}}', "language"),
        (b'{"type": "transcription", "transcription_config": {"language": 1}}', r"\$\.transcription_config\.language"),
        (b'{"type": "transcription", "transcription_config": {"language": "en", "languag": 1}}', "languag"),
        (b'{"type": "transcription", "transcription_config": {"language": "en"}, "x": 1}', "x"),
    ],
)
def test_what_is_no_documented_config_is_refused_with_its_place(raw, named):
    with pytest.raises(BadConfig, match=named):
        job_config.parse(raw)


@pytest.mark.parametrize(
    "wrong",
    [
        {"diarization": "both"},
        {"model": "huge"},
        {"punctuation_overrides": {"sensitivity": 1.1}},
        {"punctuation_overrides": {"permitted_marks": ["ab"]}},
        {"channel_diarization_labels": ["a b"]},
        {"channel_diarization_labels": ["a\n"]},
        {"speaker_diarization_config": {"speakers": [{"label": "A", "speaker_identifiers": ["x", "x"]}]}},
        {"audio_filtering_config": {"volume_threshold": 101}},
        {"transcript_filtering_config": {"replacements": [{"from": "a"}]}},
        {"additional_vocab": [{"sounds_like": ["a"]}]},
        {"additional_vocab": ["word"]},
        {"speaker_diarization_config": {"speaker_sensitivity": -1}},
    ],
)
def test_values_outside_the_documented_ones_are_refused(wrong):
    with pytest.raises(BadConfig, match=r"\$\.transcription_config"):
        parse(**wrong)


def test_null_stands_for_not_given_but_not_for_what_is_needed():
    config = parse(
        additional_vocab=None, domain=None, enable_entities=None, punctuation_overrides={"sensitivity": None}
    )
    assert config.transcription_config.additional_vocab == ()
    assert capabilities.notes(config) == []
    assert job_config.parse(json.dumps(EVERYTHING).encode()).tracking.details == {"deep": [1, {"x": None}]}
    with pytest.raises(BadConfig, match="language"):
        parse(language=None)


def test_what_is_documented_but_empty_is_taken_and_noted():
    transcription = {
        "language": "en",
        "additional_vocab": [{"content": ""}, {"content": "CEO"}],
        "transcript_filtering_config": {"replacements": [{"from": "", "to": "x"}, {"from": "/", "to": "or"}]},
    }
    spec.assert_valid(transcription, "TranscriptionConfig")
    config = parse(**transcription)
    capabilities.check(config, model="tiny.en")
    assert transcribe.task(config, Path("a.wav"), longest=60.0).vocabulary == ("CEO",)
    assert [note.split(":")[0].rpartition(".")[2] for note in capabilities.notes(config)] == [
        "additional_vocab",
        "replacements",
    ]


def test_a_language_that_the_model_does_not_know_is_refused_with_a_way_out():
    with pytest.raises(BadConfig, match=r"only supports English.*multilingual"):
        capabilities.check(parse(language="de"), model="tiny.en")
    capabilities.check(parse(language="de"), model="base")
    with pytest.raises(BadConfig, match="'xx'"):
        capabilities.check(parse(language="xx"), model="base")
    with pytest.raises(BadConfig) as caught:
        capabilities.check(parse(language=""), model="base")
    assert caught.value.error == "No language selected"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fetch_data": {"url": "https://example.org"}}, "fetch_data"),
        ({"fetch_text": {"url": "https://example.org"}}, "fetch_text"),
        ({"notification_config": [{"url": "https://example.org"}]}, "notification_config"),
        ({"notification_config": [{"url": "https://example.org"}] * 4}, "at most 3"),
        ({"transcription_config": {"language": "en", "diarization": "speaker"}}, "diarization"),
        (
            {
                "transcription_config": {
                    "language": "en",
                    "transcript_filtering_config": {"replacements": [{"from": "/a+/", "to": "b"}]},
                }
            },
            "regular expressions",
        ),
    ],
)
def test_what_the_server_can_not_do_is_refused_by_field(change, named):
    base = {"type": "transcription", "transcription_config": {"language": "en"}}
    config = job_config.parse(json.dumps(base | change).encode())
    with pytest.raises(BadConfig, match=named):
        capabilities.check(config, model="tiny.en")


def test_speakers_are_told_apart_only_where_that_is_installed():
    with pytest.raises(BadConfig, match=r"pip install 'dropscribe\[diarization\]'") as caught:
        capabilities.check(parse(diarization="speaker"), model="tiny.en")
    assert caught.value.error == "Requested product not available"
    options = {"prefer_current_speaker": True, "speaker_sensitivity": 0.0, "get_speakers": True}
    config = parse(diarization="speaker", speaker_diarization_config=options)
    capabilities.check(config, model="tiny.en", diarizing=True)
    assert [note.split(":")[0] for note in capabilities.notes(config)] == [
        "transcription_config.speaker_diarization_config.get_speakers"
    ]
    known = {"speakers": [{"label": "Ann", "speaker_identifiers": ["x"]}]}
    config = parse(diarization="speaker", speaker_diarization_config=known)
    with pytest.raises(BadConfig, match=r"speaker_diarization_config\.speakers.*speakers from other recordings"):
        capabilities.check(config, model="tiny.en", diarizing=True)


def test_the_worker_is_asked_for_speakers_only_if_the_client_asks():
    def asked(**transcription):
        return transcribe.task(parse(**transcription), Path("a.wav"), longest=60.0).speaker_sensitivity

    assert asked() is None
    assert asked(diarization="channel", speaker_diarization_config={"speaker_sensitivity": 0.7}) is None
    assert asked(diarization="speaker") == 0.5
    assert asked(diarization="speaker", speaker_diarization_config={"get_speakers": True}) == 0.5
    assert asked(diarization="speaker", speaker_diarization_config={"speaker_sensitivity": 0.0}) == 0.0


def test_what_is_not_added_is_reported_where_the_api_has_a_place_for_it():
    config = job_config.parse(json.dumps(EVERYTHING).encode())
    errors = capabilities.missing_products(config)
    assert set(errors) == {
        "translation_errors",
        "summarization_errors",
        "sentiment_analysis_errors",
        "topic_detection_errors",
        "auto_chapters_errors",
    }
    metadata = {"created_at": "2026-01-01T00:00:00Z", "type": "transcription", **errors}
    spec.assert_valid(metadata, "RecognitionMetadata")


def test_every_setting_without_effect_is_noted():
    config = job_config.parse(json.dumps(EVERYTHING).encode())
    said = " ".join(capabilities.notes(config))
    for field in (
        "translation", "summary", "sentiment", "topics", "chapters", "audio_events_config", "domain", "model",
        "operating_point", "output_locale", "enable_entities", "max_delay_mode", "sounds_like", "sensitivity",
        "speaker_diarization_config", "language_identification_config",
    ):  # fmt: skip
        assert field in said
    assert capabilities.notes(parse()) == []
