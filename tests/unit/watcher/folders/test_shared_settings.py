"""A `.dropscribe.toml` may hold anything: others can write it. Whatever it holds, only its own folder waits."""

import os
import string
from pathlib import Path

import msgspec
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watcher.errors import ConfigError
from watcher.folders.rules.overrides import OverrideFiles
from watcher.ledger import config_key
from watcher.models import Engine, WatchFolder

MONSTERS = {
    "wrong types": (b"language = 5\n", 1),
    "a wrong type in a table": (b'language = "de"\n[transcription]\ndiarization = 5\n', 3),
    "a list for a table": (b"transcription = [1]\n", 1),
    "contradicting": (b'language = "de"\n\n[transcription]\nlanguage = "en"\n', 4),
    "vocabulary on top of text": (b'vocabulary = ["a"]\n[transcription]\nadditional_vocab = "b"\n', 3),
    "vocabulary on top of a number": (b'vocabulary = ["a"]\n[transcription]\nadditional_vocab = 5\n', 3),
    "vocabulary of numbers": (b"vocabulary = [1, 2]\n", 1),
    "3,000 brackets": (b"\n\nvocabulary = " + b"[" * 3000 + b"]" * 3000, 3),
    "3,000 inline tables": (b"transcription = " + b"{a=" * 3000 + b"1" + b"}" * 3000, 1),
    "a key of 200,000 parts": (b".".join([b"a"] * 200_000) + b" = 1", 1),
    "a heading of 200,000 parts": (b"\n[" + b".".join([b"a"] * 200_000) + b"]", 2),
    "a number of 5,000 digits": (b"\nlanguage = " + b"9" * 5000, 2),
    "a number beyond 64 bits": (b"[transcription]\n\nx = 99999999999999999999\n", 3),
    "an infinite number": (b"[transcription]\nx = [1.0, [inf]]\n", 2),
    "a date": (b"[transcription]\nx = 2026-01-01\n", 2),
    "a time in a list in a table": (b"[transcription]\nx = [{ y = 12:00:00 }]\n", 2),
    "a day that does not exist": (b"language = 2026-99-99\n", 1),
    "duplicate keys": (b'language = "de"\nlanguage = "en"\n', 2),
    "duplicate tables": (b"[transcription]\n[transcription]\n", 2),
    "a long unknown key": (b"k" * 900_000 + b" = 1", 1),
    "a long wrong value": (b'formats = ["' + b"x" * 900_000 + b'"]', 1),
    "one format twice": (b'formats = ["txt", "txt"]\n', 1),
    "no format": (b"\nformats = []\n", 2),
    "binary": (b'language = "de"\n' + bytes(range(255, -1, -1)), 2),
    "UTF-16": ('language = "de"'.encode("utf-16"), 1),
    "zeros": (bytes(1000), 1),
    "more than 1 MiB": (b"#" * ((1 << 20) + 1), None),
    "a line that is slow to match": (b'vocabulary = [\n["' + b" " * 500_000 + b'x",\n"y"]]', 1),
    "many texts that don't end": (b'"""\\' * 200_000, None),
}


@pytest.mark.parametrize("name", MONSTERS)
def test_a_monstrous_file_is_a_mistake_on_a_line(tmp_path, name):
    content, line = MONSTERS[name]
    (tmp_path / "in").mkdir()
    file = tmp_path / "in" / ".dropscribe.toml"
    file.write_bytes(content)
    overrides = OverrideFiles(WatchFolder(tmp_path))
    with pytest.raises(ConfigError) as caught:
        overrides.settings(tmp_path / "in")
    text = str(caught.value)
    assert text.startswith(f"{file}")
    assert "wait" in text
    assert len(text) < 1000
    if line is not None:
        assert caught.value.line == line
    assert overrides.problems() == [text]
    assert overrides.settings(tmp_path) == WatchFolder(tmp_path), "its neighbours go on"
    file.write_bytes(b'\xef\xbb\xbflanguage = "de"\r\n')
    overrides.clear()
    assert overrides.settings(tmp_path / "in").transcription == {"language": "de"}
    overrides.check([tmp_path / "in"])
    assert overrides.problems() == []


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "sparse file", "unreadable loop"])
def test_what_is_no_small_file_is_not_read(tmp_path, kind):
    file = tmp_path / ".dropscribe.toml"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        (tmp_path / "elsewhere").write_text('language = "de"')
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "unreadable loop":
        file.symlink_to(file)
    else:
        with file.open("wb") as opened:
            opened.truncate(10**11)
    with pytest.raises(ConfigError, match="wait"):
        OverrideFiles(WatchFolder(tmp_path)).settings(tmp_path)


def test_a_list_in_the_config_that_is_no_list_stops_only_the_folder_that_adds_to_it(tmp_path):
    (tmp_path / ".dropscribe.toml").write_text('vocabulary = ["a"]')
    with pytest.raises(ConfigError, match="can't be used"):
        OverrideFiles(WatchFolder(tmp_path, transcription={"additional_vocab": 5})).settings(tmp_path)


KEYS = st.sampled_from(
    ["language", "diarization", "formats", "vocabulary", "transcription", "additional_vocab", "operating_point", "x"]
) | st.text(string.printable, min_size=1, max_size=5)
VALUES = st.recursive(
    st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=10)
    | st.dates()
    | st.datetimes()
    | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *"[]{}=.,#\n\r\t \\'\"",
            '"""',
            "'''",
            "language",
            "[transcription]",
            "formats",
            "vocabulary",
            "1e999",
            "0x",
            "inf",
        ]
    ),
    max_size=40,
).map("".join)


def use(folder: Path, content: bytes) -> None:
    """Read settings as the daemon does; raises only what its folder waits for."""
    (folder / ".dropscribe.toml").write_bytes(content)
    overrides = OverrideFiles(WatchFolder(folder))
    overrides.check([folder])
    try:
        found = overrides.settings(folder)
    except ConfigError as error:
        mistakes = [str(error)]
    else:
        mistakes = []
        config_key(Engine.LOCAL, found.transcription)
        assert msgspec.json.decode(msgspec.json.encode(found.transcription)) == found.transcription
        assert found.formats
    assert overrides.problems() == mistakes


ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@ONE_FOLDER
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode) | FRAGMENTS.map(str.encode))
def test_any_bytes_are_settings_or_a_mistake(tmp_path, content):
    use(tmp_path, content)


@ONE_FOLDER
@given(tables=st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_tables_are_settings_or_a_mistake(tmp_path, tables):
    use(tmp_path, tomli_w.dumps(tables).encode())
