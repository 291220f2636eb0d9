"""The files for systemd, XDG autostart, launchd and Windows, read back by parsers of their formats."""

import configparser
import plistlib
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from service.os_service.launchd import Launchd, render_daemon, render_tray
from service.os_service.plan import Command, FileChange, Ran, apply, was_edited
from service.os_service.spec import ServiceSpec, fill
from service.os_service.systemd import Systemd, desktop_exec, quote, render_autostart, render_unit
from service.os_service.task_scheduler import WindowsTasks, render_task
from watcher.errors import UsageError

WORDS = st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
HERE = Path(__file__).parent


def a_spec(program="/opt/dropscribe", *options, tray=True, **environment):
    return ServiceSpec(
        program=(program,),
        python="/opt/python",
        config_file=Path("/home/u/.config/dropscribe/config.toml"),
        state_dir=Path("/home/u/.local/state/dropscribe"),
        options=options,
        environment=environment,
        tray=tray,
    )


def unit_of(text):
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(text)
    return parser


def unquote_unit(value):
    """Read a command line as systemd.syntax(7) describes it, for the escapes that are in use here."""
    words, word, quoted, i = [], None, False, 0
    while i < len(value):
        char = value[i]
        if char == "\\":
            i += 1
            word = (word or "") + value[i]
        elif char == '"':
            quoted, word = not quoted, word or ""
        elif char == " " and not quoted:
            words, word = words + ([word] if word is not None else []), None
        else:
            word = (word or "") + char
        i += 1
    assert not quoted
    return [each.replace("%%", "%") for each in words + ([word] if word is not None else [])]


@given(st.lists(WORDS, min_size=1))
def test_systemd_words_come_back_whole(words):
    line = " ".join(quote(word) for word in words)
    assert unquote_unit(line) == words
    assert "%" not in line.replace("%%", "")


def test_the_unit_has_what_the_daemon_relies_on():
    text = render_unit(a_spec("/home/Jörg Müller/bin/dropscribe", "--config", "/c 5%.toml", XDG_STATE_HOME="/s t"))
    unit = unit_of(text)
    assert unquote_unit(unit["Service"]["ExecStart"]) == [
        ":/home/Jörg Müller/bin/dropscribe", "--config", "/c 5%.toml", "run",
    ]  # fmt: skip
    assert unquote_unit(unit["Service"]["Environment"]) == ["XDG_STATE_HOME=/s t"]
    assert unit["Service"]["Type"] == "notify"
    assert unit["Service"]["Restart"] == "on-failure"
    assert "78" in unit["Service"]["RestartPreventExitStatus"].split()
    assert float(unit["Service"]["WatchdogSec"]) >= 30
    assert unit["Install"]["WantedBy"] == "default.target"
    assert not was_edited(text.encode())


def test_a_program_that_systemd_would_refuse_is_started_by_a_shell():
    unit = unit_of(render_unit(a_spec('/home/o\'n "x" \\/dropscribe')))
    argv = unquote_unit(unit["Service"]["ExecStart"])
    assert argv == [":/bin/sh", "-c", 'exec "$0" "$@"', '/home/o\'n "x" \\/dropscribe', "run"]


@given(st.lists(WORDS, min_size=1))
def test_desktop_entries_come_back_whole(words):
    value = desktop_exec(tuple(words))
    # First the key file's own escapes, then those of "The Exec key", which are the same as in a unit file.
    assert unquote_unit(value.replace("\\\\", "\\")) == words


@pytest.mark.skipif(not Path("/usr/bin/gio").exists(), reason="gio isn't installed; make test-deps installs it")
def test_glib_starts_the_tray_as_it_was_meant(tmp_path):
    folder = tmp_path / 'a b $HOME `id` "q" \\ 100% %f ü'
    folder.mkdir()
    program = folder / "dropscribe"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$0" "$XDG_STATE_HOME" "$@" > {shlex.quote(str(tmp_path))}/seen\n')
    program.chmod(0o755)
    entry = tmp_path / "tray.desktop"
    entry.write_text(render_autostart(a_spec(str(program), "--config", "/c $x %u.toml", XDG_STATE_HOME="/s $ %")))
    subprocess.run(["gio", "launch", str(entry)], check=True, capture_output=True, timeout=30)
    assert (tmp_path / "seen").read_text() == f"{program}|/s $ %|--config|/c $x %u.toml|tray|"


