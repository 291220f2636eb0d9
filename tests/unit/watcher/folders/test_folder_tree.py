"""Walking a watch folder, and the overrides that people leave in it."""

import os
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from watcher.errors import ConfigError
from watcher.folders.filesystems import filesystem_of, is_remote, mounts_in, parse_mountinfo
from watcher.folders.rules.filters import Filter
from watcher.folders.rules.overrides import OverrideFiles, parse_overrides
from watcher.folders.scan import Scan
from watcher.models import OutputFormat, WatchFolder


def never(_path):
    return False


def found(root, *, start=None, is_elsewhere=never, **settings):
    folder = replace(WatchFolder(root), **settings)
    scan = Scan(root, Filter(folder), is_elsewhere)
    paths = [sighting.path for batch in scan.batches(start) for sighting in batch]
    assert len(paths) == len(set(paths))
    assert scan.seen == len(paths)
    return {path.relative_to(root).as_posix() for path in paths}


def fill(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_a_scan_finds_recordings_at_any_depth_and_nothing_else(tmp_path):
    fill(tmp_path, "a.wav", "b/c.mp3", "b/d/e.ogg", "b/notes.txt", ".git/x.wav", "b/x.wav.part", "@eaDir/x.wav")
    assert found(tmp_path) == {"a.wav", "b/c.mp3", "b/d/e.ogg"}
    assert found(tmp_path, recursive=False) == {"a.wav"}
    assert found(tmp_path, start=tmp_path / "b") == {"b/c.mp3", "b/d/e.ogg"}
    assert found(tmp_path, exclude=("d",)) == {"a.wav", "b/c.mp3"}


def test_a_scan_goes_through_many_files_in_batches(tmp_path):
    fill(tmp_path, *(f"{number}.wav" for number in range(1500)))
    batches = list(Scan(tmp_path, Filter(WatchFolder(tmp_path)), never).batches())
    assert sum(map(len, batches)) == 1500
    assert max(map(len, batches)) <= 512


def test_symlinks_are_not_followed(tmp_path):
    fill(tmp_path, "in/a.wav", "out/b.wav")
    root = tmp_path / "in"
    (root / "loop").symlink_to(root)
    (root / "out").symlink_to(tmp_path / "out")
    (root / "b.wav").symlink_to(tmp_path / "out/b.wav")
    (root / "broken.wav").symlink_to(tmp_path / "nowhere")
    assert found(root) == {"a.wav"}


def test_what_is_no_file_is_passed_over(tmp_path):
    fill(tmp_path, "a.wav")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    assert found(tmp_path) == {"a.wav"}


def test_names_that_are_no_text_and_names_of_255_bytes(tmp_path):
    names = [os.fsdecode(b"\xff\xfe\x80.wav"), "ü" * 125 + "x.wav", "new\nline.wav", " .wav", "\u202ehidden.mp3"]
    fill(tmp_path, *names, os.fsdecode(b"dir\xff/") + names[0])
    assert found(tmp_path) == {*names, os.fsdecode(b"dir\xff/") + names[0]}


def test_another_watch_folder_is_left_to_itself(tmp_path):
    fill(tmp_path, "a.wav", "inner/b.wav")
    assert found(tmp_path, is_elsewhere=(tmp_path / "inner").__eq__) == {"a.wav"}


def test_an_ignore_file_leaves_its_folder_out(tmp_path):
    fill(tmp_path, "a.wav", "b/.dropscribe-ignore", "b/x.wav", "b/c/x.wav")
    assert found(tmp_path) == {"a.wav"}
    overrides = OverrideFiles(WatchFolder(tmp_path))
    assert overrides.ignored_by(tmp_path / "b/c") == tmp_path / "b/.dropscribe-ignore"
    assert overrides.ignored_by(tmp_path) is None


def test_a_folder_that_vanishes_while_it_is_walked_is_no_error(tmp_path):
    fill(tmp_path, *(f"{number}/x.wav" for number in range(3)))
    scan = Scan(tmp_path, Filter(WatchFolder(tmp_path)), _remove)
    assert [sighting for batch in scan.batches() for sighting in batch] == []
    assert scan.problems == []


def _remove(path):
    (path / "x.wav").unlink()
    path.rmdir()
    return False


def test_a_root_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        found(tmp_path / "nowhere")


def test_a_very_deep_tree_is_walked(tmp_path):
    # Longer than a path may be for the OS: what can't be opened is told, the rest is found.
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        for _ in range(30):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
        Path("deep.wav").write_bytes(b"x")
    finally:
        os.chdir(before)
    fill(tmp_path, "a.wav")
    scan = Scan(tmp_path, Filter(WatchFolder(tmp_path)), never)
    assert [s.path.name for batch in scan.batches() for s in batch] == ["a.wav"]
    assert "can't be read" in scan.problems[0]


OVERRIDES = """
language = "de"
diarization = "speaker"
formats = ["txt", "srt"]
vocabulary = ["Dropscribe", { content = "Speechmatics", sounds_like = ["speech matics"] }]

[transcription]
operating_point = "enhanced"
"""


def test_overrides_hold_from_their_folder_down(tmp_path):
    folder = WatchFolder(tmp_path, transcription={"language": "en", "additional_vocab": [{"content": "ours"}]})
    (tmp_path / "de/deep").mkdir(parents=True)
    (tmp_path / "de/.dropscribe.toml").write_text(OVERRIDES)
    (tmp_path / "de/deep/.dropscribe.toml").write_text('formats = ["json-v2"]')
    overrides = OverrideFiles(folder)
    assert overrides.settings(tmp_path) == folder
    below = overrides.settings(tmp_path / "de")
    assert below.transcription == {
        "language": "de",
        "diarization": "speaker",
        "operating_point": "enhanced",
        "additional_vocab": [
            {"content": "ours"},
            {"content": "Dropscribe"},
            {"content": "Speechmatics", "sounds_like": ["speech matics"]},
        ],
    }
    assert below.formats == (OutputFormat.TXT, OutputFormat.SRT)
    deep = overrides.settings(tmp_path / "de/deep")
    assert deep.transcription == below.transcription
    assert deep.formats == (OutputFormat.JSON_V2,)
    assert folder.transcription == {"language": "en", "additional_vocab": [{"content": "ours"}]}


@pytest.mark.parametrize(
    "text",
    [
        'engine = "speechmatics"',
        'webhook = "http://x.example"',
        'on_done = ["rm"]',
        'output = "/tmp"',
        'after = "delete"',
        "formats = []",
        'formats = ["docx"]',
        "language = 5",
        "language",
    ],
)
def test_what_others_may_not_decide_or_is_wrong_is_refused_with_file_and_line(text):
    with pytest.raises(ConfigError, match=r"share/\.dropscribe\.toml, line 2: "):
        parse_overrides(f"# ours\n{text}\n", file="share/.dropscribe.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("language = 5", "'language': expected text, got a whole number."),
        ('language = ["en"]', "'language': expected text, got a list."),
        ('formats = "txt"', "'formats': expected a list, got text."),
        ("vocabulary = [1]", "'vocabulary': expected text or a table, got a whole number."),
        ("language = 2026-01-01", "'language': expected text, got a date."),
        ('vocabulary = [{content = "a", sound = "b"}]', "'vocabulary': unknown key `sound`."),
        ('vocabulary = [{sounds_like = ["b"]}]', "'vocabulary': `content` is missing."),
    ],
)
def test_a_wrong_type_is_named_in_plain_words(text, words):
    with pytest.raises(ConfigError) as wrong:
        parse_overrides(text, file="share/.dropscribe.toml")
    assert words in str(wrong.value)


