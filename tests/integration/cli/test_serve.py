"""`dropscribe serve` as a person starts it: what it prints is enough to use it."""

import contextlib
import os
import re
import subprocess
import sys

import httpx
import pytest

from tests.support.certificates import tls_pair


@contextlib.contextmanager
def serving(tmp_path, *options, key=None):
    """Start the command; gives what it has printed by the time that it accepts requests."""
    environment = {name: value for name, value in os.environ.items() if name != "DROPSCRIBE_SERVER_KEY"}
    if key is not None:
        environment["DROPSCRIBE_SERVER_KEY"] = key
    command = [sys.executable, "-m", "service.cli.app", "--state-dir", str(tmp_path / "state"), "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            printed = ""
            while "Press Ctrl-C to stop." not in printed:
                line = process.stdout.readline()
                assert line, printed
                printed += line
            yield printed
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_what_it_prints_is_enough_and_the_next_start_has_the_same_key(tmp_path):
    with serving(tmp_path) as printed:
        url = re.search(r"SPEECHMATICS_BATCH_URL=(\S+)", printed)[1]
        key = re.search(r'SPEECHMATICS_API_KEY="(\S+)"', printed)[1]
        assert f"Key: {key}" in printed
        assert f'"Authorization: Bearer {key}"' in printed
        answer = httpx.get(f"{url}/jobs", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
        assert answer.json() == {"jobs": []}
    kept = tmp_path / "state" / "server" / "key"
    assert kept.read_text().strip() == key
    assert kept.stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    with serving(tmp_path) as printed:
        assert key in printed


def test_https_limits_and_a_key_of_one_s_own(tmp_path):
    _, client = tls_pair(tmp_path)
    options = ("--tls-cert", str(tmp_path / "both.pem"), "--tls-key", str(tmp_path / "both.pem"), "--limits", "cloud")
    with serving(tmp_path, *options, key="my-own-key") as printed:
        assert "my-own-key" not in printed
        url = re.search(r"(https://127\.0\.0\.1:\d+/v2)", printed)[1]
        with httpx.Client(verify=client, trust_env=False, headers={"Authorization": "Bearer my-own-key"}) as api:
            answers = [api.get(f"{url}/jobs/none").status_code for _ in range(200)]
    assert set(answers) == {404, 429}


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (["--tls-cert", "nowhere.pem"], 2, "--tls-key belong together"),
        (["--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"], 1, "nowhere.pem"),
        (["--limits", "moon"], 2, "moon"),
        (["--workers", "0"], 2, "--workers"),
    ],
)
def test_what_can_not_be_done_is_told(tmp_path, options, status, told):
    command = [sys.executable, "-m", "service.cli.app", "--state-dir", str(tmp_path / "state"), "serve", "--port", "0"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_cannot_be_loaded_ends_the_command_if_it_is_preloaded(tmp_path):
    command = [sys.executable, "-m", "service.cli.app", "--state-dir", str(tmp_path / "state"), "serve", "--port", "0"]
    ended = subprocess.run(
        [*command, "--model", "nope", "--preload"], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 1
    assert "can't load the model" in ended.stderr
    assert "nope" in ended.stderr
