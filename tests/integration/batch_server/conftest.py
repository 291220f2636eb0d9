"""A real server process with the real model, shared by all tests that don't need one of their own."""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.embedded_server import embedded_server
from tests.support.sounds import RECORDINGS, speech, write_wav
from tests.support.waiting import PATIENCE


class Api(httpx.Client):
    """The API of one server, with its key."""

    def __init__(self, server):
        super().__init__(
            base_url=f"{server.url}/",
            headers={"Authorization": f"Bearer {server.key}"},
            timeout=PATIENCE,
            trust_env=False,
        )
        self.server = server

    def submit(self, audio, *, name="a.flac", config=None, tracking=None, params=None, **transcription):
        """Submit a recording: a path or bytes."""
        content = audio.read_bytes() if isinstance(audio, Path) else audio
        config = {
            "type": "transcription",
            "transcription_config": {"language": "en", **transcription},
            **({"tracking": tracking} if tracking else {}),
            **(config or {}),
        }
        return self.post(
            "jobs", files={"config": (None, json.dumps(config)), "data_file": (name, content)}, params=params
        )

    def done(self, audio, **options):
        """Submit a recording and wait until it has ended; return the job."""
        response = self.submit(audio, **options)
        assert response.status_code == 201, response.text
        return self.ended(response.json()["id"])

    def ended(self, job_id):
        """Wait until a job has ended, however slow the processor is; return it."""
        while (job := self.get(f"jobs/{job_id}", params={"wait": 20}).json()["job"])["status"] == "running":
            pass
        return job

    def transcript(self, job, form="json-v2"):
        response = self.get(f"jobs/{job['id']}/transcript", params={"format": form})
        assert response.status_code == 200, response.text
        return response.json() if form == "json-v2" else response.text


@pytest.fixture(scope="session")
def recordings():
    return RECORDINGS


@pytest.fixture(scope="session")
def shared_server():
    folder = Path(tempfile.mkdtemp(prefix="dropscribe-test-server-"))
    try:
        with embedded_server(folder / "data", options=("--threads", "1")) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def api(shared_server):
    """The shared server; jobs that a test leaves unfinished are deleted, so that the next doesn't wait for them."""
    with Api(shared_server) as api:
        yield api
        for job in api.get("jobs").json()["jobs"]:
            if job["status"] == "running":
                api.delete(f"jobs/{job['id']}", params={"force": "true"})


@pytest.fixture
def start_server(tmp_path):
    """Start servers of a test's own, with extra options; all of them are stopped at its end, or by `stop`."""
    with contextlib.ExitStack() as running:

        def start(*options, data_dir=None, key="own-key", environment=None):
            one = running.enter_context(contextlib.ExitStack())
            options = ("--threads", "1", *options)
            server = one.enter_context(
                embedded_server(data_dir or tmp_path / "data", key=key, options=options, environment=environment)
            )
            api = one.enter_context(Api(server))
            api.stop = one.close
            return api

        yield start


@pytest.fixture
def make_long(recordings, tmp_path):
    """Write recordings of any length: the same speech, again and again (26 s each time)."""

    def make(times):
        return write_wav(tmp_path / f"long-{times}.wav", np.tile(speech("dashwood.flac"), times))

    return make
