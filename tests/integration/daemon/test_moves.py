"""Recordings that are renamed, moved and replaced while the daemon runs: followed, never paid twice, never mixed up."""

import os

import pytest

from tests.support.daemon_bench import until, write_recording
from watcher.config import FolderConfig
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def job_of(it, name):
    entry = it.entry(name)
    return entry and entry.job_id


async def transcribed(it, *names):
    await until(lambda: all(it.state_of(name) is S.DONE for name in names))
    return {name: it.text(name.replace(".wav", ".txt")) for name in names}


async def test_outputs_go_along_when_a_recording_is_renamed_or_moved(bench, tmp_path):
    async with bench() as it:
        for name in ("a.wav", "b.wav", "edited.wav"):
            it.record(name)
        other = tmp_path / "other"
        other.mkdir()
        both = it.config(FolderConfig(path=str(it.inbox), settle=0.0), FolderConfig(path=str(other), settle=0.0))
        async with it.running(config=both):
            texts = await transcribed(it, "a.wav", "b.wav", "edited.wav")
            (it.inbox / "edited.txt").write_text("I corrected this.\n")
            (it.inbox / "below").mkdir()
            (it.inbox / "a.wav").rename(it.inbox / "below/a2.wav")
            (it.inbox / "b.wav").rename(other / "b2.wav")
            (it.inbox / "edited.wav").rename(it.inbox / "below/edited2.wav")
            await until(lambda: {"a2.json", "a2.txt", "a2.wav", "edited2.json"} <= set(files(it.inbox / "below")))
            await until(lambda: files(other) == ["b2.json", "b2.txt", "b2.wav"])
        assert (it.inbox / "below/a2.txt").read_text() == texts["a.wav"]
        assert (other / "b2.txt").read_text() == texts["b.wav"]
        assert it.text("edited.txt") == "I corrected this.\n", "what a person wrote stays where they wrote it"
        assert files(it.inbox) == sorted(
            ["below/a2.json", "below/a2.txt", "below/a2.wav", "below/edited2.json", "below/edited2.wav", "edited.txt"]
        )
        assert len(it.server.jobs) == 3


async def test_one_of_several_copies_takes_the_place_of_the_recording_that_is_gone(bench):
    """All are found at once: the entry follows to one of them, and doesn't leave that for the next."""
    async with bench() as it:
        path = it.record("a.wav")
        await it.run()
        content = path.read_bytes()
        path.unlink()
        names = [f"{letter}.wav" for letter in "bcdefg"]
        for name in names:
            (it.inbox / name).write_bytes(content)
        await it.run()
        assert [it.state_of(name) for name in names] == [S.DONE] * len(names)
        assert all(it.text(name.replace(".wav", ".txt")) for name in names)
        assert not (it.inbox / "a.txt").exists(), "it went along"
        assert len(it.server.jobs) == 1


async def test_outputs_never_push_away_what_a_person_put_there(bench):
    async with bench() as it:
        it.record("a.wav")
        async with it.running():
            texts = await transcribed(it, "a.wav")
            (it.inbox / "b.txt").write_text("My own notes.\n")
            (it.inbox / "a.wav").rename(it.inbox / "b.wav")
            await until((it.inbox / "b.wav.txt").exists)
        assert it.text("b.txt") == "My own notes.\n"
        assert it.text("b.wav.txt") == texts["a.wav"]
        assert len(it.server.jobs) == 1


