"""systemd's own judgement of the unit."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.os_service.spec import ServiceSpec
from service.os_service.systemd import UNIT, render_unit

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze isn't installed; make test-deps installs it"
)


@pytest.fixture
def unit(tmp_path):
    spec = ServiceSpec(
        program=(sys.executable,), python=sys.executable, config_file=Path("/c"), state_dir=Path("/s"),
        options=("--config", "/home/Jörg Müller/100% $HOME.toml"), environment={"XDG_STATE_HOME": "/a b"},
    )  # fmt: skip
    file = tmp_path / UNIT
    file.write_text(render_unit(spec))
    return file


def analyze(tmp_path, *arguments):
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(runtime),
        "LANG": "C.UTF-8",
    }
    return subprocess.run(
        ["systemd-analyze", "--user", *arguments],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_verify_has_nothing_to_say(unit, tmp_path):
    done = analyze(tmp_path, "verify", str(unit))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_verify_would_have_something_to_say(unit, tmp_path):
    unit.write_text(unit.read_text().replace("WatchdogSec=90", "WatchdogSek=90"))
    assert "WatchdogSek" in analyze(tmp_path, "verify", str(unit)).stderr


def test_security_finds_the_hardening(unit, tmp_path):
    done = analyze(tmp_path, "security", "--offline=yes", "--json=short", str(unit))
    if not done.stdout.startswith("["):
        pytest.skip(f"this systemd-analyze can't judge files: {done.stderr.strip()}")
    held = {check["json_field"] for check in json.loads(done.stdout) if check["set"]}
    assert {"NoNewPrivileges", "LockPersonality", "RestrictRealtime", "RestrictSUIDSGID"} <= held
    assert {field for field in held if field.startswith("SystemCallFilter")} >= {"SystemCallFilter_mount"}
    shown = analyze(tmp_path / "run", "security", "--offline=yes", str(unit)).stdout
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", shown)[1]) < 7.0, "9.6 without any hardening"
