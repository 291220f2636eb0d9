"""Names that stay apart on every file system, whatever the recording is called."""

from __future__ import annotations

import itertools
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watcher.models import OutputFormat, WatchFolder
from watcher.transcripts.naming import (
    NAME_MAX,
    TakenNames,
    first_free_stem,
    name_key,
    portable_name,
    stems,
    target_folder,
)

FORMATS = (OutputFormat.TXT, OutputFormat.JSON_V2)

# What a POSIX file can be called: any bytes but / and NUL; those that are no UTF-8 come as lone surrogates.
posix_names = (
    st.one_of(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\0"), min_size=1, max_size=300),
        st.binary(min_size=1, max_size=250).map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"_")).map(os.fsdecode),
    )
    .map(lambda name: os.fsdecode(os.fsencode(name)[:250]) if len(os.fsencode(name)) > 250 else name)
    .filter(lambda name: name not in (".", ".."))
)
extensions = st.sampled_from(["", ".wav", ".MP3", ".txt", ".json", ".md", ".x" * 20])
recordings = st.tuples(posix_names, extensions).map(lambda pair: pair[0][:100] + pair[1])


def first(count, *args, **kwargs):
    return list(itertools.islice(stems(*args, **kwargs), count))


def test_the_stems_of_an_ordinary_recording():
    assert first(4, "meeting.wav") == ["meeting", "meeting.wav", "meeting.wav (2)", "meeting.wav (3)"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("meeting", ["meeting", "meeting (2)"]),
        (".wav", [".wav", ".wav (2)"]),
        ("a.b.wav", ["a.b", "a.b.wav"]),
        ("ends.", ["ends", "ends."]),
        ("2026-05-01 10.30 Uhr", ["2026-05-01 10", "2026-05-01 10.30 Uhr"]),
    ],
)
def test_the_stems_of_odd_names(name, expected):
    assert first(2, name) == expected


@pytest.mark.parametrize(
    ("source", "listing", "stem"),
    [
        ("meeting.wav", [], "meeting"),
        ("meeting.wav", ["meeting.srt"], "meeting"),
        ("meeting.wav", ["meeting.txt"], "meeting.wav"),
        ("meeting.wav", ["meeting.json"], "meeting.wav"),
        ("meeting.wav", ["MEETING.TXT"], "meeting.wav"),
        ("meeting.wav", ["meeting.txt", "meeting.wav.json"], "meeting.wav (2)"),
        ("Müller.wav", [unicodedata.normalize("NFD", "müller.txt")], "Müller.wav"),
        ("x.json", [], "x.json"),
        ("X.TXT", [], "X.TXT"),
        ("x.md", [], "x"),
    ],
)
def test_the_first_stem_whose_names_are_all_free_is_taken(source, listing, stem):
    assert first_free_stem(source, FORMATS, [source, *listing]) == stem


@given(
    recordings,
    st.lists(recordings, max_size=5),
    st.sets(st.sampled_from(list(OutputFormat)), min_size=1),
    st.booleans(),
)
def test_outputs_never_share_a_name_with_anything_and_fit_the_file_system(source, others, formats, portable):
    listing = [source, *others]
    listing += [first_free_stem(source, formats, listing, portable=portable) + f.suffix for f in formats]
    stem = first_free_stem(source, formats, listing, portable=portable)
    names = [stem + format_.suffix for format_ in formats]
    assert {name_key(name) for name in names}.isdisjoint(map(name_key, listing))
    assert all(0 < len(os.fsencode(name)) <= NAME_MAX and "/" not in name for name in names)


@given(recordings, st.booleans(), st.integers(80, NAME_MAX))
@example("a" * 61 + ".x" * 20, False, 80)  # noqa: FBT003 - drawn arguments have no names
@example("a" * 71 + " (2)" + "a" * 20, False, 80)  # noqa: FBT003 - same
def test_every_stem_differs_from_those_before_it(source, portable, name_max):
    found = first(12, source, portable=portable, name_max=name_max)
    assert len(set(found)) == len(found)
    assert all(len(os.fsencode(stem + ".json")) <= name_max for stem in found)


def test_long_names_are_cut_between_characters_and_keep_their_ends():
    for letter in ("ü", "会", "\N{GRINNING FACE}", "e\u0301", "👩\u200d🚀"):
        plain, whole, second = first(3, letter * 60 + ".wav", name_max=143)
        assert plain == letter * (plain.count(letter))
        assert whole.endswith(letter + ".wav")
        assert second.endswith(letter + ".wav (2)")


def test_bytes_that_are_no_unicode_stay_as_they_are():
    name = os.fsdecode(b"caf\xe9.wav")
    assert os.fsencode(first(1, name)[0]) == b"caf\xe9"


@given(recordings)
def test_names_with_equal_keys_are_recognised_whatever_the_spelling(name):
    taken = TakenNames([name])
    spellings = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")] + [name.casefold()]
    assert all(taken.like(spelling) == {name} for spelling in spellings)


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("Interview: part 1?", "Interview_ part 1_"),
        ("con", "con_"),
        ("NUL.wav", "NUL_.wav"),
        ("COM1.tar.gz", "COM1_.tar.gz"),
        ("lpt³", "lpt³_"),
        ("console", "console"),
        ("trailing. .", "trailing___"),
        ("...", "___"),
        ("tab\there", "tab_here"),
        (os.fsdecode(b"caf\xe9"), "caf_"),
        ("会議", "会議"),
    ],
)
def test_portable_names_are_valid_on_windows(name, portable):
    assert portable_name(name) == portable


@given(recordings)
def test_portable_stems_are_portable(name):
    for stem in first(3, name, portable=True):
        assert portable_name(stem + ".txt") == stem + ".txt"
        stem.encode()


@given(posix_names)
def test_making_portable_twice_changes_nothing(name):
    assert portable_name(portable_name(name)) == portable_name(name)


def test_outputs_go_beside_the_recording_or_into_a_mirrored_tree(tmp_path):
    beside = WatchFolder(path=tmp_path / "in")
    mirrored = WatchFolder(path=tmp_path / "in", output=tmp_path / "out")
    source = tmp_path / "in" / "May: talks" / "aux" / "a.wav"
    assert target_folder(beside, source) == source.parent
    assert target_folder(mirrored, source) == tmp_path / "out" / "May_ talks" / "aux_"
    assert target_folder(mirrored, tmp_path / "in" / "a.wav") == tmp_path / "out"


@pytest.mark.parametrize("source", ["/elsewhere/a.wav", "/in/../../etc/a.wav"])
def test_no_recording_leads_out_of_the_mirrored_tree(source):
    with pytest.raises(ValueError):
        target_folder(WatchFolder(path=Path("/in"), output=Path("/out")), Path(source))
