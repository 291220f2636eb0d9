"""`dropscribe service …` as a person calls it, in a home of its own."""

import os
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux")

MANAGER = """#!/bin/sh
# Stands in for systemctl: a manager that is there and does what it is told.
echo "$*" >> {log}
case "$*" in
  *is-enabled*) echo enabled;;
  *"show dropscribe"*) printf '%s\\n' LoadState=loaded ActiveState=active SubState=running MainPID=42 Result=success;;
esac
"""


class Person:
    """A home, and the commands that can be called there."""

    def __init__(self, folder):
        self.home = folder / "home of Jörg"
        self.home.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.asked = folder / "asked"

    def with_systemctl(self, text=None):
        program = self.bin / "systemctl"
        program.write_text(text or MANAGER.format(log=shlex.quote(str(self.asked))))
        program.chmod(0o755)

    def call(self, *arguments):
        environment = {"HOME": str(self.home), "PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8"}
        if not (self.bin / "systemctl").exists():
            environment["PATH"] = str(self.bin)
        return subprocess.run(
            [sys.executable, "-m", "service.cli.app", *arguments],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def files(self):
        return {str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file()}


@pytest.fixture
def person(tmp_path):
    return Person(tmp_path)


UNIT = ".config/systemd/user/dropscribe.service"
AUTOSTART = ".config/autostart/dropscribe-tray.desktop"


def test_a_dry_run_writes_nothing_and_shows_what_install_writes(person):
    person.with_systemctl()
    shown = person.call("service", "install", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert person.files() == set()
    assert not person.asked.exists()
    assert person.call("service", "install").returncode == 0
    assert person.files() == {UNIT, AUTOSTART}
    for name in (UNIT, AUTOSTART):
        assert str(person.home / name) in shown.stdout
        for line in (person.home / name).read_text().splitlines():
            assert f"    {line}".rstrip() in shown.stdout
    for call in person.asked.read_text().splitlines():
        assert f"systemctl {call}" in shown.stdout


def test_install_twice_and_uninstall_leaves_config_and_ledger(person):
    person.with_systemctl()
    recordings = person.home / "Recordings"
    recordings.mkdir()
    assert person.call("folders", "add", str(recordings)).returncode == 0
    before = person.files()
    said = person.call("service", "install").stdout
    assert "starts at every login" in said
    assert ("gir1.2-gtk-3.0" in said) == (find_spec("gi") is None)  # what the icon's menu needs
    again = person.call("service", "install", "--no-tray")
    assert again.returncode == 0
    assert person.files() == before | {UNIT}
    assert "running" in person.call("service", "status").stdout
    gone = person.call("service", "uninstall")
    assert gone.returncode == 0
    assert person.files() == before
    assert str(person.home / ".config" / "dropscribe") in gone.stdout
    assert "Nothing was installed." in person.call("service", "uninstall").stdout


def test_without_a_folder_the_daemon_waits_for_one_and_the_next_step_is_told(person):
    person.with_systemctl()
    done = person.call("service", "install")
    assert "dropscribe folders add" in done.stdout
    assert [call for call in person.asked.read_text().splitlines() if "start" in call]


def test_a_unit_that_was_edited_is_kept(person):
    person.with_systemctl()
    person.call("service", "install")
    unit = person.home / UNIT
    unit.write_text(unit.read_text().replace("Nice=5", "Nice=19"))
    for command in ("install", "uninstall"):
        done = person.call("service", command)
        assert done.returncode == 1
        assert "was edited, so Dropscribe did not change it" in done.stderr
        assert "Nice=19" in unit.read_text()
    assert person.call("service", "uninstall", "--force").returncode == 0
    assert not unit.exists()


@pytest.mark.parametrize("command", ["install", "start", "stop", "status", "logs"])
def test_without_systemd_there_is_a_sentence(person, command):
    done = person.call("service", command)
    assert done.returncode == 1
    assert "isn't on this machine" in done.stderr
    assert "Traceback" not in done.stderr
    assert person.files() == set()


def test_without_a_user_manager_there_is_a_sentence_and_nothing_is_written(person):
    person.with_systemctl('#!/bin/sh\necho "Failed to connect to bus: No medium found" >&2\nexit 1\n')
    done = person.call("service", "install")
    assert done.returncode == 1
    assert "enable-linger" in done.stderr
    assert person.files() == set()


def test_a_broken_config_is_named_and_nothing_is_written(person):
    person.with_systemctl()
    config = person.home / "c.toml"
    config.write_text('engin = "local"\n')
    done = person.call("--config", str(config), "service", "install")
    assert done.returncode == 78
    assert "c.toml, line 1" in done.stderr
    assert person.files() == {"c.toml"}
    assert person.call("--config", str(config), "service", "stop").returncode == 0


def test_a_daemon_started_by_hand_is_not_doubled(person):
    from tests.support.control_server import ControlServer

    person.with_systemctl(MANAGER.format(log=shlex.quote(str(person.asked))).replace("=active", "=inactive"))
    (person.home / "R").mkdir()
    person.call("folders", "add", str(person.home / "R"))
    with ControlServer(person.home / ".local/state/dropscribe/control.json"):
        done = person.call("service", "install")
    assert done.returncode == 1
    assert f"started by hand is running (process {os.getpid()})" in done.stderr
    assert UNIT not in person.files()


JOURNAL = "#!/bin/sh\nprintf '%s' {lines}\n"


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("LoadState=loaded ActiveState=active SubState=running MainPID=42", "sudo journalctl _UID="),
        ("LoadState=loaded ActiveState=inactive SubState=dead MainPID=0", "dropscribe service start"),
        ("LoadState=not-found ActiveState=inactive SubState=dead MainPID=0", "dropscribe service install"),
        ("", "logs to its own terminal"),
    ],
)
def test_a_journal_that_has_nothing_is_explained(person, state, says):
    person.with_systemctl(f"#!/bin/sh\nprintf '%s\\n' {state}\n" if state else "#!/bin/sh\nexit 1\n")
    (person.bin / "journalctl").write_text(JOURNAL.format(lines="''"))
    (person.bin / "journalctl").chmod(0o755)
    done = person.call("service", "logs")
    assert (done.returncode, done.stdout) == (1, "")
    assert "The journal has no entries from Dropscribe's service." in done.stderr
    assert says in done.stderr


@pytest.mark.parametrize("options", [(), ("-f",)])
def test_what_the_journal_has_is_shown(person, options):
    person.with_systemctl()
    (person.bin / "journalctl").write_text(JOURNAL.format(lines="'a line'"))
    (person.bin / "journalctl").chmod(0o755)
    done = person.call("service", "logs", *options)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "a line", "")
