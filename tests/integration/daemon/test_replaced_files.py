"""What is put in a recording's place, or in that of a folder on the way, is never sent and never written through."""

import os

import pytest

from tests.support.daemon_bench import until, write_recording
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


def same_size_and_time(source, model):
    """Make a file as long and as old as another."""
    found = model.lstat()
    source.write_bytes(os.urandom(found.st_size))
    os.utime(source, ns=(found.st_atime_ns, found.st_mtime_ns))
    return source


def replace_by_a_link(path, private):
    path.unlink()
    path.symlink_to(private)


def replace_by_a_link_to_an_equal_file(path, private):
    same_size_and_time(private, path)
    path.unlink()
    path.symlink_to(private)


def replace_by_a_hard_link_to_an_equal_file(path, private):
    same_size_and_time(private, path)
    path.unlink()
    path.hardlink_to(private)


def replace_its_folder_by_a_link(path, private):
    secrets = private.parent / "secrets"
    secrets.mkdir()
    same_size_and_time(secrets / path.name, path)
    path.parent.rename(path.parent.with_name("was"))
    path.parent.symlink_to(secrets)


def replace_by_a_named_pipe(path, _private):
    path.unlink()
    os.mkfifo(path)


def replace_by_a_device(path, _private):
    path.unlink()
    os.mknod(path, 0o20644, os.makedev(1, 5))  # /dev/zero


REPLACEMENTS = [
    replace_by_a_link,
    replace_by_a_link_to_an_equal_file,
    replace_by_a_hard_link_to_an_equal_file,
    replace_its_folder_by_a_link,
    replace_by_a_named_pipe,
    pytest.param(
        replace_by_a_device, marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a device")
    ),
]


@pytest.mark.parametrize("replace", REPLACEMENTS)
async def test_what_replaced_a_waiting_recording_is_not_sent(bench, tmp_path, replace):
    async with bench() as it:
        path = it.record("below/a.wav")
        private = write_recording(tmp_path / "private.wav", "private", samples=5000)
        async with it.running() as control:
            await control.pause()
            await until(lambda: it.state_of("below/a.wav") is S.WAITING)
        replace(path, private)
        ids = [entry.id for entry in it.read(lambda ledger: ledger.in_state(S.WAITING))]
        async with it.running() as control:
            await control.resume()
            await until(lambda: it.read(lambda ledger: ledger.entry(ids[0])).state is S.CANCELLED)
            reason = it.read(lambda ledger: ledger.entry(ids[0])).reason
        assert not it.server.requests["post"] or replace is replace_by_a_hard_link_to_an_equal_file
        assert "before it was submitted" in reason or "Links are not followed" in reason


async def test_a_recording_that_needs_preparation_is_read_by_the_descriptor_that_was_checked(
    bench, tmp_path, monkeypatch
):
    """The path is swapped for a link between the check and the child that extracts the sound."""
    from watcher.scheduler import upload_source

    async with bench(account={"upload_limit": 100_000}) as it:
        path = write_recording(it.inbox / "a.wav", "speech", samples=80_000)
        private = write_recording(tmp_path / "private.wav", "private", samples=160_000)
        real = upload_source.prepare
        sizes = []

        async def swapped(source, target, **more):
            kept = path.with_name("kept.tmp")
            path.rename(kept)
            path.symlink_to(private)
            try:
                prepared = await real(source, target, **more)
            finally:
                path.unlink()
                kept.rename(path)
            sizes.append(prepared.duration)
            return prepared

        monkeypatch.setattr(upload_source, "prepare", swapped)
        async with it.running():
            await until(lambda: sizes)
        assert sizes[0] == pytest.approx(5.0, abs=0.1), "the private file is twice as long"


@pytest.mark.parametrize("output", ["beside", "elsewhere"])
async def test_no_output_goes_through_a_folder_that_became_a_link(bench, tmp_path, output):
    target = tmp_path / "out"
    folder = {} if output == "beside" else {"output": str(target)}
    async with bench(folder=folder, processing_time=30.0) as it:
        it.record("below/a.wav")
        foreign = tmp_path / "foreign"
        foreign.mkdir()
        swapped = it.inbox / "below" if output == "beside" else target / "below"
        async with it.running() as control:
            await until(lambda: it.state_of("below/a.wav") is S.SUBMITTED)
            swapped.rename(tmp_path / "was")
            swapped.symlink_to(foreign)
            it.server.jobs[0].forced_status = "done"
            entry = it.entry("below/a.wav")
            await until(lambda: "symbolic link" in it.read(lambda ledger: ledger.entry(entry.id)).reason)
            assert not list(foreign.iterdir())
            swapped.unlink()
            (tmp_path / "was").rename(swapped)
            await until(lambda: it.state_of("below/a.wav") is S.DONE)
            assert control
        assert (swapped / "a.txt").exists()
        assert len(it.server.jobs) == 1


async def test_a_watch_folder_and_an_output_folder_that_are_links_themselves_work(bench, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "link to texts").symlink_to(tmp_path / "texts")
    async with bench(folder={"output": str(tmp_path / "link to texts")}) as it:
        it.inbox.rmdir()
        it.inbox.symlink_to(tmp_path / "disk")
        it.record("below/a.wav")
        await it.run()
        assert it.state_of("below/a.wav") is S.DONE
        assert (tmp_path / "texts" / "below" / "a.txt").exists()
