"""The first minutes of a person with Dropscribe, with the real daemon."""

import pytest

from tests.support.daemon import Command
from tests.support.waiting import until


@pytest.fixture
def command(tmp_path):
    running = Command(tmp_path)
    yield running
    running.close()


def folders(command):
    return [folder["path"] for folder in command.json("status")["folders"]]


def test_a_daemon_without_a_folder_waits_and_takes_up_what_is_added_and_removed(command):
    daemon = command._start("run")
    assert not command.config.exists()
    assert "There is no folder to watch yet." in command.log()
    said = command.run("status").stdout
    assert "Dropscribe is running; nothing to do." in said
    assert "No folder is watched yet: dropscribe folders add" in said

    assert command.run("folders", "add", command.folder).returncode == 0
    until(lambda: folders(command) == [str(command.folder)], what="the folder to be watched")
    assert "config:" not in command.run("status").stdout
    assert command.run("folders", "remove", command.folder).returncode == 0
    until(lambda: folders(command) == [], what="the folder to be let go")

    command.config.write_text(f'[[folders]]\npath = "{command.folder}"\n')
    until(lambda: folders(command) == [str(command.folder)], what="the config to be taken up")
    command.config.unlink()  # as an editor does for a moment; it is not the order to watch nothing
    until(lambda: "there is no such file" in command.json("status")["config_problem"], what="the warning")
    assert folders(command) == [str(command.folder)]
    assert daemon.poll() is None
