"""What follows a transcript, deleting the job and putting the recording away, is done even if a crash comes between."""

import asyncio
import os

import pytest

from tests.integration.daemon.test_full_disks import mounted, remount
from tests.support.changing_keys import PROJECTS, daemon_with
from tests.support.daemon_bench import until
from tests.support.fault_server import Fault
from watcher.models import EntryState
from watcher.scheduler.aside import aside_name
from watcher.scheduler.cleanup import Cleaner

pytestmark = pytest.mark.anyio
S = EntryState


def left(it):
    return it.read(lambda ledger: ledger.due_cleanups(float("inf")))


async def run_until_done_and_crash(it, monkeypatch, *names):
    """Stop the daemon when everything is DONE, before anything that follows was begun."""
    with monkeypatch.context() as patch:
        patch.setattr(Cleaner, "look", lambda _self, _kind: asyncio.Event().wait())
        async with it.running():
            await until(lambda: all(it.state_of(name) is S.DONE for name in names))
    assert left(it)


async def test_a_crash_before_the_job_is_deleted_does_not_leave_it_at_the_service(bench, monkeypatch):
    async with bench(account={"delete_after_download": True}) as it:
        it.record("a.wav")
        await run_until_done_and_crash(it, monkeypatch, "a.wav")
        assert it.server.state.status(it.server.jobs[0]) == "done"
        await it.run()
        assert it.server.state.status(it.server.jobs[0]) == "deleted"
        assert it.reasons("a.wav")[-1] == "Its job was deleted at the service."
        assert not left(it)


@pytest.mark.parametrize("after", ["delete", "move:done", "move:/tmp"])
async def test_a_crash_before_the_recording_is_put_away_does_not_leave_it(bench, monkeypatch, tmp_path, after):
    after = after.replace("/tmp", str(tmp_path / "elsewhere"))  # noqa: S108 - replaced by the test's own folder
    async with bench(folder={"after": after}) as it:
        path = it.record("below/a.wav")
        content = path.read_bytes()
        await run_until_done_and_crash(it, monkeypatch, "below/a.wav")
        assert path.read_bytes() == content
        await it.run()
        assert not path.exists()
        assert (it.inbox / "below" / "a.txt").exists()
        said = it.reasons("below/a.wav")[-1]
        if after == "delete":
            assert said == "The recording was deleted, as its folder's `after` says."
        else:
            target = it.inbox / after.removeprefix("move:") / "below" / "a.wav"
            assert target.read_bytes() == content
            assert said == f"The recording was moved to {target}."
        await it.run()
        assert len(it.server.jobs) == 1, "what was put away is not transcribed again"
        assert not left(it)


@pytest.mark.parametrize("after", ["delete", "move:done", "keep"])
async def test_what_a_killed_run_left_aside_is_finished_or_put_back(bench, monkeypatch, after):
    async with bench(folder={"after": "delete" if after == "keep" else after}) as it:
        path = it.record("a.wav")
        content = path.read_bytes()
        await run_until_done_and_crash(it, monkeypatch, "a.wav")
        path.rename(path.with_name(aside_name(path.name)))
        it.folder["after"] = after
        await it.run()
        assert not path.with_name(aside_name(path.name)).exists()
        assert path.exists() == (after == "keep")
        kept = {"delete": None, "move:done": it.inbox / "done" / "a.wav", "keep": path}[after]
        assert kept is None or kept.read_bytes() == content
        assert len(it.server.jobs) == 1
        assert not left(it)


async def test_another_file_of_the_same_size_and_time_is_kept_and_explained(bench, monkeypatch):
    async with bench(folder={"after": "delete"}) as it:
        path = it.record("a.wav")
        await run_until_done_and_crash(it, monkeypatch, "a.wav")
        found, other = path.lstat(), path.read_bytes()[::-1]
        path.write_bytes(other)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        await it.run()
        assert path.read_bytes() == other
        assert "replaced by other content of the same size and time" in it.reasons("a.wav")[-1]


async def test_copies_are_put_away_each_and_paid_once(bench):
    async with bench(folder={"after": "delete"}) as it:
        for name in ("a.wav", "b.wav", "c.wav"):
            it.record(name, seed="same")
        await it.run()
        assert sorted(path.name for path in it.inbox.glob("*.*")) == sorted(
            f"{name}.{form}" for name in "abc" for form in ("txt", "json")
        )
        assert len(it.server.jobs) == 1


