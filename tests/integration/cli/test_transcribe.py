"""`dropscribe transcribe` as real processes: one ledger, one job and one set of outputs, whatever happens to them."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from tests.support.daemon import ROOT, Command, environment
from tests.support.fault_server import Fault, fault_server_thread
from tests.support.sounds import write_recording
from tests.support.waiting import until

if sys.platform == "win32":
    pytest.skip("ends processes by signals", allow_module_level=True)


class Bench:
    """A recording, a state directory and a cloud that fails on a script."""

    def __init__(self, root, server):
        self.server = server
        self.command = Command(root)
        key = root / "key"
        key.write_text("key")
        key.chmod(0o600)
        # A kill just before the tail of an upload leaves it open for this long whether there is a job.
        self.command.config.write_text(
            f"[speechmatics]\nurl = '{server.url}'\napi_key_file = '{key}'\nsettle_listing = 2.0\n"
        )
        self.talk = write_recording(root / "talk.wav", "talk")
        self.output = self.talk.with_suffix(".txt")
        self._started = []

    def line(self, *more):
        return ["transcribe", "--engine", "speechmatics", self.talk, *more]

    def run(self, *more):
        return self.command.run(*self.line(*more))

    def start(self, *more):
        process = subprocess.Popen(
            self.command.line(*self.line(*more)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(self.command.root / "home"),
        )
        self._started.append(process)
        return process

    def moves(self):
        """How many moves the ledger remembers."""
        if not (self.command.state / "ledger.sqlite3").exists():
            return 0
        with contextlib.closing(sqlite3.connect(f"file:{self.command.state}/ledger.sqlite3?mode=ro", uri=True)) as it:
            return it.execute("SELECT count(*) FROM events").fetchone()[0]

    def close(self):
        for process in self._started:
            if process.poll() is None:
                process.terminate()
            process.communicate()
        self.command.close()


@pytest.fixture
def bench(tmp_path):
    """Make a bench: `with bench(Fault(…), processing_time=…) as it:`."""

    @contextlib.contextmanager
    def make(*faults, **settings):
        with fault_server_thread(*faults, **settings) as server:
            it = Bench(tmp_path, server)
            try:
                yield it
            finally:
                it.close()

    return make


def test_three_runs_whose_answers_are_lost_make_one_job(bench):
    with bench(Fault("lose_answer", on="post", times=None)) as it:
        for _ in range(3):
            done = it.run()
            assert (done.returncode, done.stdout) == (0, f"{it.output}\n"), done.stderr
        assert "It was transcribed before. Nothing was submitted." in done.stderr
        assert len(it.server.jobs) == 1


@pytest.mark.parametrize("moves", [1, 2, 3, 4, 5])
@pytest.mark.long
def test_killed_after_any_move_the_next_run_makes_no_other_job(bench, moves):
    with bench(Fault("delay", on="post", seconds=0.3), processing_time=0.3) as it:
        first = it.start()
        until(lambda: it.moves() >= moves or first.poll() is not None, what=f"move {moves}")
        first.send_signal(signal.SIGKILL)
        first.communicate()
        done = it.run()
        assert (done.returncode, done.stdout) == (0, f"{it.output}\n"), done.stderr
        assert len(it.server.jobs) == 1
        assert sorted(path.name for path in it.talk.parent.glob("talk*")) == ["talk.txt", "talk.wav"]


def test_interrupted_it_says_what_goes_on_and_the_next_run_takes_it_up(bench):
    with bench(processing_time=2.0) as it:
        first = it.start()
        until(lambda: it.command.count("SUBMITTED"), what="the job")
        first.send_signal(signal.SIGINT)
        out, err = first.communicate()
        assert (first.returncode, out) == (130, "")
        assert "not finished. It continues with the next `dropscribe transcribe` of this file" in err
        done = it.run()
        assert (done.returncode, done.stdout) == (0, f"{it.output}\n"), done.stderr
        assert len(it.server.jobs) == 1


def test_a_running_daemon_is_handed_the_request(bench):
    with bench() as it:
        it.command.start_with_config()
        done = it.run("-f", "txt,srt", "-o", it.command.root / "out")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "".join(f"{it.command.root}/out/talk.{form}\n" for form in ("txt", "srt"))
        told = it.command.json("explain", it.talk)
        assert (told["requested"], told["state"]) == (True, "DONE")
        assert len(it.server.jobs) == 1
        nothing = it.command.run("transcribe", it.command.config)
        assert nothing.returncode == 1
        assert f"{it.command.config}: It " in nothing.stderr


def test_a_daemon_goes_on_with_what_was_interrupted(bench):
    with bench(processing_time=0.5) as it:
        it.command.start_with_config()
        first = it.start()
        until(lambda: it.command.count("SUBMITTED"), what="the job")
        first.send_signal(signal.SIGINT)
        _, err = first.communicate()
        assert "The running Dropscribe continues it." in err
        until(it.output.exists, what="the transcript")
        assert len(it.server.jobs) == 1


def test_two_at_once_share_one_job(bench):
    with bench(processing_time=0.5) as it:
        both = [it.start(), it.start()]
        for process in both:
            out, err = process.communicate()
            assert (process.returncode, out) == (0, f"{it.output}\n"), err
        assert len(it.server.jobs) == 1


def test_a_daemon_that_starts_meanwhile_waits_for_its_turn(bench):
    with bench(processing_time=1.0) as it:
        first = it.start()
        until(lambda: it.command.count("SUBMITTED"), what="the job")
        it.command.start_with_config()  # returns when it answers
        out, err = first.communicate()
        assert (first.returncode, out) == (0, f"{it.output}\n"), err
        assert len(it.server.jobs) == 1


def test_a_refused_key_is_said_and_the_request_withdrawn(bench):
    with bench(key="another") as it:
        done = it.run()
        assert done.returncode == 1
        assert "key" in done.stderr
        it.server.settings.key = None
        assert it.command.count("CANCELLED") == 1
        assert it.command.json("status")["attention"] == [], "nothing uses the account any more"
        assert it.run().returncode == 0, "the next run asks again"
        assert len(it.server.jobs) == 1


def test_while_paused_it_gives_up_and_its_history_says_why(bench):
    with bench() as it:
        it.command.start_with_config()
        assert it.command.run("pause").returncode == 0
        done = it.run()
        assert done.returncode == 1
        assert "Dropscribe is paused. Run `dropscribe resume`, then transcribe it again." in done.stderr
        told = it.command.json("explain", it.talk)
        assert told["state"] == "CANCELLED"
        assert told["reason"].startswith("`dropscribe transcribe` gave up: Dropscribe is paused.")


def test_a_link_is_explained_like_the_recording_it_points_to(bench):
    with bench() as it:
        link = it.command.root / "link.wav"
        link.symlink_to(it.talk)
        done = it.command.run("transcribe", "--engine", "speechmatics", link)
        assert (done.returncode, done.stdout) == (0, f"{it.output}\n"), done.stderr
        assert it.command.json("explain", link)["state"] == "DONE"


def test_options_that_can_not_work_are_refused(bench):
    with bench() as it:
        refused = it.run("-o", it.command.config)
        assert refused.returncode == 2
        assert "is not a folder." in refused.stderr
        empty = it.run("--language", "")
        assert empty.returncode == 2
        assert "--language is empty." in empty.stderr
        assert not it.server.jobs


def test_a_ledger_of_a_newer_version_is_left_alone(bench):
    with bench() as it:
        assert it.run().returncode == 0
        with contextlib.closing(sqlite3.connect(it.command.state / "ledger.sqlite3")) as ledger:
            ledger.execute("PRAGMA user_version = 99")
        done = it.run("-f", "srt")
        assert done.returncode == 78
        assert "was made by a newer Dropscribe" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_state_directory_that_is_read_only_is_named(bench):
    with bench() as it:
        it.command.state.mkdir()
        it.command.state.chmod(0o500)
        done = it.run()
        it.command.state.chmod(0o700)
        assert done.returncode == 1
        assert f"{it.command.state}" in done.stderr
        assert "Give yourself write permission" in done.stderr


def test_a_state_directory_that_can_not_be_is_named(bench):
    with bench() as it:
        it.command.state.write_text("")
        done = it.run()
        assert done.returncode == 1
        assert f"{it.command.state}: File exists. That must be a folder." in done.stderr
