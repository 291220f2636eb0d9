import pytest

from tests.support import spec
from watcher.speechmatics import TranscriptionConfig
from watcher.transcription_settings import FIELDS, problems_of

BEYOND = {"enable_partials", "max_delay", "language_hints", "language_hints_strict"}
"""What the service takes beyond its description: https://docs.speechmatics.com, and its official Python SDK."""
NEWER_MODELS = {"oak-1"}
KINDS = {"string": str, "boolean": bool, "number": float, "integer": float, "array": list, "object": dict}


def resolved(schema):
    while "$ref" in schema:
        schema = spec.document()["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def assert_same(field, schema, name):
    schema = resolved(schema)
    assert field.kind is KINDS[schema["type"].rstrip(",")], name
    if "minimum" in schema or "maximum" in schema:
        assert (field.least, field.most) == (schema["minimum"], schema["maximum"]), name
    assert set(field.known) - NEWER_MODELS == set(schema.get("enum", ())), name
    if field.kind is list:
        assert_same(field.items, schema["items"], name)
    if "properties" in schema:
        assert set(field.keys) == set(schema["properties"]), name
        assert set(field.needed) == set(schema.get("required", ())), name
        for key, child in field.keys.items():
            assert_same(child, schema["properties"][key], f"{name}.{key}")


def test_the_table_is_that_of_the_description():
    described = resolved({"$ref": "#/definitions/TranscriptionConfig"})["properties"]
    assert set(FIELDS) == set(described) | BEYOND
    for key, schema in described.items():
        assert_same(FIELDS[key], schema, key)


def test_the_client_library_can_send_nothing_that_the_table_lacks():
    assert set(TranscriptionConfig.__struct_fields__) - {"extra_fields"} <= set(FIELDS)


def test_what_the_service_takes_is_fine():
    assert not problems_of(
        {
            "language": "multi",
            "model": "melia-1",
            "language_hints": ["en", "de"],
            "domain": "medical",
            "additional_vocab": [{"content": "gnocchi", "sounds_like": ["nyohki"]}],
            "punctuation_overrides": {"sensitivity": 1, "permitted_marks": ["all"]},
            "transcript_filtering_config": {"replacements": [{"from": "a", "to": "b"}]},
            "speaker_diarization_config": {"speaker_sensitivity": 0.5},
            "max_delay": 2,
        }
    )


@pytest.mark.parametrize(
    ("table", "path", "says", "sure"),
    [
        ({"langage": "en"}, ("langage",), "Did you mean 'language'?", True),
        ({"diarisation": "speaker"}, ("diarisation",), "Did you mean 'diarization'?", True),
        ({"sparkle": 1}, ("sparkle",), "Allowed: additional_vocab", False),
        ({"model": "oak-2"}, ("model",), "oak-2", False),
        ({"diarization": "speakers"}, ("diarization",), 'Did you mean "speaker"?', False),
        ({"enable_entities": "yes"}, ("enable_entities",), "enable_entities = true", True),
        ({"enable_entities": 1}, ("enable_entities",), "true or false", True),
        ({"language_hints": "en"}, ("language_hints",), 'language_hints = ["en"]', True),
        ({"additional_vocab": ["a"]}, ("additional_vocab", 0), '{ content = "a" }', True),
        ({"additional_vocab": [{"sounds_like": ["a"]}]}, ("additional_vocab", 0), "'content' is missing", True),
        ({"punctuation_overrides": {"sensitivity": 2}}, ("punctuation_overrides", "sensitivity"), "0 to 1", True),
        (
            {"punctuation_overrides": {"sensitivity": float("nan")}},
            ("punctuation_overrides", "sensitivity"),
            "nan",
            True,
        ),
        ({"max_delay": -1}, ("max_delay",), "0 or more", True),
        ({"max_delay": True}, ("max_delay",), "a number, not true", True),
        ({"audio_filtering_config": 5}, ("audio_filtering_config",), "a table, not 5", True),
    ],
)
def test_a_problem_names_its_place_and_what_to_write(table, path, says, sure):
    (problem,) = problems_of(table)
    assert (problem.path, problem.sure) == (path, sure)
    assert says in f"{problem.what}. {problem.fix}"
