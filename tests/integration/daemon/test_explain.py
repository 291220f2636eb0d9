"""`explain` has one answer for any path: what it is, why, and what comes next."""

import asyncio
import re

import pytest

from tests.support.daemon_bench import until, write_recording
from tests.support.fault_server import Fault
from tests.support.waiting import PATIENCE
from watcher.config import FolderConfig
from watcher.models import EntryState

pytestmark = pytest.mark.anyio
S = EntryState


async def test_what_is_no_recording_of_ours(bench, tmp_path):
    async with bench(folder={"exclude": ("drafts/*",), "settle": 60.0, "polling": "always"}) as it:
        it.record(".hidden.wav")
        it.record("drafts/a.wav")
        (it.inbox / "notes.pdf").write_bytes(b"%PDF")
        async with it.running() as control:
            it.record("growing.wav")
            await until_kind(control, it.inbox / "growing.wav", "settling")
            growing = await control.explain(it.inbox / "growing.wav")
            assert growing["since"] is not None
            assert re.search(r"since \d\d:\d\d:\d\d\.", growing["reason"])
            for name, rule in ((".hidden.wav", "hidden"), ("drafts/a.wav", "exclude"), ("notes.pdf", "extension")):
                told = await control.explain(it.inbox / name)
                assert (told["kind"], told["rule"]) == ("ignored", rule)
                assert told["reason"]
            gone = await control.explain(tmp_path / "elsewhere" / "a.wav")
            assert (gone["kind"], gone["reason"]) == ("missing", "There is no such file.")
            outside = await control.explain(tmp_path)
            assert outside["kind"] == "not watched"
            assert "dropscribe folders add" in outside["fix"]
            missing = await control.explain(it.inbox / "never.wav")
            assert (missing["kind"], missing["reason"]) == ("missing", "There is no such file.")


async def until_kind(control, path, kind):
    """Wait until a path is explained as of this kind."""
    while (await control.explain(path))["kind"] != kind:
        await control.snapshot()


async def test_what_is_done_its_copy_and_its_outputs(bench):
    async with bench() as it:
        it.record("a.wav", seed="same")
        it.record("b.wav", seed="same")
        async with it.running() as control:
            await until(lambda: it.state_of("a.wav") is it.state_of("b.wav") is S.DONE)
            first, copy = it.entry("a.wav"), it.entry("b.wav")
            if first.copy_of:
                first, copy = copy, first
            told = await control.explain(copy.path)
            assert told["reason"] == f"Same content as {first.path.name}."
            assert (told["state"], told["next"]) == ("DONE", "Nothing left to do.")
            output = await control.explain(it.inbox / "a.txt")
            assert "Not submitted: it uses" in told["billing"]
            assert (output["kind"], output["entry"]) == ("output", it.entry("a.wav").uid)
            assert "a.wav" in output["reason"]
            assert told["outputs"][0] == {
                "format": "txt",
                "path": str(it.inbox / f"{copy.path.stem}.txt"),
                "there": True,
            }
            (it.inbox / f"{copy.path.stem}.txt").unlink()
            told = await control.explain(copy.path)
            assert told["outputs"][0]["there"] is False
            assert told["next"].startswith(f"Nothing left to do, but {copy.path.stem}.txt was removed.")
            (it.inbox / "a.wav").unlink()
            gone = await control.explain(it.inbox / "a.wav")
            assert (gone["state"], gone["there"]) == ("DONE", False)


