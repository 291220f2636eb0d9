"""Copies, changes, people's edits, missing folders: what becomes of a recording."""

import os
import re
import shutil

import numpy as np
import pytest

from tests.support.daemon_bench import until, write_recording
from tests.support.fault_server import Fault
from tests.support.sounds import encode, noise, write_wav
from watcher.config import FolderConfig
from watcher.errors import LedgerDamaged
from watcher.ledger import Ledger
from watcher.models import EntryState, OutputFormat
from watcher.scheduler.deliver import Deliverer
from watcher.scheduler.submit import Submitter

pytestmark = pytest.mark.anyio
S = EntryState


async def test_a_copy_is_paid_once_and_gets_its_own_outputs(bench):
    async with bench() as it:
        it.record("a.wav", seed="same")
        it.record("below/b.wav", seed="same")
        sources = it.sources()
        await it.run()
        assert len(it.server.jobs) == 1
        assert it.text("a.txt") == it.text("below/b.txt")
        it.record("c.wav", seed="same")
        await it.run()
        assert (len(it.server.jobs), it.state_of("c.wav")) == (1, S.DONE)
        assert "Same content" in it.entry("c.wav").reason
        it.assert_promises(sources)


async def test_a_copy_that_was_removed_before_its_turn_gets_no_transcript(bench):
    async with bench() as it:
        it.record("a.wav", seed="same")
        await it.run()
        async with it.running() as control:
            await control.pause()
            it.record("gone.wav", seed="same")
            await until(lambda: it.state_of("gone.wav") is S.WAITING)
            uid = it.entry("gone.wav").uid
            (it.inbox / "gone.wav").unlink()
            await control.resume()
            await until(lambda: it.read(lambda ledger: ledger.find(uid)).state is S.CANCELLED)
        assert not (it.inbox / "gone.txt").exists()
        assert len(it.server.jobs) == 1


async def test_nothing_is_written_where_a_disk_was_unmounted_until_it_is_back(bench, tmp_path):
    """What lies below a mount point is out of sight once the disk is mounted again."""
    async with bench() as it:
        it.record("a.wav")
        await it.run()
        (it.inbox / "a.txt").unlink()
        disk = tmp_path / "disk"
        it.inbox.rename(disk)
        it.inbox.mkdir()
        async with it.running() as control:
            await control.retry(it.entry("a.wav").uid)
            await until(lambda: "may be unmounted" in it.entry("a.wav").reason)
            assert list(it.inbox.iterdir()) == []
            it.inbox.rmdir()
            disk.rename(it.inbox)
            await until((it.inbox / "a.txt").exists)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_copy_with_more_formats_fetches_them_from_the_same_job(bench, tmp_path):
    async with bench() as it:
        it.record("a.wav", seed="same")
        await it.run()
        other = tmp_path / "other"
        write_recording(other / "b.wav", "same")
        folders = (
            FolderConfig(path=str(it.inbox), settle=0.0),
            FolderConfig(path=str(other), settle=0.0, formats=(OutputFormat.SRT, OutputFormat.VTT)),
        )
        await it.run(config=it.config(*folders))
        assert len(it.server.jobs) == 1
        assert (other / "b.srt").exists()
        assert (other / "b.vtt").exists()


async def test_where_the_job_is_gone_a_person_decides_about_paying_again(bench, tmp_path):
    async with bench() as it:
        it.record("a.wav", seed="same")
        await it.run()
        it.server.jobs[0].forced_status = "expired"
        other = tmp_path / "other"
        write_recording(other / "b.wav", "same")
        folders = it.config(
            FolderConfig(path=str(it.inbox), settle=0.0),
            FolderConfig(path=str(other), settle=0.0, formats=(OutputFormat.SRT,)),
        )
        await it.run(config=folders)
        held = it.read(lambda ledger: ledger.at_path(other / "b.wav"))
        assert (held.state, len(it.server.jobs)) == (S.HELD, 1)
        async with it.running(config=folders) as control:
            await control.retry(held.uid)
            await until((other / "b.srt").exists)
        assert len(it.server.jobs) == 2


