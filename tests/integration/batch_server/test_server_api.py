"""The API over a real server process with the real model."""

import json
import time
import uuid

import httpx
import numpy as np
import pytest

from tests.support import spec
from tests.support.sounds import silence, speech, write_wav
from tests.support.words import assert_reads, plain


def test_speech_becomes_a_documented_transcript(api, recordings):
    job = api.done(recordings / "leisure.flac", name="leisure.flac", tracking={"title": "A title", "tags": ["x"]})
    spec.assert_valid(job, "JobDetails")
    assert (job["status"], job["duration"], job["data_name"]) == ("done", 7, "leisure.flac")
    assert job["config"]["tracking"] == {"title": "A title", "tags": ["x"]}
    transcript = api.transcript(job)
    spec.assert_valid(transcript, "RetrieveTranscriptResponse")
    assert transcript["job"]["tracking"] == {"title": "A title", "tags": ["x"]}
    words = [result for result in transcript["results"] if result["type"] == "word"]
    assert_reads(" ".join(word["alternatives"][0]["content"] for word in words), "leisure")
    times = [time for word in words for time in (word["start_time"], word["end_time"])]
    assert times == sorted(times)
    assert 0 <= times[0] < 1.0
    assert 5.0 < times[-1] <= 7.2
    assert all(0 <= word["alternatives"][0]["confidence"] <= 1 for word in words)
    marks = [result for result in transcript["results"] if result["type"] == "punctuation"]
    assert any(mark["is_eos"] for mark in marks)
    assert {mark["attaches_to"] for mark in marks} == {"previous"}


def test_txt_and_srt_say_the_same(api, recordings):
    job = api.done(recordings / "ten_seconds.flac")
    words = [
        result["alternatives"][0]["content"] for result in api.transcript(job)["results"] if result["type"] == "word"
    ]
    assert plain(api.transcript(job, "txt")).split() == plain(" ".join(words)).split()
    subtitles = api.transcript(job, "srt").split("\n\n")
    spoken = " ".join(" ".join(block.splitlines()[2:]) for block in subtitles)
    assert plain(spoken).split() == plain(" ".join(words)).split()


def test_create_can_wait_and_answer_with_the_text(api, recordings):
    response = api.submit(recordings / "leisure.flac", params={"wait": "60", "format": "txt"})
    body = response.json()
    spec.assert_valid(body, "CreateJobResponse")
    assert body["status"] == "done"
    assert_reads(body["txt"], "leisure")
    assert set(body) == {"id", "status", "txt"}


def test_create_without_wait_answers_with_the_id_only(api, recordings):
    response = api.submit(recordings / "leisure.flac")
    assert response.status_code == 201
    assert set(response.json()) == {"id"}


def test_a_waiting_request_is_answered_when_the_job_ends(api, recordings):
    job_id = api.submit(recordings / "ten_seconds.flac").json()["id"]
    assert api.get(f"jobs/{job_id}", params={"wait": 0}).json()["job"]["status"] == "running"
    response = api.get(f"jobs/{job_id}/transcript", params={"wait": 60, "format": "txt"})
    assert response.status_code == 200


def test_a_transcript_that_is_not_ready_is_not_found(api, recordings):
    job_id = api.submit(recordings / "dashwood.flac").json()["id"]
    response = api.get(f"jobs/{job_id}/transcript", params={"wait": 0})
    assert response.status_code == 404
    assert response.json()["error"] == "Transcription not ready"
    spec.assert_valid(response.json(), "ErrorResponse")
    assert api.get(f"jobs/{job_id}/transcript", params={"wait": 60}).status_code == 200


def test_without_a_wait_the_answer_comes_when_the_job_ends_or_after_a_moment(api, make_long):
    job_id = api.submit(make_long(20)).json()["id"]
    for path, status in ((f"jobs/{job_id}", 200), (f"jobs/{job_id}/transcript", 404)):
        at_once, waited = api.get(path, params={"wait": 0}), api.get(path)
        assert at_once.status_code == waited.status_code == status
        assert waited.elapsed.total_seconds() > 1.9
    assert api.delete(f"jobs/{job_id}", params={"force": "true"}).status_code == 200


