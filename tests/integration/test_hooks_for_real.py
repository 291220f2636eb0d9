"""Hooks with real processes and real HTTP on loopback."""

import asyncio
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest

from service.hooks import Finished, Hooks, Limits
from tests.support.waiting import has_ended, reached
from watcher.events import Event, EventBus
from watcher.models import EntryKind, OutputFormat, WatchFolder

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="the commands are POSIX")]


def finished(folder):
    return Finished("u1", folder / "a $HOME `id`.wav", folder, {OutputFormat.TXT: folder / "a.txt"}, 1.0)


async def no_wait(_seconds):
    await asyncio.sleep(0)


async def run(folder, *, limits=None, sleep=no_wait, **settings):
    hooks = Hooks(lambda: (WatchFolder(path=folder, **settings),), limits=limits, sleep=sleep)
    hooks.start(finished(folder))
    await asyncio.wait_for(hooks.drain(), 60)


def script(folder, text):
    file = folder / "hook script"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


async def test_a_command_gets_its_arguments_as_they_are_and_the_paths(tmp_path, capsys):
    program = script(tmp_path, 'printf "%s\\n" "$PWD" "$1" "$DROPSCRIBE_SOURCE" "$DROPSCRIBE_OUTPUT_TXT" > seen')
    await run(tmp_path, on_done=(program, "$HOME; `id` {}"))
    assert (tmp_path / "seen").read_text().splitlines() == [
        str(tmp_path), "$HOME; `id` {}", f"{tmp_path}/a $HOME `id`.wav", f"{tmp_path}/a.txt",
    ]  # fmt: skip
    assert "hook_done" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes any bytes for a name")
async def test_a_command_finds_a_transcript_whose_name_is_not_utf_8(tmp_path):
    source, output = (tmp_path / os.fsdecode(b"Gespr\xe4ch" + suffix) for suffix in (b".wav", b".txt"))
    output.write_text("Hello.")
    program = script(tmp_path, 'cp "$DROPSCRIBE_OUTPUT_TXT" copy; basename "$DROPSCRIBE_SOURCE" > name')
    hooks = Hooks(lambda: (WatchFolder(path=tmp_path, on_done=(program,)),), sleep=no_wait)
    hooks.start(Finished("u1", source, tmp_path, {OutputFormat.TXT: output}, 1.0))
    await asyncio.wait_for(hooks.drain(), 60)
    assert (tmp_path / "copy").read_text() == "Hello."
    assert (tmp_path / "name").read_bytes() == b"Gespr\xe4ch.wav\n"


async def test_a_command_that_fails_is_tried_again_and_its_words_are_logged(tmp_path, capsys):
    program = script(tmp_path, 'echo x >> tries; echo "disk is full" >&2; [ $(wc -l < tries) -ge 3 ]')
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    await run(tmp_path, on_done=(program,), sleep=sleep)
    assert (tmp_path / "tries").read_text() == "x\n" * 3
    assert len(waits) == 2
    assert waits[1] > waits[0] > 0
    said = capsys.readouterr().out
    assert "disk is full" in said
    assert "hook_done" in said


async def test_it_is_given_up_in_the_end(tmp_path, capsys):
    await run(tmp_path, on_done=(script(tmp_path, "echo x >> tries; exit 3"),))
    assert (tmp_path / "tries").read_text() == "x\n" * 4
    assert "hook_failed" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [("/nowhere/at all",), ("",), ("a\0b",)])
async def test_a_command_that_cannot_start_is_said_once(tmp_path, capsys, argv):
    await run(tmp_path, on_done=argv)
    said = capsys.readouterr().out
    assert said.count("hook_failed") == 1
    assert "can't be started" in said


