"""Which files are recordings, and which rule says so."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.folders.rules.extensions import AUDIO, OURS, RECORDINGS, VIDEO
from watcher.folders.rules.filters import Filter
from watcher.folders.rules.globs import matches
from watcher.models import WatchFolder

ROOT = Path("/recordings")
FOLDER = WatchFolder(ROOT)


def rule(path, **settings):
    return Filter(replace(FOLDER, **settings)).verdict(PurePosixPath(path)).rule


@pytest.mark.parametrize(
    "name",
    [
        *(f"take{suffix}" for suffix in sorted(RECORDINGS)),
        "Meeting 1.WAV",
        "a/b/c.mp3",
        "part 1.wav",
        "lecture.part1.mp3",
        "tmp.wav",
        "~ambient.wav",
        "# 1 hit.mp3",
        "no\nnewline.ogg",
        "\udcff\udcfe.wav",
        "x" * 251 + ".wav",
    ],
)
def test_recordings_are_accepted(name):
    assert rule(name) == "accepted"


def test_every_format_of_the_service_is_known():
    assert {".wav", ".mp3", ".aac", ".ogg", ".mpeg", ".amr", ".m4a", ".mp4", ".flac", ".opus"} <= RECORDINGS
    assert not AUDIO & VIDEO
    assert not RECORDINGS & OURS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("talk.txt", "transcript"),
        ("talk.wav.json", "transcript"),
        ("talk.SRT", "transcript"),
        ("notes.docx", "extension"),
        ("noending", "extension"),
        (".hidden.wav", "hidden"),
        ("._talk.wav", "hidden"),
        (".cache/talk.wav", "hidden"),
        (".talk.wav.Xa81bc", "hidden"),
        ("talk.wav.part", "temporary"),
        ("talk.wav.crdownload", "temporary"),
        ("Unconfirmed 12345.crdownload", "temporary"),
        ("talk.download/talk.wav", "temporary"),
        ("talk.wav.filepart", "temporary"),
        ("talk.tmp", "temporary"),
        ("talk.tmp.mp4", "temporary"),
        ("talk.wav~", "temporary"),
        ("~$talk.wav", "temporary"),
        ("#talk.wav#", "temporary"),
        ("~syncthing~talk.wav.tmp", "temporary"),
        ("talk.wav.!ut", "temporary"),
        ("talk.wav.sb-1a2b3c4d-AbCdEf", "temporary"),
        ("$RECYCLE.BIN/x.wav", "service folder"),
        ("@eaDir/x.wav", "service folder"),
        (".dropscribe.toml", "settings"),
        (".dropscribe-ignore", "settings"),
    ],
)
def test_what_is_no_recording_is_left_out_by_a_named_rule(name, expected):
    assert rule(name) == expected


def test_exclude_names_a_file_a_folder_or_a_pattern():
    assert rule("drafts/talk.wav", exclude=("drafts",)) == "exclude"
    assert rule("a/Drafts/talk.wav", exclude=("drafts",)) == "exclude"
    assert rule("a/talk.wav", exclude=("/a/*.wav",)) == "exclude"
    assert rule("b/a/talk.wav", exclude=("/a/*.wav",)) == "accepted"
    assert Filter(replace(FOLDER, exclude=("drafts",))).folder_verdict(PurePosixPath("drafts")).rule == "exclude"


def test_include_limits_and_lets_in_unknown_endings():
    assert rule("talk.dat", include=("*.dat",)) == "accepted"
    assert rule("talk.wav", include=("*.dat",)) == "include"
    assert rule("talk.wav", include=("*.dat", "*.wav")) == "accepted"
    assert rule("a/talk.wav", include=("*.wav",), exclude=("a",)) == "exclude"


def test_without_recursion_subfolders_are_left_out():
    assert rule("a/talk.wav", recursive=False) == "subfolder"
    assert Filter(replace(FOLDER, recursive=False)).folder_verdict(PurePosixPath("a")).rule == "subfolder"


def test_where_finished_recordings_are_moved_to_is_left_out():
    assert rule("done/talk.wav", after="move:done") == "after"
    assert rule("done/talk.wav", after=f"move:{ROOT}/done") == "after"
    assert rule("done/talk.wav", after="move:/elsewhere") == "accepted"
    assert rule("talk.wav", after="move:done") == "accepted"


def test_size_and_duration_bounds_are_told():
    rules = Filter(replace(FOLDER, min_size=10, max_size=20, min_duration=1.0, max_duration=60.0))
    assert rules.verdict(PurePosixPath("a.wav"), 9).rule == "min_size"
    assert rules.verdict(PurePosixPath("a.wav"), 21).rule == "max_size"
    assert rules.verdict(PurePosixPath("a.wav"), 20).accepted
    assert rules.verdict(PurePosixPath("a.wav")).accepted
    assert rules.duration_verdict(0.5).rule == "min_duration"
    assert rules.duration_verdict(61).rule == "max_duration"
    assert rules.duration_verdict(30) is None
    assert rules.duration_verdict(None) is None


def test_what_is_no_file_says_what_it_is():
    verdict = Filter(FOLDER).verdict(PurePosixPath("x.wav"), is_regular=False, kind="named pipe")
    assert (verdict.rule, verdict.reason) == ("kind", "It is a named pipe, not a file.")
    link = Filter(FOLDER).verdict(PurePosixPath("x.wav"), is_regular=False, kind="symbolic link")
    assert link.rule == "symlink"


@given(
    stem=st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=40),
    suffix=st.sampled_from(sorted(OURS)),
    include=st.lists(st.sampled_from(["*", "**", "*.txt", "*.json", "[!x]*"]), max_size=2),
)
def test_a_transcript_is_never_a_recording(stem, suffix, include):
    verdict = Filter(replace(FOLDER, include=tuple(include))).verdict(PurePosixPath(stem + suffix))
    assert not verdict.accepted


@given(
    path=st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=12), min_size=1, max_size=5),
    include=st.lists(st.text(max_size=12), max_size=3),
    exclude=st.lists(st.text(max_size=12), max_size=3),
)
def test_every_name_gets_a_verdict_with_a_reason(path, include, exclude):
    rules = Filter(replace(FOLDER, include=tuple(include), exclude=tuple(exclude)))
    verdict = rules.verdict(PurePosixPath(*path))
    assert verdict.rule
    assert verdict.reason.endswith(".")
    if any(part.startswith(".") for part in PurePosixPath(*path).parts):
        assert not verdict.accepted


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.wav", "a/b/x.WAV", True),
        ("*.wav", "x.wave", False),
        ("a/*.wav", "a/x.wav", True),
        ("a/*.wav", "a/b/x.wav", False),
        ("a/**/x.wav", "a/b/c/x.wav", True),
        ("a/**/x.wav", "a/x.wav", True),
        ("**/old/*", "x/old/y.wav", True),
        ("take ?.wav", "take 1.wav", True),
        ("take ?.wav", "take 12.wav", False),
        ("take[12].wav", "take2.wav", True),
        ("take[!12].wav", "take2.wav", False),
        ("[", "[", True),
        ("a+b(1).wav", "a+b(1).wav", True),
        ("old/", "old/deep/x.wav", True),
        ("./a/b.wav", "a/b.wav", True),
    ],
)
def test_globs(pattern, path, expected):
    assert matches(pattern, path) is expected
