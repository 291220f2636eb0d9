from pathlib import Path

import pytest

from watcher.config import Config, FolderConfig
from watcher.models import Entry, EntryState, Fingerprint
from watcher.settings import Settings
from watcher.transcripts import Place


@pytest.fixture
def inbox(tmp_path):
    return tmp_path / "inbox"


def config(*folders, **more):
    return Config(folders=folders, **more)


def entry(root, name="one.wav"):
    return Entry(
        id=1, uid="u", root=root, path=root / name, state=EntryState.WAITING, fingerprint=Fingerprint(1, 1, "x"),
        engine=None, config={}, config_key="k", formats=(), added_at=0.0, changed_at=0.0,
    )  # fmt: skip


def test_a_changed_config_is_in_force_for_everyone_at_once(inbox):
    settings = Settings(config(FolderConfig(path=str(inbox))))
    assert settings.active_roots == [inbox]
    assert not settings.is_paused(inbox)
    assert not settings.newest_first
    settings.replace(config(FolderConfig(path=str(inbox), paused=True), order="newest-first"))
    assert settings.active_roots == []
    assert settings.is_paused(inbox)
    assert settings.newest_first
    settings.replace(config())
    assert settings.folder_of(entry(inbox)) is None
    assert not settings.is_paused(inbox)


def test_a_transcript_goes_beside_its_recording_even_when_its_folder_is_not_watched_any_more(inbox):
    settings = Settings(config(FolderConfig(path=str(inbox))))
    one = entry(inbox, "day/one.wav")
    assert settings.target_of(one) == Place(inbox / "day", inbox)
    settings.replace(config())
    assert settings.target_of(one) == Place(inbox / "day", inbox)


def test_an_output_folder_mirrors_the_tree(inbox, tmp_path):
    settings = Settings(config(FolderConfig(path=str(inbox), output=str(tmp_path / "out"))))
    assert settings.target_of(entry(inbox, "day/one.wav")) == Place(tmp_path / "out/day", tmp_path / "out")
    assert Path(settings.folder_at(inbox).path) == inbox