def test_a_repeated_reference_answers_with_the_first_job(api, recordings):
    tracking = {"reference": str(uuid.uuid4())}
    first = api.submit(recordings / "leisure.flac", tracking=tracking)
    second = api.submit(recordings / "leisure.flac", tracking=tracking)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    listed = api.get("jobs").json()["jobs"]
    assert [job["id"] for job in listed if job["config"].get("tracking") == tracking] == [first.json()["id"]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"This is a text, whatever its name says.\n" * 50, "can't be opened"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/hostname\n#EXT-X-ENDLIST\n", "can't be opened"),
        (b"ffconcat version 1.0\nfile '/etc/hostname'\n", "can't be opened"),
    ],
)
def test_what_is_no_recording_is_rejected_with_a_reason(api, content, reason):
    job = api.done(content, name="a.wav")
    spec.assert_valid(job, "JobDetails")
    assert job["status"] == "rejected"
    assert reason in job["errors"][0]["message"]
    assert job["errors"][0]["type"] == "audio"
    response = api.get(f"jobs/{job['id']}/transcript")
    assert response.status_code == 404
    assert reason in response.json()["detail"]


def test_silence_gives_an_empty_transcript(api):
    from tests.support.batch_clients import tone

    job = api.done(tone(3.0), name="tone.wav")
    assert job["status"] == "done"
    assert api.transcript(job)["results"] == []
    assert api.transcript(job, "txt") == ""
    assert api.transcript(job, "srt") == ""


def test_channels_are_recognised_apart(api, recordings, tmp_path):
    mono = speech("leisure.flac")
    quiet = silence(len(mono))
    stereo = np.stack([np.concatenate([mono, quiet]), np.concatenate([quiet, mono])], axis=1)
    path = write_wav(tmp_path / "stereo.wav", stereo)
    job = api.done(path, diarization="channel", channel_diarization_labels=["Agent"])
    results = api.transcript(job)["results"]
    assert [channel for channel, _ in __import__("itertools").groupby(r["channel"] for r in results)] == [
        "Agent",
        "channel_2",
    ]
    for channel in ("Agent", "channel_2"):
        text = " ".join(
            r["alternatives"][0]["content"] for r in results if r["channel"] == channel and r["type"] == "word"
        )
        assert_reads(text, "leisure")
    assert api.transcript(job, "txt").startswith("SPEAKER: Agent\n")


def test_deleting_needs_force_while_the_job_runs(api, recordings):
    job_id = api.submit(recordings / "dashwood.flac").json()["id"]
    refused = api.delete(f"jobs/{job_id}")
    assert refused.status_code == 423
    assert refused.json()["error"] == "Resource Locked"
    deleted = api.delete(f"jobs/{job_id}", params={"force": "true"})
    assert deleted.status_code == 200
    spec.assert_valid(deleted.json(), "DeleteJobResponse")
    assert deleted.json()["job"]["status"] == "deleted"
    assert api.get(f"jobs/{job_id}").status_code == 404
    assert api.delete(f"jobs/{job_id}").status_code == 404
    with_deleted = api.get("jobs", params={"include_deleted": "true"}).json()["jobs"]
    assert [job["status"] for job in with_deleted if job["id"] == job_id] == ["deleted"]
    # The server goes on with the next job.
    assert api.done(recordings / "leisure.flac")["status"] == "done"


def test_jobs_are_listed_newest_first_in_pages(api, recordings):
    made = [api.submit(recordings / "leisure.flac").json()["id"] for _ in range(3)]
    newest = api.get("jobs", params={"limit": 2}).json()
    spec.assert_valid(newest, "RetrieveJobsResponse")
    assert [job["id"] for job in newest["jobs"]] == made[:0:-1]
    cursor = newest["jobs"][-1]["created_at"]
    older = api.get("jobs", params={"limit": 1, "created_before": cursor}).json()["jobs"]
    assert [job["id"] for job in older] == [made[0]]


def test_jobs_that_come_at_once_are_paged_without_gap_or_repetition(start_server):
    from concurrent.futures import ThreadPoolExecutor

    api = start_server()
    with ThreadPoolExecutor(8) as pool:
        made = {answer.json()["id"] for answer in pool.map(lambda _: api.submit(b"no recording"), range(40))}
    for digits in (9, 6, 3):  # the cursor as a client may write it, from nanoseconds to milliseconds
        found, cursor = [], None
        while jobs := api.get("jobs", params={"limit": 7, "created_before": cursor} if cursor else {"limit": 7}).json()[
            "jobs"
        ]:
            found += [job["id"] for job in jobs]
            moment = jobs[-1]["created_at"].removesuffix("Z")
            cursor = f"{moment:0<29}"[: 20 + digits] + "Z"
        assert (len(found), set(found)) == (40, made)


