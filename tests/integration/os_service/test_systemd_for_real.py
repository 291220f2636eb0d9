"""install → start → killed → restarted → hung → restarted → unusable → left alone → stop → uninstall."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from service.os_service import sd_notify
from service.os_service.plan import FileChange, apply
from service.os_service.spec import ServiceSpec
from service.os_service.systemd import UNIT, Systemd
from tests.support.user_manager import NotHere, UserManager
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux")

STAND_IN = Path(__file__).with_name("stand_in.py")


@pytest.fixture(params=["Jörg Müller 100% $HOME %h", 'o\'Neill \\ "quoted"'])
def manager(request):
    """A user manager for a home whose name has everything in it that unit files give a meaning to."""
    try:
        opened = UserManager(home=request.param)
        with opened as running:
            yield running
    except NotHere as why:
        pytest.skip(str(why))


def starts(folder):
    file = folder / "starts.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def installed_program(manager):
    folder = manager.home / "bin $PATH %i"
    folder.mkdir()
    program = folder / "dropscribe"
    shutil.copy(sd_notify.__file__, folder / "notify.py")
    program.write_text(f"#!{manager.python} -B\n{STAND_IN.read_text()}")
    program.chmod(0o755)
    return program


def test_the_life_of_the_service(manager, installed_program):  # noqa: PLR0915 - one life, told in order
    folder = installed_program.parent
    config_home = manager.home / ".config"
    state_home = str(manager.home / "state %% $USER")
    spec = ServiceSpec(
        program=(str(installed_program),),
        python=sys.executable,
        config_file=config_home / "dropscribe" / "config.toml",
        state_dir=manager.home / "state",
        options=("--config", str(config_home / 'c $HOME ${HOME} 5% "q" \\n.toml')),
        environment={"XDG_STATE_HOME": state_home},
    )
    systemd = Systemd(config_home, execute=manager.run)
    drop_in = systemd.unit.with_name(f"{UNIT}.d") / "quick.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text("[Service]\nRestartSec=100ms\nWatchdogSec=1\n")

    assert not systemd.state().installed
    steps = systemd.plan_install(spec)
    promised = {step.path for step in steps if isinstance(step, FileChange)}
    before = {path for path in manager.home.rglob("*") if path.is_file()}
    apply(steps, execute=manager.run)

    # Nothing was written but what the plan names and systemd's own link.
    link = systemd.unit.with_name("default.target.wants") / UNIT
    after = {path for path in manager.home.rglob("*") if path.is_file()}
    assert after - before == promised | {link, folder / "starts.jsonl"}
    state = systemd.state()
    assert (state.installed, state.running, state.at_login) == (True, True, True)
    (first,) = starts(folder)
    assert first["argv"] == [str(installed_program), *spec.options, "run"]
    assert first["xdg"] == state_home
    assert first["uid"] == manager.owner
    assert state.pid == first["pid"]
    shown = manager.run(("systemctl", "--user", "show", UNIT, "--property=StatusText")).out
    assert shown == "StatusText=watching 2 folders"

    # Installed twice is fine, and doesn't even restart it.
    assert apply(systemd.plan_install(spec), execute=manager.run) == []
    assert systemd.state().pid == first["pid"]

    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: len(starts(folder)) == 2)
    (folder / "hang").touch()  # the watchdog goes unfed
    until(lambda: len(starts(folder)) == 3)
    (folder / "hang").unlink()

    (folder / "unusable").touch()
    os.kill(until(lambda: systemd.state().pid), signal.SIGKILL)
    until(lambda: "exit status 78" in systemd.state().detail)
    count = len(starts(folder))
    assert not systemd.state().running
    (folder / "unusable").unlink()

    apply(systemd.plan_start(), execute=manager.run)
    assert systemd.state().running
    assert len(starts(folder)) == count + 1

    # The program is removed: systemd gives up, and the state says what is missing.
    aside = installed_program.rename(folder / "aside")
    os.kill(until(lambda: systemd.state().pid), signal.SIGKILL)
    active = ("systemctl", "--user", "show", UNIT, "--property=ActiveState")
    until(lambda: manager.run(active).out == "ActiveState=failed")
    assert systemd.state().missing is not None
    assert "dropscribe service install" in systemd.state().fix
    aside.rename(installed_program)
    apply(systemd.plan_start(), execute=manager.run)
    assert systemd.state().missing is None
    apply(systemd.plan_stop(), execute=manager.run)
    assert not systemd.state().running
    apply(systemd.plan_at_login(on=False), execute=manager.run)
    assert systemd.state().at_login is False

    apply(systemd.plan_uninstall(), execute=manager.run)
    left = {path for path in manager.home.rglob("*") if path.is_file()}
    assert left == before | {folder / "starts.jsonl"}
    drop_in.unlink()
    manager.run(("systemctl", "--user", "daemon-reload"))
    assert not systemd.state().installed
    assert systemd.plan_uninstall() == []
