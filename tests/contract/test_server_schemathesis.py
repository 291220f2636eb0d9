"""The embedded server under generated requests: no 5xx, no undocumented status, no body that doesn't match."""

import copy
import warnings

import hypothesis
import jsonschema
import pytest
import yaml

from tests.support import spec
from tests.support.embedded_server import embedded_server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what the tool imports is not ours to judge
    import schemathesis

KEY = "generated-key"
# Refusals that the published specification leaves out, and an HTTP server gives all the same: a method or path it
# doesn't have, a body that is too large or no form, and a query parameter of the wrong type.
UNDOCUMENTED = {404, 405, 413, 422}


def published():
    document = copy.deepcopy(spec.document())
    for definition in _walk(document["definitions"]):
        if isinstance(definition.get("type"), str):
            definition["type"] = definition["type"].rstrip(",")  # the published file has `type: number,` in one place
    # YAML anchors make some parts one object; a plain copy keeps the tool from tripping over that.
    return yaml.safe_load(yaml.safe_dump(document))


def _walk(node):
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from _walk(child)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with embedded_server(tmp_path_factory.mktemp("generated") / "data", key=KEY) as server:
        yield server


schema = schemathesis.openapi.from_dict(published())


@schema.parametrize()
@hypothesis.settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
def test_generated_requests_get_documented_answers(case, server):
    case.query = {name: value for name, value in (case.query or {}).items() if name != "wait"}  # would only take time
    response = case.call(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)
    path, method = case.operation.path, case.operation.method.lower()
    documented = spec.documented_statuses(path, method)
    assert response.status_code < 500, response.text
    assert response.status_code in documented | UNDOCUMENTED, response.text
    if response.status_code >= 400:
        spec.assert_valid(response.json(), "ErrorResponse")
        assert response.json()["code"] == response.status_code
        return
    answer = spec.document()["paths"][path][method]["responses"][str(response.status_code)]["schema"]
    if "$ref" in answer and "json" in response.headers["content-type"][0]:
        name = answer["$ref"].rpartition("/")[2]
        jsonschema.validate(response.json(), spec.validator(name).schema)
