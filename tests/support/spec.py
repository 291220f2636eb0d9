"""The Batch API's specification (Swagger 2.0) as JSON Schema, to hold answers against."""

import functools
from pathlib import Path

import jsonschema
import yaml

SPEC = Path(__file__).parent.parent / "contract" / "spec" / "batch.yaml"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DATA = {"example", "examples", "enum", "default", "x-example"}  # keywords whose values are data, not schemas


def to_json_schema(definitions, name):
    """Turn one of Swagger's definitions, and those that it refers to, into a JSON Schema."""
    return {
        "$schema": _DIALECT,
        "$ref": f"#/$defs/{name}",
        "$defs": {key: _converted(value) for key, value in definitions.items()},
    }


def _converted(node):
    if isinstance(node, list):
        return [_converted(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {}
    for key, value in node.items():
        if key in _DATA:
            schema.update({key: value} if key == "enum" else {})
        elif key == "$ref":
            schema[key] = value.replace("#/definitions/", "#/$defs/")
        elif key == "properties":
            schema[key] = {name: _converted(child) for name, child in value.items()}
        elif key == "type" and isinstance(value, str):
            schema[key] = value.rstrip(",")  # the published file has `type: number,` in one place
        elif not key.startswith("x-") and key not in {"format", "description"}:
            schema[key] = _converted(value)
    return schema


@functools.cache
def document():
    """The specification as it was published."""
    return yaml.safe_load(SPEC.read_text(encoding="utf-8"))


@functools.cache
def validator(name):
    """A validator for one definition of the specification."""
    schema = to_json_schema(document()["definitions"], name)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def assert_valid(instance, name):
    """Hold an answer against a definition; the failure names every place that doesn't fit."""
    problems = [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(instance)]
    assert not problems, "\n".join(problems)


def documented_statuses(path, method):
    """The HTTP statuses that the specification documents for an operation."""
    return {int(status) for status in document()["paths"][path][method]["responses"]}
