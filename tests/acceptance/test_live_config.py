"""Settings change while the daemon runs."""

import pytest

from tests.support.daemon import Command
from tests.support.waiting import until


@pytest.fixture
def command(tmp_path):
    found = Command(tmp_path)
    found.config.write_text(f'[dashboard]\nport = 0\n\n[[folders]]\npath = "{found.folder}"\n')
    yield found
    found.close()


def folders(command):
    return {folder["path"] for folder in command.json("--config", command.config, "status")["folders"]}


def test_a_folder_that_is_added_is_watched_without_a_restart(command):
    command.start_with_config()
    assert folders(command) == {str(command.folder)}
    other = command.root / "Other"
    other.mkdir()
    (other / "text.wav").write_text("no sound")
    assert command.run("--config", command.config, "folders", "add", other).returncode == 0
    until(lambda: folders(command) == {str(command.folder), str(other)}, what="the folder")
    until(lambda: command.count("SKIPPED"), what="its file")
    assert command.run("--config", command.config, "folders", "remove", other).returncode == 0
    until(lambda: folders(command) == {str(command.folder)}, what="the folder's end")


def test_a_broken_edit_is_reported_with_its_line_and_changes_nothing(command):
    command.start_with_config()
    good = command.config.read_text()
    command.config.write_text(good + "colour = 1\n")

    def problem():
        # The command line itself refuses the broken config; the page and the tray ask the daemon.
        return command.ask("/api/status")["config_problem"]

    said = until(problem, what="the report")
    assert f"{command.config}, line 6: unknown key 'colour'" in said
    assert {folder["path"] for folder in command.ask("/api/status")["folders"]} == {str(command.folder)}
    command.config.write_text(good.replace("port = 0", "port = 1"))
    until(lambda: "[dashboard]" in problem(), what="the word that a restart is needed")
    command.config.write_text(good)
    until(lambda: not problem(), what="the all-clear")