@pytest.mark.parametrize(
    "stubborn", ["trap '' TERM\nsleep 300 &", "(trap '' TERM; exec sleep 300) &"], ids=["the command", "its child"]
)
async def test_a_command_beyond_its_time_is_ended_with_what_it_started(tmp_path, capsys, stubborn):
    program = script(tmp_path, f"{stubborn}\necho $! > child\nwait\nwait")
    limits = Limits(command=2.0)  # a busy machine takes its time to begin, too
    await run(tmp_path, on_done=(program,), limits=limits)
    child = int((tmp_path / "child").read_text())
    await reached(lambda: has_ended(child))
    assert "did not finish within" in capsys.readouterr().out


async def test_a_process_left_behind_does_not_hold_the_hook(tmp_path):
    program = script(tmp_path, "sleep 300 &\necho $! > child")
    await run(tmp_path, on_done=(program,))
    os.kill(int((tmp_path / "child").read_text()), 9)


async def test_endless_output_is_no_danger(tmp_path, capsys):
    program = script(tmp_path, "yes dropscribe | head -c 20000000; exit 1")
    await run(tmp_path, on_done=(program,), limits=Limits(tries=1))
    assert len(capsys.readouterr().out) < 5000


class Receiver:
    """A webhook's other end; answers with what it is told to, in order."""

    def __init__(self, *answers):
        owner = self
        self.answers = list(answers)
        self.bodies = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                owner.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status, headers = owner.answers.pop(0) if owner.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?token=very-secret"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


async def test_a_webhook_is_tried_again_when_the_other_side_asks_for_it(tmp_path, capsys):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    with Receiver((503, {}), (429, {"Retry-After": "200"})) as receiver:
        await run(tmp_path, webhook=receiver.url, sleep=sleep)
    assert [body["uid"] for body in receiver.bodies] == ["u1"] * 3
    assert receiver.bodies[0]["outputs"] == {"txt": f"{tmp_path}/a.txt"}
    assert waits[1] == 200
    assert "very-secret" not in capsys.readouterr().out


@pytest.mark.parametrize("status", [302, 404])
async def test_a_webhook_that_is_refused_or_sent_elsewhere_is_not_tried_again(tmp_path, capsys, status):
    with Receiver((status, {"Location": "http://127.0.0.1:9/"})) as receiver:
        await run(tmp_path, webhook=receiver.url)
    assert len(receiver.bodies) == 1
    assert f"HTTP {status}" in capsys.readouterr().out


async def test_a_webhook_nobody_listens_to_is_given_up(tmp_path, capsys):
    with Receiver() as receiver:
        url = receiver.url
    await run(tmp_path, webhook=url)
    assert "can't be reached" in capsys.readouterr().out


class Running:
    """As much of a running daemon as hooks ask for."""

    def __init__(self, folder):
        self.bus = EventBus()
        self.folder = folder

    async def model(self, uid):
        if uid != "u1":
            raise KeyError(uid)

        class Entry:
            path = self.folder / "a.wav"
            root = self.folder
            kind = EntryKind.WATCHED

        return Entry

    async def outputs(self, uid):
        assert uid == "u1"
        return {OutputFormat.TXT: self.folder / "a.txt"}


async def test_only_finished_entries_set_hooks_off_and_they_end_with_the_daemon(tmp_path):
    control = Running(tmp_path)
    program = script(tmp_path, 'echo "$DROPSCRIBE_UID $DROPSCRIBE_OUTPUT_TXT" >> seen; exec sleep 300')
    hooks = Hooks(lambda: (WatchFolder(path=tmp_path, on_done=(program,)),))
    task = asyncio.create_task(hooks.follow(control))
    await asyncio.sleep(0)
    for uid, state in (("u1", "SUBMITTED"), ("gone", "DONE"), ("u1", "DONE")):
        control.bus.publish(Event("entry", 5.0, {"uid": uid, "state": state}))
    control.bus.publish(Event("progress", 5.0, {}))
    await reached((tmp_path / "seen").exists)
    control.bus.close()
    await task
    assert (tmp_path / "seen").read_text() == f"u1 {tmp_path}/a.txt\n"
    left = [p for p in psutil.Process().children(recursive=True) if "sleep" in p.name()]
    assert left == []
