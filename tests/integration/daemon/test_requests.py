"""Recordings that are requested by name: no watch folder, the same ledger, the same promises."""

import os

import msgspec
import pytest

from tests.support.daemon_bench import until
from tests.support.fault_server import Fault
from tests.support.sounds import RATE, encode, noise, write_recording
from watcher.errors import NotARecording
from watcher.ledger import IllegalMove
from watcher.models import Engine, EntryState, OutputFormat
from watcher.scheduler import Request

pytestmark = pytest.mark.anyio
DONE, WAITING = EntryState.DONE, EntryState.WAITING


@pytest.fixture
def talk(tmp_path):
    """A recording outside every watch folder."""
    (tmp_path / "talks").mkdir()
    return write_recording(tmp_path / "talks" / "talk.wav", "talk")


def request_for(path, *, target=None, formats=(OutputFormat.TXT,), language="en"):
    return Request(path, Engine.SPEECHMATICS, {"language": language}, formats, target or path.parent)


def requests(it, path):
    return it.read(lambda ledger: ledger.requests_at_path(path))


async def requested(it, control, request):
    """Request it and wait for its outputs."""
    uid = (await control.request(request))["uid"]
    await until(lambda: it.read(lambda ledger: ledger.find(uid)).state is DONE)
    return await control.entry(uid)


async def test_a_requested_recording_is_transcribed_where_it_was_asked_for(bench, talk, tmp_path):
    async with bench() as it, it.running() as control:
        beside = await requested(it, control, request_for(talk))
        other = await requested(it, control, request_for(talk, target=tmp_path / "out", formats=(OutputFormat.SRT,)))
        assert [output["path"] for output in beside["outputs"]] == [str(talk.with_suffix(".txt"))]
        assert [output["path"] for output in other["outputs"]] == [str(tmp_path / "out" / "talk.srt")]
        assert beside["requested"]
        assert (await control.explain(talk))["kind"] == "entry"
        assert "Requested with `dropscribe transcribe`" in beside["history"][0]["reason"]
        assert it.server.requests["post"] == 1, "one job does for both"
        assert (await control.explain(talk))["uid"] == other["uid"]
        await control.request(request_for(talk))
        assert len(requests(it, talk)) == 2


async def test_the_same_request_again_writes_what_is_stored_and_pays_nothing(bench, talk):
    async with bench() as it, it.running() as control:
        first = await requested(it, control, request_for(talk))
        talk.with_suffix(".txt").unlink()
        again = await control.request(request_for(talk))
        assert again["uid"] == first["uid"]
        assert again["was_done"]
        await until(lambda: talk.with_suffix(".txt").exists())
        assert it.server.requests["post"] == 1


async def test_a_watched_recording_may_be_requested_too_and_is_paid_once(bench):
    async with bench(folder={"formats": (OutputFormat.TXT,)}) as it:
        path = it.record("a.wav")
        async with it.running() as control:
            await until(lambda: it.state_of("a.wav") is DONE)
            told = await requested(it, control, request_for(path))
            assert [output["path"] for output in told["outputs"]] == [str(path.with_suffix(".txt"))]
            assert told["reason"] == "It was transcribed before."
        assert it.server.requests["post"] == 1
        assert sorted(file.name for file in it.inbox.iterdir()) == ["a.txt", "a.wav"]
        await it.run()
        assert it.state_of("a.wav") is DONE


async def test_no_change_of_the_config_and_no_restart_touches_what_was_requested(bench, talk):
    offline = Fault("reset_before", times=None)
    async with bench(offline) as it:
        async with it.running() as control:
            uid = (await control.request(request_for(talk)))["uid"]
            await until(lambda: it.account.breaker.failures)
        config = msgspec.structs.replace(it.config(), folders=(), engine=Engine.LOCAL)
        it.server.script.clear()
        async with it.running(config=config):
            await until(lambda: it.read(lambda ledger: ledger.find(uid)).state is DONE)
        assert talk.with_suffix(".txt").exists()
        assert len(it.server.jobs) == 1


async def test_a_lost_answer_is_looked_for_however_often_it_is_requested(bench, talk):
    async with bench(Fault("lose_answer", on="post", times=1)) as it:
        for _ in range(3):
            async with it.running() as control:
                await requested(it, control, request_for(talk))
        assert len(it.server.jobs) == 1
        assert len(requests(it, talk)) == 1


async def test_cancelling_withdraws_the_consent(bench, talk):
    async with bench() as it, it.running() as control:
        await control.pause()
        uid = (await control.request(request_for(talk)))["uid"]
        assert "You paused it" in (await control.entry(uid))["next"]
        await control.cancel(uid)
        await control.resume()
        await requested(it, control, request_for(it.record("b.wav")))
        assert it.read(lambda ledger: ledger.find(uid)).state is EntryState.CANCELLED
        assert it.server.requests["post"] == 1
        await control.retry(uid)
        await until(lambda: it.read(lambda ledger: ledger.find(uid)).state is DONE)


async def test_other_content_at_the_path_is_another_request(bench, talk):
    async with bench() as it, it.running() as control:
        await control.pause()
        old = (await control.request(request_for(talk)))["uid"]
        write_recording(talk, "other")
        new = await control.request(request_for(talk))
        assert new["uid"] != old
        gone = it.read(lambda ledger: ledger.find(old))
        assert (gone.state, gone.current) == (EntryState.CANCELLED, False)
        with pytest.raises(IllegalMove):
            await control.retry(old)


async def test_what_is_no_recording_is_refused_and_leaves_no_entry(bench, tmp_path):
    (tmp_path / "notes.wav").write_text("not sound")
    async with bench() as it, it.running() as control:
        with pytest.raises(NotARecording):
            await control.request(request_for(tmp_path / "notes.wav"))
        assert not requests(it, tmp_path / "notes.wav")


async def test_a_truncated_flac_is_transcribed_as_far_as_it_goes(bench, tmp_path):
    path = encode(tmp_path / "cut.flac", noise(10 * RATE).reshape(-1, 1), "flac", "flac")
    os.truncate(path, path.stat().st_size // 2)
    async with bench() as it, it.running() as control:
        told = await requested(it, control, request_for(path))
        entry = it.read(lambda ledger: ledger.find(told["uid"]))
        assert entry.media.duration is None, "its header promises more than the file has"
