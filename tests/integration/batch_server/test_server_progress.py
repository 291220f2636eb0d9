"""How far a job is: the path beyond the published API that a progress bar asks."""

import pytest

from tests.support.sounds import windows, write_wav
from tests.support.waiting import until


def progress(api, job_id):
    response = api.get(f"jobs/{job_id}/progress")
    assert response.status_code == 200, response.text
    return response.json()["progress"]


@pytest.mark.long
def test_a_job_says_how_many_seconds_are_recognised_and_how_many_jobs_are_ahead(start_server, tmp_path):
    api = start_server()
    long = write_wav(tmp_path / "long.wav", windows(12))  # more than is recognised in one batch
    first, second = (api.submit(long).json()["id"] for _ in range(2))
    waiting = progress(api, second)
    assert waiting["ahead"] >= 1
    assert "seconds_done" not in waiting
    seen = []

    def half_done():
        seen.append(progress(api, first))
        return 0 < seen[-1].get("seconds_done", 0) < seen[-1].get("duration", 0)

    until(half_done, lambda: f"saw {seen[-1]}")
    assert seen[-1]["ahead"] == 0
    assert seen[-1]["duration"] == pytest.approx(12 * 5.5, abs=1)
    done = [each["seconds_done"] for each in seen if "seconds_done" in each]
    assert done == sorted(done)
    details = api.get(f"jobs/{first}", params={"wait": 0}).json()["job"]
    assert "progress" not in details, "what the published API describes stays as described"
    assert api.ended(first)["status"] == "done"
    assert progress(api, first) == {"id": first, "status": "done"}
    assert api.delete(f"jobs/{second}", params={"force": "true"}).status_code == 200
    assert api.get(f"jobs/{second}/progress").status_code == 404


def test_the_progress_of_a_job_is_for_its_owner_alone(start_server, recordings):
    api = start_server(key="")  # every key is accepted, and sees its own jobs
    api.headers["Authorization"] = "Bearer owner"
    job = api.submit(recordings / "ten_seconds.flac").json()["id"]
    assert progress(api, job)["id"] == job
    api.headers["Authorization"] = "Bearer somebody-else"
    assert api.get(f"jobs/{job}/progress").status_code == 404
