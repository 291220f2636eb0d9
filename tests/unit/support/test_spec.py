import jsonschema
import pytest

from tests.support import spec


def errors(schema, instance):
    return list(jsonschema.Draft202012Validator(schema).iter_errors(instance))


def test_references_between_definitions_are_followed():
    definitions = {
        "Outer": {"type": "object", "properties": {"inner": {"$ref": "#/definitions/Inner"}}},
        "Inner": {"type": "string", "enum": ["a"]},
    }
    schema = spec.to_json_schema(definitions, "Outer")
    assert not errors(schema, {"inner": "a"})
    assert errors(schema, {"inner": "b"})


def test_a_property_may_be_called_like_a_keyword():
    definitions = {"Thing": {"properties": {"format": {"type": "string"}, "type": {"type": "integer"}}}}
    schema = spec.to_json_schema(definitions, "Thing")
    assert not errors(schema, {"format": "2.9", "type": 1})
    assert errors(schema, {"format": 2.9})
    assert errors(schema, {"type": "word"})


def test_examples_and_vendor_keywords_are_left_out():
    schema = spec.to_json_schema({"A": {"type": "object", "example": {"$ref": "x"}, "x-omitempty": True}}, "A")
    assert schema["$defs"]["A"] == {"type": "object"}


def test_the_published_comma_is_forgiven():
    schema = spec.to_json_schema({"A": {"type": "number,"}}, "A")
    assert not errors(schema, 1.5)


@pytest.mark.parametrize("name", sorted(spec.document()["definitions"]))
def test_every_definition_converts_to_a_valid_schema(name):
    spec.validator(name)


def test_what_does_not_fit_is_named():
    with pytest.raises(AssertionError, match=r"\$\.error"):
        spec.assert_valid({"code": 400, "error": "No such string"}, "ErrorResponse")
    spec.assert_valid({"code": 400, "error": "Job rejected"}, "ErrorResponse")