def test_the_log_tells_what_happened(api, recordings):
    job = api.done(recordings / "leisure.flac", name="leisure.flac")
    response = api.get(f"jobs/{job['id']}/log")
    assert response.headers["content-type"].startswith("text/plain")
    assert "Accepted leisure.flac" in response.text
    assert "Transcribed 7.1" in response.text


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "contract-key"}])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "jobs"), ("POST", "jobs"), ("GET", "jobs/a/log"), ("DELETE", "jobs/a")]
)
def test_without_the_key_nothing_is_answered(api, method, path, header):
    response = httpx.request(method, f"{api.base_url}{path}", headers=header, trust_env=False)
    assert response.status_code == 401
    assert response.json()["error"] == "Permission Denied"
    spec.assert_valid(response.json(), "ErrorResponse")


def test_a_wrong_key_is_told_even_to_who_sends_a_large_upload(api):
    response = httpx.post(
        f"{api.base_url}jobs",
        headers={"Authorization": "Bearer wrong"},
        files={"data_file": ("a.wav", bytes(30_000_000))},
        trust_env=False,
    )
    assert response.status_code == 401


@pytest.mark.parametrize("path", ["jobs/nosuchjob1", "jobs/..%2f..%2fetc", "jobs/%00", "jobs/nosuchjob1/transcript"])
def test_an_unknown_job_is_not_found(api, path):
    response = api.get(path)
    assert response.status_code == 404
    assert response.json()["error"] in ("Job not found", "Bad Request")
    spec.assert_valid(response.json(), "ErrorResponse")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ("{", "invalid"),
        ('{"type":"transcription"}', "transcription_config"),
        ('{"type":"transcription","transcription_config":{"language":"en","diarisation":"none"}}', "diarisation"),
        ('{"type":"transcription","transcription_config":{"language":"de"}}', "language"),
    ],
)
def test_a_config_that_can_not_be_honoured_is_refused_by_field(api, config, named):
    response = api.post("jobs", files={"config": (None, config), "data_file": ("a.wav", b"x" * 5_000_000)})
    assert response.status_code == 400
    spec.assert_valid(response.json(), "ErrorResponse")
    assert response.json()["error"] == "Job rejected"
    assert named in response.json()["detail"]


GOOD = json.dumps({"type": "transcription", "transcription_config": {"language": "en"}})


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"config": (None, GOOD)}, "Missing data_file"),
        ({"data_file": ("a.wav", b"x")}, "Malformed request"),
        ({"config": (None, GOOD), "extra": (None, "1"), "data_file": ("a.wav", b"x")}, "Malformed request"),
        ([("config", (None, GOOD)), ("config", (None, GOOD))], "Malformed request"),
        ([("config", (None, GOOD)), *[("data_file", ("a", b"x"))] * 2], "Malformed request"),
        ([("config", (None, GOOD + " " * 2_000_000)), ("data_file", ("a", b"x"))], "Job rejected"),
    ],
)
def test_a_form_that_is_not_as_documented_is_refused(api, files, error):
    response = api.post("jobs", files=files)
    assert response.status_code == 400
    assert response.json()["error"] == error
    spec.assert_valid(response.json(), "ErrorResponse")


def test_a_body_that_is_no_form_is_refused(api):
    response = api.post("jobs", content=b"x" * 100, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]) == (400, "Malformed request")
    for boundary in ("b", "b" * 5000):
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        response = api.post("jobs", content=b"x" * 100, headers=headers)
        assert (response.status_code, response.json()["error"]) == (400, "Malformed request")


def test_a_path_tells_all_its_methods_and_leads_nowhere_else(api):
    refused = api.put("jobs")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert api.get("jobs/").status_code == 404  # and not a redirect, which would make a GET of a POST
    listed, head = api.get("jobs", params={"limit": 1}), api.head("jobs", params={"limit": 1})
    assert (head.status_code, head.headers["content-length"], head.content) == (
        200,
        listed.headers["content-length"],
        b"",
    )


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"created_before": "x"}, {"include_deleted": "x"}])
def test_a_query_that_is_not_as_documented_is_refused(api, query):
    response = api.get("jobs", params=query)
    assert response.status_code == 422
    spec.assert_valid(response.json(), "ErrorResponse")


def test_an_unknown_format_is_refused(api, recordings):
    job = api.done(recordings / "leisure.flac")
    response = api.get(f"jobs/{job['id']}/transcript", params={"format": "vtt"})
    assert (response.status_code, response.json()["error"]) == (404, "Format Not Supported")


def test_file_names_keep_no_folders(api, recordings):
    job = api.done(recordings / "leisure.flac", name="../../etc/größe.flac")
    assert job["data_name"] == "größe.flac"


