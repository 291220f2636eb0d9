"""What travels with a folder, and what goes along with a recording: met by the real daemon."""

import pytest

from tests.acceptance.detection.conftest import digest
from tests.support.daemon_bench import write_recording
from tests.support.waiting import until

pytestmark = pytest.mark.long


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def languages(it):
    return {job.data_name: job.config["transcription_config"]["language"] for job in it.server.jobs}


def test_settings_in_a_folder_hold_from_there_down_and_change_while_it_runs(watched):
    with watched() as it:
        overrides = it.folder / "de/.dropscribe.toml"
        it.record("de/before.wav")
        overrides.write_text('# ours\nlangage = "de"\n')
        it.watch()
        it.record("english.wav")
        it.until_done("english.wav")
        # A mistake holds what it concerns, and says where it is.
        told = until(
            lambda: (found := it.explain(it.folder / "de/before.wav"))["kind"] == "blocked" and found, what="the word"
        )
        assert f"{overrides}, line 2: unknown key 'langage'" in told["reason"]
        assert "Did you mean 'language'?" in told["reason"]
        assert f"{overrides}, line 2" in it.status()[0]["reason"]
        # Mended, replaced as editors do it.
        (it.folder / "de/new").write_text('language = "de"\nformats = ["srt"]\nvocabulary = ["Dropscribe"]\n')
        (it.folder / "de/new").replace(overrides)
        until((it.folder / "de/before.srt").exists, what="the transcript")
        assert it.status()[0]["reason"] == ""
        it.record("de/deep/er/below.wav")
        until((it.folder / "de/deep/er/below.srt").exists, what="the transcript")
        # An inner one goes on top; without them, all is as it was.
        (it.folder / "de/deep/.dropscribe.toml").write_text('language = "fr"\n')
        it.record("de/deep/french.wav")
        until((it.folder / "de/deep/french.srt").exists, what="the transcript")
        overrides.unlink()
        (it.folder / "de/deep/.dropscribe.toml").unlink()
        it.record("de/deep/plain.wav")
        it.until_done("de/deep/plain.wav")
        assert languages(it) == {
            "english.wav": "en",
            "before.wav": "de",
            "below.wav": "de",
            "french.wav": "fr",
            "plain.wav": "en",
        }
        assert it.server.jobs[1].config["transcription_config"]["additional_vocab"] == [{"content": "Dropscribe"}]
        # What can't be read any more changes nothing of what is done.
        overrides.write_text("language")
        until(lambda: f"{overrides}, line 1" in it.status()[0]["reason"], what="the word")
        overrides.unlink()
        until(lambda: not it.status()[0]["reason"], what="the all-clear")
        assert it.count("DONE") == len(it.server.jobs) == 5


def test_an_ignore_file_leaves_a_folder_out_while_it_is_there(watched):
    with watched() as it:
        mark = it.folder / "private/.dropscribe-ignore"
        private = it.record("private/diary.wav")
        mark.touch()
        it.watch()
        deep = it.record("private/below/deep.wav")
        it.record("public.wav")
        it.until_done("public.wav")
        for path in (private, deep):
            told = it.explain(path)
            assert told["kind"] == "ignored"
            assert str(mark) in told["reason"]
        assert it.submitted() == [digest(it.folder / "public.wav")]
        mark.unlink()
        it.until_done("private/diary.wav", "private/below/deep.wav")
        mark.touch()
        late = it.record("private/late.wav")
        it.record("marker.wav")
        it.until_done("marker.wav")
        assert it.explain(late)["kind"] == "ignored"
        assert len(it.server.jobs) == 4


def test_outputs_go_along_between_folders_of_their_own_and_nothing_is_paid_again(watched):
    """One watch folder lies in another, with other formats; the one in the config's order has no say."""
    with watched() as it:
        inner = it.folder / "inner"
        other = it.root / "other"
        inner.mkdir()
        other.mkdir()
        tables = (
            f'[[folders]]\npath = "{inner}"\nsettle = 0.3\nformats = ["srt"]\n'
            f'[[folders]]\npath = "{other}"\nsettle = 0.3\nformats = ["txt"]\n'
        )
        it.configure(more=tables)
        it.watch()
        it.record("inner/below/in.wav")
        moved, edited = it.record("moved.wav"), it.record("edited.wav")
        it.until_done("moved.wav", "edited.wav")
        until((inner / "below/in.srt").exists, what="the inner one")
        said = (it.folder / "moved.txt").read_text()
        (it.folder / "edited.txt").write_text("I corrected this.\n")
        (it.folder / "taken.txt").write_text("My notes.\n")
        moved.rename(other / "renamed.wav")
        edited.rename(it.folder / "edited 2.wav")
        until((other / "renamed.txt").exists, what="the move")
        (other / "renamed.wav").rename(it.folder / "taken.wav")
        until((it.folder / "taken.wav.txt").exists, what="the move back")
        until(lambda: it.explain(it.folder / "edited 2.wav")["kind"] == "entry", what="the rename")
        (it.folder / "inner/below").rename(it.folder / "inner/folder")
        until(lambda: it.explain(inner / "folder/in.wav")["kind"] == "entry", what="the folder's rename")
        write_recording(other / "last.wav", "last")
        until((other / "last.txt").exists, what="the last one")
        until(lambda: files(other) == ["last.txt", "last.wav"], what="nothing else there")
        wanted = [
            "edited 2.wav",
            "edited.txt",
            "inner/folder/in.srt",
            "inner/folder/in.wav",
            "taken.txt",
            "taken.wav",
            "taken.wav.txt",
        ]
        until(lambda: files(it.folder) == wanted, what="each where it belongs")
        assert (it.folder / "taken.wav.txt").read_text() == said
        assert (it.folder / "taken.txt").read_text() == "My notes.\n"
        assert len(it.server.jobs) == 4