def test_broken_overrides_stop_what_is_below_until_they_are_mended(tmp_path):
    file = tmp_path / ".dropscribe.toml"
    file.write_text("langage = 'de'")
    overrides = OverrideFiles(WatchFolder(tmp_path))
    with pytest.raises(ConfigError, match="langage"):
        overrides.settings(tmp_path / "below")
    assert len(overrides.problems()) == 1
    file.write_text("language = 'de'")
    overrides.clear()
    assert overrides.settings(tmp_path / "below").transcription["language"] == "de"
    assert overrides.problems() == []
    file.unlink()
    overrides.clear()
    assert overrides.settings(tmp_path / "below").transcription["language"] == "en"


MOUNTINFO = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /mnt/team\040share rw,nosuid - cifs //nas/team rw
41 22 0:36 / /mnt/nas rw shared:9 master:3 - nfs4 nas:/x rw
42 41 8:17 / /mnt/nas/usb rw - ext4 /dev/sdb1 rw
43 22 0:40 / /home/me/cloud rw - fuse.sshfs me@host:/ rw
44 22 0:41 / /mnt/two rw - tmpfs tmpfs rw
45 44 0:42 / /mnt/two rw - nfs nas:/two rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "remote"),
    [
        ("/home/me", "ext4", False),
        ("/mnt/team share/x", "cifs", True),
        ("/mnt/nas", "nfs4", True),
        ("/mnt/nas/usb/x", "ext4", False),
        ("/mnt/nasty", "ext4", False),
        ("/home/me/cloud", "fuse.sshfs", True),
        ("/mnt/two/x", "nfs", True),
    ],
)
def test_network_file_systems_are_recognised(path, kind, remote):
    assert parse_mountinfo(MOUNTINFO, path) == kind
    assert is_remote(kind) is remote


def test_what_is_mounted_below_a_folder_is_named():
    assert mounts_in(MOUNTINFO, "/mnt/nas") == ("42 /mnt/nas/usb",)
    assert mounts_in(MOUNTINFO, "/mnt/two") == ()
    assert [name.split(" ", 1)[1] for name in mounts_in(MOUNTINFO, "/home")] == ["/home/me/cloud"]
    assert "40 /mnt/team share" in mounts_in(MOUNTINFO, "/mnt")
    assert mounts_in("nonsense\n\n1 2 3", "/") == ()


def test_the_file_system_of_a_real_folder_is_named(tmp_path):
    assert filesystem_of(tmp_path)
    assert not is_remote("fuse.mergerfs")
    assert not is_remote("fuseblk")
    assert PurePath(tmp_path).is_absolute()


def test_what_is_read_while_something_changes_is_not_remembered(tmp_path, monkeypatch):
    overrides = OverrideFiles(WatchFolder(tmp_path))
    mark = tmp_path / ".dropscribe-ignore"
    mark.touch()
    there = os.path.lexists

    def removed_just_now(path):
        found = there(path)
        mark.unlink()
        overrides.clear()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os.path, "lexists", removed_just_now)
        assert overrides.ignored_by(tmp_path) == mark
    assert overrides.ignored_by(tmp_path) is None