async def test_a_person_who_changes_their_mind_keeps_the_recording(bench, monkeypatch):
    async with bench(folder={"after": "delete"}) as it:
        path = it.record("a.wav")
        await run_until_done_and_crash(it, monkeypatch, "a.wav")
        it.folder["after"] = "keep"
        await it.run()
        assert path.exists()
        assert "is not delete any more" in it.reasons("a.wav")[-1]
        it.folder["after"] = "delete"
        await it.run()
        assert path.exists()


async def test_it_stays_where_its_transcript_is_not_there_any_more(bench, monkeypatch):
    async with bench(folder={"after": "delete"}) as it:
        path = it.record("a.wav")
        await run_until_done_and_crash(it, monkeypatch, "a.wav")
        (it.inbox / "a.txt").unlink()
        await it.run()
        assert path.exists()
        assert "a.txt is not there" in it.reasons("a.wav")[-1]


async def test_it_stays_where_something_has_its_new_place(bench):
    async with bench(folder={"after": "move:done"}) as it:
        path = it.record("a.wav")
        (it.inbox / "done").mkdir()
        (it.inbox / "done" / "a.wav").write_bytes(b"another one")
        await it.run()
        assert path.exists()
        assert (it.inbox / "done" / "a.wav").read_bytes() == b"another one"
        assert "stays where it is: something stands at" in it.reasons("a.wav")[-1]
        assert not left(it)


async def test_where_it_cannot_be_moved_now_the_history_says_so_once_and_it_is_moved_later(bench, tmp_path):
    with mounted(tmp_path / "shelf", "size=4m") as shelf:
        async with bench(folder={"after": f"move:{shelf}"}) as it:
            remount(shelf, "ro")
            path = it.record("a.wav")
            async with it.running() as control:
                await until(lambda: it.state_of("a.wav") is S.DONE and len(left(it)) == 1 and left(it)[0].tries >= 2)
                assert path.exists()
                told = await control.explain(path)
                assert "Read-only" in told["next"]
                remount(shelf, "rw")
                await until(lambda: (shelf / "a.wav").exists() and not path.exists())
                await until(lambda: not left(it))
        said = it.reasons("a.wav")[-2:]
        assert "Read-only" in said[0]
        assert said[1] == f"The recording was moved to {shelf / 'a.wav'}."


async def test_a_service_that_does_not_delete_now_is_asked_again(bench):
    faults = Fault("status", on="delete", status=503, times=5)
    async with bench(faults, account={"delete_after_download": True}) as it:
        it.record("a.wav")
        async with it.running():
            await until(lambda: it.server.jobs and it.server.state.status(it.server.jobs[0]) == "deleted")
            await until(lambda: not left(it))
        said = [each for each in it.reasons("a.wav") if "deleted" in each]
        assert len(said) == 2, said
        assert "could not be deleted" in said[0]


async def test_another_projects_key_does_not_make_a_job_count_as_deleted(bench, monkeypatch):
    async with bench(account={"delete_after_download": True}, projects=PROJECTS) as it:
        it.record("a.wav")
        with monkeypatch.context() as patch:
            patch.setattr(Cleaner, "look", lambda _self, _kind: asyncio.Event().wait())
            async with daemon_with(it, "old"):
                await until(lambda: it.state_of("a.wav") is S.DONE)
        async with daemon_with(it, "other") as keyring:
            await until(lambda: left(it) and left(it)[0].tries >= 1)
            assert "present API key" in it.reasons("a.wav")[-1]
            keyring.key = "old"
            await until(lambda: not left(it))
        assert it.server.state.status(it.server.jobs[0]) == "deleted"


async def test_a_transcript_that_was_damaged_before_it_was_written_is_fetched_before_its_job_is_deleted(
    bench, monkeypatch
):
    async with bench(account={"delete_after_download": True}) as it:
        it.record("a.wav")
        with monkeypatch.context() as patch:
            patch.setattr(Cleaner, "look", lambda _self, _kind: asyncio.Event().wait())
            patch.setattr("watcher.scheduler.deliver.Deliverer.publish", lambda *_: asyncio.sleep(0))
            async with it.running():
                await until(lambda: it.state_of("a.wav") is S.TRANSCRIBED)
        [kept] = (it.state / "transcripts").rglob("*.gz")
        kept.write_bytes(b"torn")
        await it.run()
        assert it.state_of("a.wav") is S.DONE
        assert it.server.state.status(it.server.jobs[0]) == "deleted"
        assert len(it.server.jobs) == 1