async def test_what_failed_says_why_and_what_to_do(bench):
    faults = Fault("reject", on="post", detail="There is no speech in it")
    async with bench(faults) as it:
        it.record("rejected.wav")
        (it.inbox / "broken.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
        async with it.running() as control:
            await until(lambda: it.state_of("rejected.wav") is S.FAILED)
            await until(lambda: it.state_of("broken.wav") in {S.FAILED, S.SKIPPED})
            told = await control.explain(it.inbox / "rejected.wav")
            assert "There is no speech in it" in told["reason"]
            assert "dropscribe retry" in told["fix"]
            assert told["next"] == "Nothing. To try again: dropscribe retry FILE"
            assert [move["to"] for move in told["history"]] == ["WAITING", "SUBMITTING", "SUBMITTED", "FAILED"]
            assert (await control.explain(it.inbox / "broken.wav"))["reason"]


async def test_what_is_held_says_why_and_what_a_person_can_decide(bench):
    async with bench(processing_time=0.6) as it:
        it.record("a.wav")
        async with it.running() as control:
            await until(lambda: it.server.jobs)
            it.server.jobs[0].forced_status = "expired"
            it.server.touch()
            await until(lambda: it.state_of("a.wav") is S.HELD)
            told = await control.explain(it.inbox / "a.wav")
            assert "Expired" in told["reason"]
            assert "dropscribe retry FILE" in told["fix"]
            assert told["next"] == "Nothing until you decide."


async def test_what_waits_names_each_hold(bench, tmp_path):
    async with bench(key="key") as it:
        it.server.settings.key = "another"
        other = tmp_path / "other"
        write_recording(other / "b.wav", "b")
        config = it.config(
            FolderConfig(path=str(it.inbox), settle=0.0), FolderConfig(path=str(other), settle=0.0, paused=True)
        )
        it.record("a.wav")
        async with it.running(config=config) as control:
            await until(lambda: it.ledger.exists() and it.read(lambda ledger: ledger.holds(0)))
            await control.pause()
            await until(lambda: it.read(lambda ledger: ledger.at_path(other / "b.wav")))
            first = ""
            async with asyncio.timeout(PATIENCE):  # what was claimed just before the pause is given back first
                while "You paused it. dropscribe resume" not in first:
                    first = (await control.explain(it.inbox / "a.wav"))["next"]
            assert "401" in first
            assert "dropscribe login" in first
            assert "folder is paused" not in first
            second = (await control.explain(other / "b.wav"))["next"]
            assert f"Its folder is paused. To resume it: dropscribe folders resume '{other}'" in second


async def test_what_waits_for_its_twin_its_turn_or_a_busy_service(bench):
    async with bench(processing_time=60.0, account={"max_running": 1}) as it:
        it.record("a.wav", seed="same")
        it.record("twin.wav", seed="same")
        it.record("later.wav")
        async with it.running() as control:
            await until(lambda: S.SUBMITTED in {it.state_of(name) for name in ("a.wav", "twin.wav", "later.wav")})
            await until(lambda: all(it.state_of(name) for name in ("a.wav", "twin.wav", "later.wav")))
            waiting = [name for name in ("a.wav", "twin.wav", "later.wav") if it.state_of(name) is S.WAITING]
            said = " ".join([(await control.explain(it.inbox / name))["next"] for name in waiting])
            assert "As many recordings as it takes at a time (1) are at work." in said


async def test_what_waits_for_a_copy_in_flight_names_it(bench):
    async with bench(processing_time=60.0) as it:
        it.record("a.wav", seed="same")
        async with it.running() as control:
            await until(lambda: it.state_of("a.wav") is S.SUBMITTED)
            it.record("twin.wav", seed="same")
            await until(lambda: it.state_of("twin.wav") is S.WAITING)
            told = await control.explain(it.inbox / "twin.wav")
            assert told["next"] == "It waits for a.wav, which has the same content, so that it is billed only once."


async def test_what_waits_for_a_service_that_is_away_says_so(bench):
    async with bench(Fault("status", on="post", status=429, retry_after="600", times=None)) as it:
        it.record("a.wav")
        async with it.running() as control:
            await until(lambda: it.server.requests["post"])
            await until(lambda: it.state_of("a.wav") is S.WAITING)
            told = await control.explain(it.inbox / "a.wav")
            assert re.search(r"tried again in \d+ s|asked again in \d+ s", told["next"])
            assert "429" in told["reason"] + told["next"]


async def test_what_was_removed_before_its_turn_is_remembered(bench):
    async with bench() as it:
        path = it.record("a.wav")
        async with it.running() as control:
            await control.pause()
            await until(lambda: it.state_of("a.wav") is S.WAITING)
            path.unlink()
            await control.resume()
            await until(lambda: it.entry("a.wav") is None)
            told = await control.explain(path)
            assert told["kind"] == "missing"
            assert "A recording that was there is cancelled. It was removed before it was submitted." in told["reason"]
            assert told["entry"]