async def test_half_a_recording_is_not_submitted_unless_a_person_says_so(bench):
    async with bench() as it:
        whole = it.record("a.wav").read_bytes()
        (it.inbox / "a.wav").write_bytes(whole[: len(whole) // 2])
        await it.run()
        broken = it.entry("a.wav")
        assert (broken.state, len(it.server.jobs)) == (S.FAILED, 0)
        assert "is incomplete" in broken.reason
        async with it.running() as control:
            await control.retry(broken.uid)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        (it.inbox / "a.wav").write_bytes(whole)
        await it.run()
        assert (it.state_of("a.wav"), len(it.server.jobs)) == (S.DONE, 2)
        assert (it.inbox / "a.wav.txt").exists(), "the transcript of the half stays, too"


@pytest.mark.parametrize("ending", ["flac", "tta"])
async def test_half_of_what_tells_its_length_only_by_its_sound_is_not_submitted_either(ending, bench):
    async with bench() as it:
        path = encode(it.inbox / f"a.{ending}", noise(9 * 16000), ending, ending)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        await it.run()
        broken = it.entry(path.name)
        assert (broken.state, len(it.server.jobs)) == (S.FAILED, 0)
        assert "is incomplete" in broken.reason
        path.write_bytes(whole)
        await it.run()
        assert (it.state_of(path.name), len(it.server.jobs)) == (S.DONE, 1)


async def test_a_renamed_recording_is_followed_and_not_paid_again(bench):
    async with bench() as it:
        it.record("a.wav")
        await it.run()
        (it.inbox / "a.wav").rename(it.inbox / "b.wav")
        await it.run()
        assert len(it.server.jobs) == 1
        assert it.state_of("b.wav") is S.DONE
        assert (it.inbox / "b.txt").exists()
        assert not (it.inbox / "a.txt").exists()


async def test_changed_content_is_a_new_job(bench):
    async with bench() as it:
        it.record("a.wav", seed="one")
        await it.run()
        it.record("a.wav", seed="two")
        await it.run()
        assert len({job.sha256 for job in it.server.jobs}) == len(it.server.jobs) == 2
        assert (it.inbox / "a.wav.txt").exists(), "the first transcript is not overwritten"


async def test_what_a_person_wrote_or_edited_is_never_overwritten(bench):
    async with bench() as it:
        it.record("a.wav")
        (it.inbox / "a.txt").write_text("My own notes.\n")
        it.record("b.wav")
        await it.run()
        assert it.text("a.txt") == "My own notes.\n"
        assert (it.inbox / "a.wav.txt").exists()
        (it.inbox / "b.txt").write_text("I corrected this.\n")
        async with it.running() as control:
            await control.retry(it.entry("b.wav").uid)
            await until(lambda: it.state_of("b.wav") is S.DONE and (it.inbox / "b.wav.txt").exists())
        assert it.text("b.txt") == "I corrected this.\n"
        assert len(it.server.jobs) == 2


async def test_a_recording_that_was_removed_is_cancelled_and_new_when_it_comes_back(bench):
    async with bench(Fault("status", on="post", status=503)) as it:
        path = it.record("a.wav")
        content = path.read_bytes()
        async with it.running() as control:
            await control.pause()
            await until(lambda: it.state_of("a.wav") is S.WAITING)
            path.unlink()
            await control.resume()
            await until(lambda: it.entry("a.wav") is None)
            ended = it.read(lambda ledger: ledger.in_state(S.CANCELLED))
            assert "removed" in ended[0].reason
            path.write_bytes(content)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_whole_folder_that_is_gone_is_waited_for(bench, tmp_path):
    async with bench() as it:
        it.record("a.wav")
        async with it.running() as control:
            await control.pause()
            await until(lambda: it.state_of("a.wav") is S.WAITING)
            it.inbox.rename(tmp_path / "unplugged")
            await control.resume()
            await until(lambda: "not there" in it.entry("a.wav").reason)
            assert it.state_of("a.wav") is S.WAITING
            (tmp_path / "unplugged").rename(it.inbox)
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_a_source_that_changes_during_the_upload_is_not_submitted(bench):
    async with bench(Fault("delay", on="post", seconds=0.0)) as it:
        path = it.record("a.wav", seed="one")
        before = path.stat()
        async with it.running() as control:
            await control.pause()
            await until(lambda: it.state_of("a.wav") is S.WAITING)
            write_recording(path, "two")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nothing had happened
            await control.resume()
            await until(lambda: it.entry("a.wav") is None)
        assert not it.server.jobs
        await it.run()
        assert it.state_of("a.wav") is S.DONE
        assert len(it.server.jobs) == 1


async def test_a_source_that_changes_before_its_transcript_is_written_gets_that_of_its_new_content(bench):
    replaced = []

    async with bench() as it:

        def checkpoint(name):
            if name == "after commit: transcribed" and not replaced:
                replaced.append(write_recording(it.inbox / "a.wav", "new"))

        it.record("a.wav", seed="old")
        await it.run(checkpoint=checkpoint)
        old, new = it.server.jobs
        assert old.sha256[:12] not in it.text("a.txt")
        assert new.sha256[:12] in it.text("a.txt")
        assert not (it.inbox / "a.wav.txt").exists()


async def test_a_source_that_changes_before_its_sound_is_prepared_is_not_submitted_as_what_it_was(bench):
    def speak(mark):  # so quiet that its sound is small once it is packed
        sound = np.frombuffer(b"\0\0" * 16000 + mark + b"\0\0" * 16000, "<i2")
        write_wav(it.inbox / "a.wav", sound)

    async def change():
        speak(b"\2\1" * 7)

    async with bench(account={"upload_limit": 20_000}) as it:
        async with it.running():
            it.as_an_upload_begins("a.wav", change)
            speak(b"\1\2")
            await until(lambda: it.state_of("a.wav") is S.DONE)
        (job,) = it.server.jobs
        assert job.data_name == "a.wav.flac"
        assert it.entry("a.wav").job_id == job.id
        assert it.entry("a.wav").fingerprint.size == (it.inbox / "a.wav").stat().st_size


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("chattr") is None, reason="root may write everywhere")
async def test_a_folder_that_cannot_be_written_to_is_found_before_paying(bench, tmp_path):
    output = tmp_path / "file in the way"
    output.write_text("not a folder")
    async with bench(folder={"output": str(output)}) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.entry("a.wav") is not None and it.entry("a.wav").reason)
            assert not it.server.jobs
            assert it.state_of("a.wav") in {S.WAITING, S.SUBMITTING}
            output.unlink()
            await until(lambda: it.state_of("a.wav") is S.DONE)
        assert len(it.server.jobs) == 1