async def test_a_recorder_that_rotates_its_files_is_followed(bench):
    """rec.wav becomes rec.1.wav, and the recorder goes on under the old name at once."""
    async with bench() as it:
        it.record("rec.wav", seed="first")
        async with it.running():
            first = (await transcribed(it, "rec.wav"))["rec.wav"]
            job = job_of(it, "rec.wav")
            for seed in ("second", "third"):
                if (it.inbox / "rec.1.wav").exists():
                    (it.inbox / "rec.1.wav").rename(it.inbox / "rec.2.wav")
                (it.inbox / "rec.wav").rename(it.inbox / "rec.1.wav")
                write_recording(it.inbox / "rec.wav", seed)
                sources = len({"second": "ab", "third": "abc"}[seed])
                await until(lambda sources=sources: len(it.server.jobs) == sources)
                await transcribed(it, "rec.wav", "rec.1.wav")
            await transcribed(it, "rec.2.wav")
        assert job_of(it, "rec.2.wav") == job
        assert it.text("rec.2.txt") == first
        assert files(it.inbox) == sorted(f"rec{n}.{e}" for n in ("", ".1", ".2") for e in ("json", "txt", "wav"))
        assert len({job.sha256 for job in it.server.jobs}) == len(it.server.jobs) == 3


async def test_what_is_dropped_again_under_another_name_gets_its_transcript_again_at_no_cost(bench):
    """The recording and its transcript were removed; then the same recording comes once more, named otherwise."""
    async with bench() as it:
        it.record("a.wav", seed="same")
        async with it.running():
            text = (await transcribed(it, "a.wav"))["a.wav"]
            for name in files(it.inbox):
                (it.inbox / name).unlink()
            it.record("b.wav", seed="same")
            await until(lambda: files(it.inbox) == ["b.json", "b.txt", "b.wav"])
            assert it.text("b.txt") == text
        assert len(it.server.jobs) == 1


async def test_a_recording_renamed_over_another_takes_its_place(bench):
    async with bench() as it:
        it.record("a.wav", seed="one")
        it.record("b.wav", seed="two")
        async with it.running():
            texts = await transcribed(it, "a.wav", "b.wav")
            job = job_of(it, "b.wav")
            (it.inbox / "b.wav").rename(it.inbox / "a.wav")
            await until(lambda: job_of(it, "a.wav") == job)
            await until((it.inbox / "a.wav.txt").exists)
            assert it.entry("b.wav") is None
        assert it.text("a.wav.txt") == texts["b.wav"]
        assert it.text("a.txt") == texts["a.wav"], "the transcript of what was replaced is not overwritten"
        assert len(it.server.jobs) == 2


async def test_what_is_moved_out_and_back_in_is_the_same(bench, tmp_path):
    async with bench() as it:
        path = it.record("a.wav")
        async with it.running():
            await transcribed(it, "a.wav")
            path.rename(tmp_path / "away.wav")
            it.record("marker.wav")
            await transcribed(it, "marker.wav")
            (tmp_path / "away.wav").rename(path)
            it.record("marker2.wav")
            await transcribed(it, "a.wav", "marker2.wav")
        assert len(it.server.jobs) == 3


async def test_what_was_deleted_and_made_anew_under_its_name_is_new(bench):
    async with bench() as it:
        path = it.record("a.wav", seed="one")
        async with it.running():
            await transcribed(it, "a.wav")
            path.unlink()
            write_recording(path, "two")
            os.utime(path, ns=(1, 10**18))  # long ago: times may go backwards
            await until(lambda: len(it.server.jobs) == 2)
            await until((it.inbox / "a.wav.txt").exists)
        assert len({job.sha256 for job in it.server.jobs}) == 2


async def test_a_change_of_case_is_a_rename(bench):
    async with bench() as it:
        it.record("talk.wav")
        async with it.running():
            await transcribed(it, "talk.wav")
            (it.inbox / "talk.wav").rename(it.inbox / "Talk.WAV")
            # Not Talk.txt: where case makes no difference, that is the same name as talk.txt.
            await until(lambda: files(it.inbox) == ["Talk.WAV", "Talk.WAV.json", "Talk.WAV.txt"])
        assert len(it.server.jobs) == 1


async def test_a_hard_link_is_a_copy_and_costs_nothing(bench, tmp_path):
    async with bench() as it:
        path = it.record("a.wav")
        async with it.running():
            texts = await transcribed(it, "a.wav")
            (it.inbox / "linked.wav").hardlink_to(path)
            assert (await transcribed(it, "linked.wav"))["linked.wav"] == texts["a.wav"]
        assert len(it.server.jobs) == 1