def test_the_unit_is_restarted_only_when_it_changed(tmp_path):
    systemd = Systemd(tmp_path, execute=lambda _: Ran(0, "", ""))
    spec = a_spec()
    first = systemd.plan_install(spec)
    assert Command(("systemctl", "--user", "restart", "dropscribe.service")) in first
    apply(first, execute=lambda _: Ran(0, "", ""))
    again = systemd.plan_install(spec)
    assert Command(("systemctl", "--user", "start", "dropscribe.service")) in again
    no_tray = systemd.plan_install(a_spec(tray=False))
    assert FileChange(systemd.autostart, None) in no_tray
    apply(systemd.plan_uninstall(), execute=lambda _: Ran(1, "", "no manager"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_launchd_gets_argv_and_environment_as_they_are():
    spec = a_spec('/Users/Zoë & "Co" <x>/dropscribe', "--state-dir", "/a]]>b", XDG_CONFIG_HOME="/ü & <y>")
    text = render_daemon(spec)
    agent = plistlib.loads(text.encode())
    assert agent["Label"] == "app.dropscribe.daemon"
    assert agent["ProgramArguments"] == [
        "/opt/python", "-P", "-m", "service.os_service.supervisor",
        "--log", "/home/u/.local/state/dropscribe/dropscribe.log",
        "--", '/Users/Zoë & "Co" <x>/dropscribe', "--state-dir", "/a]]>b", "run",
    ]  # fmt: skip
    assert agent["EnvironmentVariables"] == {"XDG_CONFIG_HOME": "/ü & <y>"}
    assert agent["KeepAlive"] == {"SuccessfulExit": False}
    assert agent["RunAtLoad"] is True
    assert not was_edited(text.encode())
    tray = plistlib.loads(render_tray(spec).encode())
    assert tray["ProgramArguments"][-1] == "tray"
    assert "KeepAlive" not in tray, "an icon that was quit stays away"


def test_launchd_steps(tmp_path):
    asked = []

    def execute(argv):
        asked.append(" ".join(argv))
        said = '"app.dropscribe.daemon" => enabled' if "print-disabled" in argv else "\tstate = running\n\tpid = 42\n"
        return Ran(0, said, "")

    launchd = Launchd(tmp_path, 501, tmp_path / "log", execute=execute)
    apply(launchd.plan_install(a_spec()), execute=execute)
    assert asked == [
        "launchctl enable gui/501/app.dropscribe.daemon",
        "launchctl bootout gui/501/app.dropscribe.daemon",
        f"launchctl bootstrap gui/501 {tmp_path}/app.dropscribe.daemon.plist",
        "launchctl bootout gui/501/app.dropscribe.tray",
        f"launchctl bootstrap gui/501 {tmp_path}/app.dropscribe.tray.plist",
    ]
    state = launchd.state()
    assert (state.installed, state.running, state.at_login) == (True, True, True)
    assert (state.pid, state.detail) == (42, "running")
    apply(launchd.plan_uninstall(), execute=execute)
    assert list(tmp_path.iterdir()) == []
    assert launchd.plan_uninstall() == []


@given(st.lists(WORDS.filter(lambda word: "%" not in word and "$(" not in word), min_size=2))
def test_windows_tasks_fit_the_schema(words):
    text = render_task(tuple(words), user="HOME\\Zoë")
    task = etree.fromstring(text.encode("utf-16"))
    etree.XMLSchema(etree.parse(str(HERE / "task.xsd"))).assertValid(task)
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    assert task.findtext(".//t:Exec/t:Command", namespaces=space) == words[0]
    assert task.findtext(".//t:Exec/t:Arguments", namespaces=space) == subprocess.list2cmdline(words[1:])
    assert {user.text for user in task.findall(".//t:UserId", space)} == {"HOME\\Zoë"}


@pytest.mark.parametrize("path", ["C:\\%TEMP%\\dropscribe.exe", "C:\\$(Arg0)\\x"])
def test_what_windows_cannot_escape_is_refused(path):
    with pytest.raises(UsageError, match="Task Scheduler"):
        render_task((path, "run"), user="u")


def test_windows_steps_leave_no_file_behind(tmp_path):
    seen = []

    def execute(argv):
        if "/XML" in argv and "/Create" in argv:
            seen.append(etree.parse(argv[argv.index("/XML") + 1]).getroot().tag)
        return Ran(0, "", "")

    tasks = WindowsTasks("HOME\\me", tmp_path, tmp_path / "log", execute=execute)
    steps = tasks.plan_install(a_spec("C:\\Program Files\\dropscribe.exe"))
    apply(steps, execute=execute)
    assert seen == ["{http://schemas.microsoft.com/windows/2004/02/mit/task}Task"] * 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [("Running", 0, (True, True, True)), ("Disabled", 0, (True, False, False)), ("", 1, (False, False, False))],
)
def test_windows_state(tmp_path, said, status, expected):
    tasks = WindowsTasks("u", tmp_path, tmp_path / "log", execute=lambda _: Ran(status, said, ""))
    state = tasks.state()
    assert (state.installed, state.running, state.at_login) == expected


def test_control_characters_are_refused_at_once():
    with pytest.raises(UsageError, match="control character"):
        a_spec("/home/a\nExecStartPre=/bin/evil/dropscribe")


def test_a_template_without_a_value_is_an_error():
    assert fill("@{a} @system $x %h", a="1") == "1 @system $x %h"
    with pytest.raises(KeyError):
        fill("@{b}", a="1")
