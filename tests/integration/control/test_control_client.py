"""What the command line and the tray see: the client, against the served API over a real ledger."""

import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time

import pytest

from service.control.client import ControlClient, ControlError, DaemonGone
from tests.support.dashboard import Running, json_v2
from tests.support.waiting import until
from watcher.models import EntryState, OutputFormat
from watcher.paths import StatePaths

TRANSCRIPT = {
    OutputFormat.TXT: b"SPEAKER: S1\nHello there.\n",
    OutputFormat.JSON_V2: json_v2(("S1", 0.0, "Hello there."), ("S2", 2.0, "Good morning.")),
}


def test_status_tells_the_whole_picture(running, client):
    running.do(running.plant.found("meeting.wav"))
    until(lambda: client.folders()[0]["state"] != "starting", what="the folder to be watched")
    status = client.status()
    assert status["state"] == "working"
    assert status["counts"]["WAITING"] == 1
    assert status["pid"] == os.getpid()
    assert status["version"] == client.version
    counted = {"seen", "pending"}  # these go on counting between the two questions
    assert [{key: value for key, value in folder.items() if key not in counted} for folder in status["folders"]] == [
        {key: value for key, value in folder.items() if key not in counted} for folder in client.folders()
    ]
    assert status["folders"][0]["path"] == str(running.plant.folder)


def test_entries_come_in_pages_that_neither_repeat_nor_leave_out(running, client):
    for number in range(7):
        running.do(running.plant.found(f"{number}.wav"))
    first, cursor = client.entries(limit=3)
    # What changes between two pages moves to the front and does not disturb the pages behind.
    running.do(running.plant.submitting())
    second, cursor = client.entries(limit=2, before=cursor)
    third, end = client.entries(limit=2, before=cursor)
    assert [entry["name"] for entry in first + second + third] == [f"{n}.wav" for n in (6, 5, 4, 3, 2, 1)]
    assert end is None
    assert client.entries(limit=1)[0][0]["name"] == "0.wav"


def test_entries_are_found_by_state_folder_and_name(running, client):
    running.do(running.plant.found("100% done_.wav"))
    running.do(running.plant.found("other.wav", state=EntryState.FAILED, reason="No audio.", fix="Look."))
    assert [e["name"] for e in client.entries(search="100% DONE_")[0]] == ["100% done_.wav"]
    assert client.entries(search="%%")[0] == []
    assert [e["reason"] for e in client.entries(state="failed")[0]] == ["No audio."]
    assert len(client.entries(folder=running.plant.folder)[0]) == 2
    assert client.entries(folder=running.plant.folder / "other")[0] == []
    assert {entry["name"] for entry in client.all_entries()} == {"100% done_.wav", "other.wav"}


def test_an_entry_tells_its_history_and_its_formats(running, client):
    entry = running.do(running.plant.transcribed("talk.wav", TRANSCRIPT))
    told = client.entry(entry.uid)
    assert [move["to"] for move in told["history"]] == ["WAITING", "SUBMITTING", "SUBMITTED", "TRANSCRIBED", "DONE"]
    assert told["available"] == ["txt", "json-v2", "vtt", "md"]
    assert told["next"] == "Nothing left to do."
    assert client.transcript(entry.uid) == TRANSCRIPT[OutputFormat.TXT]
    assert client.transcript(entry.uid, "vtt").startswith(b"WEBVTT")
    with pytest.raises(ControlError, match="was not asked for srt") as refused:
        client.transcript(entry.uid, "srt")
    assert refused.value.status == 404


def test_explain_answers_for_any_path(running, client):
    entry = running.do(running.plant.transcribed("talk.wav", TRANSCRIPT))
    assert client.explain(entry.path)["uid"] == entry.uid
    assert client.explain(entry.path.with_suffix(".txt"))["entry"] == entry.uid
    assert client.explain(running.paths.root.parent / "elsewhere.wav")["kind"] == "missing"
    assert client.explain(running.paths.root)["kind"] == "not watched"


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text exist on Linux")
def test_a_name_that_is_no_text_is_explained_and_listed(running, client):
    path = running.plant.folder / os.fsdecode(b"caf\xe9.wav")
    running.plant.record(path.name)
    from watcher.folders.fingerprint import fingerprint

    entry = running.do(running.plant.added(path, fingerprint(path)))
    assert client.explain(path)["uid"] == entry.uid
    assert client.entries()[0][0]["name"] == "caf\ufffd.wav"


def test_pause_resume_and_holds(running, client):
    until = time.time() + 3600
    assert client.pause(until)["paused_until"] == pytest.approx(until)
    assert client.status()["state"] == "paused"
    assert client.resume()["state"] == "idle"
    assert client.pause()["paused_until"] is None
    client.resume()
    running.do(running.plant.holds("key:cloud/eu1", "The key was rejected.", "dropscribe login"))
    assert client.status()["holds"][0]["fix"] == "dropscribe login"
    assert client.lift("key:cloud/eu1")["holds"] == []
    with pytest.raises(ControlError, match="This hold no longer exists") as gone:
        client.lift("key:cloud/eu1")
    assert gone.value.status == 404


@pytest.mark.parametrize("until", ["tomorrow", True, -1.0, [1], 1e400])
def test_pause_refuses_what_is_no_time_to_come(client, until):
    with pytest.raises(ControlError) as refused:
        client.pause(until)
    assert refused.value.status == 400