async def test_half_a_recording_is_never_called_done(bench):
    async with bench() as it:
        write_recording(it.inbox / "long.wav", "long", samples=16000 * 30)  # the server hears 10 s of it
        await it.run()
        entry = it.entry("long.wav")
        assert entry.state is S.HELD
        assert "covers 10 s" in entry.reason


async def test_what_is_too_large_even_as_bare_sound_fails_and_says_so(bench):
    async with bench(account={"upload_limit": 20_000}) as it:
        path = write_recording(it.inbox / "long.wav", "noise", samples=16000 * 5)
        it.record("short.wav")
        await it.run()
        entry = it.entry("long.wav")
        assert entry.state is S.FAILED
        assert entry.reason.startswith(f"{path} holds 0.0 h of sound.")
        assert "the service takes 0.00 GB at most" in entry.reason
        assert re.fullmatch(r"Split it into ([2-9]|1\d) parts or more, and drop those\.", entry.fix)
        assert [job.data_name for job in it.server.jobs] == ["short.wav"]
        assert not list(it.state.rglob("*.flac"))


async def test_delete_after_download_removes_the_remote_job(bench):
    async with bench(account={"delete_after_download": True}) as it:
        it.record("a.wav")
        await it.run()
        assert it.server.state.status(it.server.jobs[0]) == "deleted"
        assert it.state_of("a.wav") is S.DONE
        async with it.running() as control:
            assert "and billed there" in (await control.explain(it.inbox / "a.wav"))["billing"]


# Poison


async def test_an_error_nobody_thought_of_stops_only_its_own_entry(bench, monkeypatch):
    upload, write = Submitter._upload, Deliverer._write

    async def poisoned_upload(self, account, entry, attempt):
        if entry.path.name == "upload.wav":
            raise ZeroDivisionError("a bug")
        return await upload(self, account, entry, attempt)

    def poisoned_write(self, entry, *args):
        if entry.path.name == "write.wav":
            raise ZeroDivisionError("a bug")
        return write(self, entry, *args)

    monkeypatch.setattr(Submitter, "_upload", poisoned_upload)
    monkeypatch.setattr(Deliverer, "_write", poisoned_write)
    async with bench() as it:
        for name in ("upload.wav", "write.wav", "fine.wav"):
            it.record(name)
        await it.run()
        assert it.state_of("fine.wav") is S.DONE
        assert it.state_of("upload.wav") is S.HELD
        assert "ZeroDivisionError" in it.entry("upload.wav").reason
        assert it.state_of("write.wav") is S.TRANSCRIBED
        assert "ZeroDivisionError" in it.entry("write.wav").reason


async def test_a_file_name_that_is_no_text_is_transcribed(bench):
    async with bench() as it:
        it.record("caf\udce9.wav")
        broken = it.inbox / "broken\udce9.wav"
        broken.write_bytes(b"RIFF not a recording")
        await it.run()
        assert it.state_of("caf\udce9.wav") is S.DONE
        assert it.state_of("broken\udce9.wav") in {S.FAILED, S.SKIPPED}


async def test_a_damaged_ledger_stops_the_daemon(bench, monkeypatch):
    async with bench() as it:
        it.record("a.wav")

        def damaged(*_args, **_kwargs):
            raise LedgerDamaged("a torn page")

        monkeypatch.setattr(Ledger, "claim", damaged)
        with pytest.raises(BaseException) as raised:
            await it.run()
        assert _holds(raised.value, LedgerDamaged)
        assert not it.server.jobs


def _holds(error, kind):
    inside = getattr(error, "exceptions", ())
    return isinstance(error, kind) or any(_holds(each, kind) for each in inside)
