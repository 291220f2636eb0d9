"""The server on a real disk that is full."""

import contextlib
import sqlite3

from tests.integration.batch_server.conftest import Api
from tests.support import spec
from tests.support.embedded_server import embedded_server
from tests.support.small_disks import fill, mounted
from tests.support.waiting import until
from tests.support.words import assert_reads


def files(data):
    return [path for path in data.glob("*/*") if path.is_file()]


def refused(response):
    assert (response.status_code, response.json()["error"]) == (500, "Internal Server Error")
    assert response.json()["detail"] == "The server could not store the upload: its disk is full"
    spec.assert_valid(response.json(), "ErrorResponse")


def test_on_a_full_disk_nothing_is_lost_and_work_goes_on_when_there_is_room(recordings, tmp_path):
    with (
        mounted(tmp_path / "data", "size=6m") as data,
        embedded_server(data, options=("--threads", "1")) as server,
        Api(server) as api,
    ):
        refused(api.submit(bytes(10_000_000)))
        assert files(data) == []
        assert api.get("jobs").json() == {"jobs": []}

        accepted = api.submit(recordings / "leisure.flac").json()["id"]
        filler = fill(data)
        refused(api.submit(recordings / "leisure.flac"))
        # What was accepted can be recognised, but its transcript can't be written down.
        until(lambda: "disk can't be written" in (tmp_path / "data.log").read_text(encoding="utf-8"))
        assert api.get(f"jobs/{accepted}", params={"wait": 0}).json()["job"]["status"] == "running"
        filler.unlink()
        job = api.ended(accepted)
        assert job["status"] == "done"
        assert_reads(api.transcript(job, "txt"), "leisure")
        assert api.done(recordings / "leisure.flac")["status"] == "done"
        assert len(api.get("jobs").json()["jobs"]) == 2
        assert files(data) == []
        with contextlib.closing(sqlite3.connect(data / "jobs.sqlite3")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
