"""The embedded server under generated jobs that are valid: each goes its whole way, every answer is held to the spec.

The configs are drawn from the published schema; the audio is real. What the other generated requests
(`test_server_schemathesis`) seldom reach is reached here: 201, transcripts in every format, logs, deletions.
"""

import json
from collections import Counter

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.contract.test_server_schemathesis import published, schema, schemathesis
from tests.support.embedded_server import embedded_server
from tests.support.sounds import silence, speech, wav

KEY = "generated-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
PLAIN = {"type": "transcription", "transcription_config": {"language": "en"}}


def recordings():
    return {"speech": wav(speech("leisure.flac")[: 16_000 * 3]), "silence": wav(silence(16_000))}


def closed(node):
    """Allow no fields but the documented ones: the server refuses others, as the tests of its configs say."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: closed(value) for key, value in node.items()}
    if node.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


def configs():
    """Every documented config of a job that needs nobody else, in English; few of them are refused for their sense."""
    document = published()
    wanted = document["definitions"] = closed(document["definitions"])
    for elsewhere in ("fetch_data", "fetch_text", "notification_config"):
        del wanted["JobConfig"]["properties"][elsewhere]
    wanted["JobConfig"]["required"] = ["type", "transcription_config"]
    wanted["TranscriptionConfig"]["properties"]["language"] = {"type": "string", "enum": ["en"]}
    identified = wanted["LanguageIdentificationConfig"]["properties"]
    identified["default_language"] = identified["expected_languages"]["items"] = {"type": "string", "enum": ["en"]}
    for limit in wanted["OutputConfig"]["properties"]["srt_overrides"]["properties"].values():
        limit["minimum"] = 0
    wanted["TrackingData"]["properties"]["details"]["additionalProperties"] = True
    # The form of `POST /jobs` says nothing about its `config` but that it is text: here it is the body itself.
    body = {"name": "config", "in": "body", "required": True, "schema": {"$ref": "#/definitions/JobConfig"}}
    document["paths"] = {"/configs": {"post": {"parameters": [body], "responses": {"201": {"description": "OK"}}}}}
    document["consumes"] = ["application/json"]
    return schemathesis.openapi.from_dict(document)["/configs"]["POST"].as_strategy().map(lambda case: case.body)


@pytest.fixture
def server(tmp_path):
    with embedded_server(tmp_path / "data", key=KEY) as server:
        yield server


def ask(server, method, path, **parts):
    """Make a request, and hold its answer against what is documented for it: status, type, headers, body."""
    case = schema[path][method].Case(headers=dict(HEADERS), **parts)
    response = case.call(base_url=server.url, timeout=60)
    case.validate_response(response)
    return response


@pytest.mark.parametrize("examples", [3, pytest.param(20, marks=pytest.mark.long)])
def test_valid_jobs_go_their_whole_way_as_documented(server, examples):
    audio = recordings()
    seen = Counter()

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(
        config=configs(), sound=st.sampled_from(sorted(audio)), form=st.sampled_from([None, "txt", "srt"])
    )
    @hypothesis.example(config=PLAIN, sound="speech", form="txt")  # which is sure to be taken, whatever is drawn
    def life(config, sound, form):
        query = {} if form is None else {"wait": 30, "format": form}
        body = {"config": json.dumps(config), "data_file": audio[sound]}
        created = ask(server, "POST", "/jobs", query=query, body=body, media_type="multipart/form-data")
        seen[created.status_code] += 1
        if created.status_code != 201:
            assert created.json()["detail"]
            return
        if form is not None:
            assert created.json()["status"] == "done"
            assert isinstance(created.json()[form], str)
        path = {"jobid": created.json()["id"]}
        job = ask(server, "GET", "/jobs/{jobid}", path_parameters=path, query={"wait": 30}).json()["job"]
        assert (job["status"], job["config"]) == ("done", config)
        for wanted in ("json-v2", "txt", "srt"):
            found = ask(
                server, "GET", "/jobs/{jobid}/transcript", path_parameters=path, query={"format": wanted, "wait": 0}
            )
            assert found.status_code == 200
            seen[f"{wanted} of {sound}"] += bool(found.json()["results"] if wanted == "json-v2" else found.text)
        assert ask(server, "GET", "/jobs/{jobid}/log", path_parameters=path).status_code == 200
        listed = ask(server, "GET", "/jobs", query={"limit": 1}).json()["jobs"]
        assert [each["id"] for each in listed] == [job["id"]]
        assert ask(server, "DELETE", "/jobs/{jobid}", path_parameters=path).json()["job"]["status"] == "deleted"
        for gone in ("/jobs/{jobid}", "/jobs/{jobid}/transcript", "/jobs/{jobid}/log"):
            assert ask(server, "GET", gone, path_parameters=path).status_code == 404

    life()
    assert seen[201] > examples / 3, seen
    assert all(seen[f"{form} of speech"] for form in ("json-v2", "txt", "srt")), seen
    usage = ask(server, "GET", "/usage").json()
    assert sum(item["count"] for item in usage["summary"]) == seen[201]