def test_usage_counts_what_was_processed(start_server, recordings):
    api = start_server()
    for _ in range(2):
        api.done(recordings / "leisure.flac")
    body = api.get("usage").json()
    spec.assert_valid(body, "UsageResponse")
    assert body["summary"] == [
        {"mode": "batch", "type": "transcription", "count": 2, "duration_hrs": pytest.approx(2 * 7.1 / 3600, abs=2e-4)}
    ]
    assert [item["language"] for item in body["details"]] == ["en"]
    assert api.get("usage", params={"since": "2020-01-01", "until": "2020-12-31"}).json()["details"] == []
    assert api.get("usage", params={"since": "x"}).status_code == 422


def test_what_had_no_effect_is_noted_in_log_and_metadata(api, recordings):
    config = {"translation_config": {"target_languages": ["de"]}}
    job = api.done(recordings / "leisure.flac", config=config, enable_entities=True)
    metadata = api.transcript(job)["metadata"]
    spec.assert_valid(metadata, "RecognitionMetadata")
    assert metadata["translation_errors"][0]["type"] == "translation_failed"
    assert any("enable_entities" in note for note in metadata["notes"])
    log = api.get(f"jobs/{job['id']}/log").text
    assert "No translation" in log
    assert "enable_entities" in log


def test_text_is_filtered_as_asked(api, recordings):
    # The words are taken from a first transcript: which they are may depend on the processor.
    unfiltered = api.transcript(api.done(recordings / "leisure.flac"), "txt")
    assert "." in unfiltered
    longest = max(plain(unfiltered).split(), key=len)
    job = api.done(
        recordings / "leisure.flac",
        punctuation_overrides={"permitted_marks": []},
        transcript_filtering_config={"replacements": [{"from": longest, "to": "xyzzy"}]},
    )
    text = api.transcript(job, "txt")
    assert plain(text) == plain(unfiltered).replace(longest, "xyzzy")
    assert "." not in text


def test_limits_are_kept(start_server):
    api = start_server("--limits", "cloud")
    refused = next(answer for _ in range(2000) if (answer := api.get("jobs")).status_code != 200)
    assert refused.status_code == 429
    spec.assert_valid(refused.json(), "ErrorResponse")
    assert int(refused.headers["retry-after"]) >= 1
    posts = [api.post("jobs").status_code for _ in range(100)]
    assert posts[:10] == [400] * 10
    assert 429 in posts


def test_an_upload_over_the_limit_is_refused(start_server, tmp_path):
    api = start_server("--max-upload", "100000")
    assert api.submit(bytes(100_001)).status_code == 413
    assert api.submit(bytes(90_000_000)).status_code == 413
    spec.assert_valid(api.submit(bytes(2_000_000)).json(), "ErrorResponse")
    assert api.submit(bytes(100_000)).status_code == 201
    assert list((tmp_path / "data" / "uploads").iterdir()) == []


def test_unfinished_jobs_are_limited(start_server, recordings):
    api = start_server("--max-unfinished", "1")
    assert api.submit(recordings / "dashwood.flac", tracking={"reference": "a"}).status_code == 201
    refused = api.submit(recordings / "leisure.flac")
    assert (refused.status_code, refused.json()["error"]) == (429, "Max concurrent running jobs exceeded")
    assert api.submit(recordings / "dashwood.flac", tracking={"reference": "a"}).status_code == 201


def test_the_processing_header_is_noted_or_refused(api, recordings):
    user = "Zoë\\nERROR forged"  # in JSON, where it stands for a line break
    header = {"X-SM-Processing-Data": f'{{"parallel_engines": 4, "user_id": "{user}"}}'.encode()}
    files = {"config": (None, GOOD), "data_file": ("a.flac", (recordings / "leisure.flac").read_bytes())}
    job_id = api.post("jobs", files=files, headers=header).json()["id"]
    assert "user Zoë ERROR forged" in api.get(f"jobs/{job_id}/log").text.splitlines()[0]
    refused = api.post("jobs", files=files, headers={"X-SM-Processing-Data": "[]"})
    assert (refused.status_code, refused.json()["error"]) == (400, "Malformed request")


def test_an_answer_takes_no_longer_than_it_must(api):
    times = []
    for _ in range(40):
        started = time.perf_counter()
        assert api.get("jobs/nosuchjob1").status_code == 404
        times.append(time.perf_counter() - started)
    assert min(times) < 0.04  # with Nagle's delay every one of them takes that long


def test_answers_are_dated(api):
    from email.utils import parsedate_to_datetime

    dated = parsedate_to_datetime(api.get("jobs/nosuchjob1").headers["date"])
    assert abs(dated.timestamp() - time.time()) < 5