def test_retry_and_cancel(running, client):
    entry = running.do(running.plant.found("held.wav"))
    running.do(running.plant.held(running.do(running.plant.submitting()), "Was it taken?"))
    assert client.retry(entry.uid)["state"] == "WAITING"
    assert running.plant.scheduler.moves[-1] == "WAITING"
    with pytest.raises(ControlError, match="nothing to retry") as refused:
        client.retry(entry.uid)
    assert refused.value.status == 409
    cancelled = client.cancel(entry.uid, "It is not needed.")
    assert (cancelled["state"], cancelled["reason"]) == ("CANCELLED", "It is not needed.")
    assert running.plant.scheduler.moves[-1] == "CANCELLED"
    with pytest.raises(ControlError, match="already"):
        client.cancel(entry.uid)


@pytest.mark.parametrize("uid", ["nobody", "../../etc/passwd", "..", "a b", "%00", "é"])
def test_an_unknown_id_is_an_answer(client, uid):
    for ask in (client.entry, client.retry, client.cancel, client.transcript, client.open_code):
        with pytest.raises(ControlError) as refused:
            ask(uid)
        assert refused.value.status == 404


def test_events_come_as_they_happen(running, client):
    stream = client.events()
    assert next(stream).kind == "hello"
    entry = running.do(running.plant.found("new.wav"))
    event = next(stream)
    assert (event.kind, event.data["uid"], event.data["state"]) == ("entry", entry.uid, "WAITING")
    stream.close()


def test_events_end_with_the_daemon(tmp_path):
    heard = []
    ended = threading.Event()
    listening = threading.Event()

    def listen(client):
        try:
            for event in client.events():
                heard.append(event.kind)
                listening.set()
        except DaemonGone:
            ended.set()

    with Running.start(tmp_path) as running:
        client = ControlClient.from_state(running.paths)
        thread = threading.Thread(target=listen, args=(client,))
        thread.start()
        assert listening.wait(10)
    thread.join(10)
    assert ended.is_set()
    assert heard == ["hello"]
    with pytest.raises(DaemonGone, match="dropscribe service status"):
        client.status()


def test_the_control_file_is_private_and_goes_with_the_daemon(tmp_path):
    with Running.start(tmp_path) as running:
        told = json.loads(running.paths.control.read_text())
        assert set(told) == {"url", "token", "pid", "version"}
        assert told["url"] == f"http://127.0.0.1:{running.port}"
        if os.name == "posix":
            assert stat.S_IMODE(running.paths.control.stat().st_mode) == 0o600
        client = ControlClient.from_state(running.paths)
        assert told["token"] not in repr(client)
        assert client.status()["pid"] == told["pid"]
    assert sorted(path.name for path in running.paths.root.glob("*control*")) == []
    assert ControlClient.from_state(running.paths) is None


def test_a_file_left_behind_is_no_daemon(tmp_path):
    paths = StatePaths(tmp_path)
    assert ControlClient.from_state(paths) is None
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        told = {"url": f"http://127.0.0.1:{port}", "token": "t", "pid": ended.pid, "version": "1"}
        paths.control.write_text(json.dumps(told))
        assert ControlClient.from_state(paths) is None, "its process has gone"
        paths.control.write_text(json.dumps({**told, "pid": os.getpid()}))
        assert ControlClient.from_state(paths) is not None
    assert ControlClient.from_state(paths) is None, "nobody listens there"
    for broken in ("", "[]", "{}", '{"url": 1}', json.dumps({**told, "url": "http://example.com:80"})):
        paths.control.write_text(broken)
        assert ControlClient.from_state(paths) is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes for a name")
def test_outputs_are_real_paths_where_a_name_is_not_utf_8(running, client):
    name = os.fsdecode(b"Gespr\xe4ch.wav")
    entry = running.do(running.plant.transcribed(name, TRANSCRIPT))
    outputs = running.do(running.plant.control.outputs(entry.uid))
    assert outputs[OutputFormat.TXT] == running.plant.folder / os.fsdecode(b"Gespr\xe4ch.txt")
    assert outputs[OutputFormat.TXT].read_bytes() == TRANSCRIPT[OutputFormat.TXT]
    assert "\ufffd" in client.entry(entry.uid)["outputs"][0]["path"], "what is shown is text"


def test_what_comes_next_names_the_hold_and_what_goes_on_has_its_figures(running, client):
    plant = running.plant
    waiting = running.do(plant.found("waits.wav", seconds=60))
    assert "next in line to be submitted" in client.entry(waiting.uid)["next"]
    running.do(plant.control.pause())
    assert client.entry(waiting.uid)["next"].endswith("You paused it. dropscribe resume")
    running.do(plant.control.resume())
    first = running.do(plant.submitting())
    running.call(plant.progress, first, 1_000_000, 4_000_000)
    (active,) = client.status()["active"]
    assert (active["doing"], active["progress"], active["sent"]) == ("uploading, 1.0 of 4.0 MB", 0.25, 1_000_000)
    running.do(plant.submitted(first))
    running.do(plant.found("second.wav", seconds=60))
    running.do(plant.submitted(running.do(plant.submitting())))
    told = {entry["name"]: entry for entry in client.status()["active"]}
    assert (told["waits.wav"]["ahead"], told["second.wav"]["ahead"]) == (0, 1)
    assert told["waits.wav"]["doing"].startswith("transcribing 1:00 of audio, submitted 0:")
    assert told["second.wav"]["doing"] == "queued, 1 ahead of it"
