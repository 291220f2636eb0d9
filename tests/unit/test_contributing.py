"""CONTRIBUTING.md names files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:watcher|service|tests)/[\w./-]+)`", TEXT)))
ROOMS = re.findall(r"^(?:  )?([a-z_]+(?:\.py|/)) ", TEXT, re.MULTILINE)


def test_it_names_files_and_rooms():
    assert {"watcher/models.py", "service/cli/app.py"} <= set(NAMED)
    assert {"scheduler/", "cli/", "host.py"} <= set(ROOMS)


@pytest.mark.parametrize("path", NAMED)
def test_each_named_file_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("room", ROOMS)
def test_each_line_of_the_map_exists(room):
    assert any((ROOT / parent / room).exists() for parent in ("", "watcher", "service"))
