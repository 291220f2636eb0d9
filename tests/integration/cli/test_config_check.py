"""`dropscribe config check`: each finding names the file, the line, and what to write instead."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from service.cli import main


@pytest.fixture
def check(tmp_path, capsys):
    """Write a config, in which FOLDER stands for a folder that exists, and check it."""
    folder = tmp_path / "recordings"
    (folder / "inside").mkdir(parents=True)
    (tmp_path / "alias").symlink_to(folder)
    file = tmp_path / "config.toml"

    def run(text, *options):
        file.write_text(text.replace("FOLDER", str(folder)).replace("PARENT", str(tmp_path)), encoding="utf-8")
        status = main(["--config", str(file), "config", "check", *options])
        said = capsys.readouterr()
        return status, (said.out + said.err).replace(f"{file}, ", "")

    run.folder = folder
    return run


ONE = '[[folders]]\npath = "FOLDER"\n'
CLOUD = "engine = 'speechmatics'\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[transcription]\nlangage = 'de'\n",
            "error: line 2: the service knows no 'langage'. Did you mean 'lang",
        ),
        (ONE + "[folders.transcription]\ndiarisation = 'speaker'\n", "error: line 4: the service knows no 'diaris"),
        ("[transcription]\nsparkle = 1\n", "error: line 2: 'sparkle' is not a setting that Dropscribe knows"),
        (CLOUD + "[transcription]\nenable_entities = 'yes'\n", "error: line 3: 'enable_entities' is true or false"),
        (CLOUD + "[speechmatics]\nurl = 'htps://x'\n", "error: line 3: 'url' can't be used"),
        (CLOUD + "[speechmatics]\nurl = 'https://me:secret@x'\n", "error: line 3: 'url' can't be used"),
        ('[[folders]]\npath = "PARENT/config.toml"\n', "error: line 2: "),
        ('[folders]\npath = "FOLDER"\n', "Write [[folders]] in double brackets"),
        (ONE + 'formats = ["txt", "srtt"]\n', "Did you mean 'srt'?"),
        (ONE + ONE, "line 4: the folder "),
        (ONE + "[folders.transcription]\nlanguage = 'de'\n", "error: line 4: 'language': the model tiny.en"),
        ("[transcription]\nlanguage = 'de'\n" + ONE, "error: line 2: 'language': the model tiny.en"),
        (ONE + "after = 'move:.'\n", "error: line 3: 'after' moves recordings into the watch folder itself"),
        (ONE + "after = 'move:FOLDER'\n", "error: line 3: 'after' moves recordings into the watch folder itself"),
    ],
)
def test_what_can_not_work_is_an_error(check, text, says):
    status, said = check(text)
    assert status == 78
    assert says in said
    assert "secret" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CLOUD + "[transcription]\nsparkle = 1\n", "line 3: 'sparkle' is not a setting that Dropscribe knows"),
        (CLOUD + "[transcription]\nmodel = 'oak-2'\n", "line 3: 'model': \"oak-2\" is not a value"),
        (
            CLOUD + "[speechmatics]\nurl = 'http://eu1.asr.example.com/v2'\n",
            "line 3: 'url': http://eu1.asr.example.com",
        ),
        (CLOUD + "[speechmatics]\napi_key_file = '/no/such/file'\n", "line 3: there is no file /no/such/file"),
        (ONE + '[[folders]]\npath = "PARENT/alias"\n', "line 4: "),
        (ONE + 'output = "$HOME/out"\n', "line 3: 'output': variables"),
        (ONE + 'output = "/C:\\new"\n', "line 3: 'output' contains '\\n'"),
        (ONE + "min_size = 5\nmax_size = 2\n", "line 3: 'min_size' is more than 'max_size'"),
        (ONE + "settle = inf\n", "line 3: 'settle' is in seconds: this is forever."),
        ("rescan = 300000\n", "line 1: 'rescan' is in seconds: this is 3 days."),
        (ONE + 'on_done = ["no-such-program-here"]\n', "line 3: 'on_done': the program"),
        (ONE + 'include = ["wav"]\n', "line 3: 'include': 'wav' matches only"),
        ("state_dir = 'FOLDER/state'\n" + ONE, "line 3: this folder contains Dropscribe's own files"),
        ("[local]\nmodel = '/no/such/folder'\n", "line 2: 'model': there is no folder"),
    ],
)
def test_what_may_fail_later_is_a_warning(check, text, says, monkeypatch):
    monkeypatch.delenv("SPEECHMATICS_API_KEY", raising=False)
    status, said = check(text)
    assert status == 0
    assert f"warning: {says}" in said
    assert "0 errors, 1 warning." in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (CLOUD + "[speechmatics]\nurl = 'asr.example.com/v2'\n", "https://asr.example.com/v2 is used"),
        (CLOUD + "[speechmatics]\nurl = 'localhost:9000'\n", "http://localhost:9000 is used"),
        (ONE + "webhook = '127.0.0.1:8000/x'\n", "http://127.0.0.1:8000/x is used"),
        (ONE + '[[folders]]\npath = "FOLDER/inside"\n', "which is watched too"),
        ('[[folders]]\npath = "PARENT/gone"\n', "does not exist; Dropscribe waits for it"),
        ("state_dir = 'FOLDER/.state'\n" + ONE, "is valid."),
        (ONE + "[folders.transcription]\nlanguage = 'auto'\n", "is valid."),
        ("[transcription]\nlanguage = 'de'\n[local]\nmodel = 'small'\n" + ONE, "is valid."),
        (CLOUD + "[transcription]\nlanguage = 'de'\n" + ONE, "is valid."),
        ("", "it is empty, so the defaults apply"),
    ],
)
def test_what_is_good_is_said_to_be_good(check, text, says):
    status, said = check(text)
    assert status == 0
    assert says in said
    assert "is valid" in said


def test_the_settings_that_travel_with_a_folder_are_checked_too(check):
    (check.folder / "inside" / ".dropscribe.toml").write_text("[transcription]\ndiarisation = 'speaker'\n")
    (check.folder / ".dropscribe.toml").write_text("languag = 'de'\n")
    status, said = check(ONE)
    assert status == 78
    assert "inside/.dropscribe.toml, line 2: the service knows no 'diarisation'" in said
    assert ".dropscribe.toml, line 1: unknown key 'languag'" in said


def test_settings_that_are_a_link_are_refused_as_the_daemon_does(check, tmp_path):
    (tmp_path / "elsewhere.toml").write_text('language = "de"\n')
    (check.folder / ".dropscribe.toml").symlink_to(tmp_path / "elsewhere.toml")
    status, said = check(ONE)
    assert status == 78
    assert "a folder, a link or a device" in said


class Refusing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.headers_seen.append(dict(self.headers))
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_addresses_are_tried_only_on_request_and_without_the_key(check, monkeypatch):
    monkeypatch.setenv("SPEECHMATICS_API_KEY", "the-secret-key")
    with HTTPServer(("127.0.0.1", 0), Refusing) as server, socket.create_server(("127.0.0.1", 0)) as hook:
        server.headers_seen = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        text = (
            f"{CLOUD}[speechmatics]\nurl = '127.0.0.1:{server.server_port}'\n{ONE}"
            f"webhook = '127.0.0.1:{hook.getsockname()[1]}/x'\n"
        )
        assert check(text)[0] == 0
        assert server.headers_seen == []
        status, said = check(text, "--online")
        server.shutdown()
        thread.join()
    assert status == 0
    assert "answers (HTTP 401 without a key)" in said
    assert "can be reached" in said
    assert len(server.headers_seen) == 1
    assert "the-secret-key" not in str(server.headers_seen)
    status, said = check(text, "--online")
    assert status == 0, "an address that doesn't answer now may do so later"
    assert said.count("can't be reached") == 2


def test_formats_of_the_command_line_are_named_by_their_option(check, capsys):
    check("")
    for command in (["folders", "add", str(check.folder)], ["transcribe", str(check.folder)]):
        assert main([*command, "--formats", "txt,srtt"]) == 2
        err = capsys.readouterr().err
        assert "--formats: unknown format 'srtt'." in err
        assert "Did you mean srt?" in err
        assert main([*command, "--formats", ""]) == 2
        assert "--formats is empty" in capsys.readouterr().err
