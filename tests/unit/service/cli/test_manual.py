"""Every command's help: complete, true and quick to come by."""

import shlex
import subprocess
import sys

import pytest
import typer

from service.cli.app import app
from service.cli.help import Group

ROOT = typer.main.get_command(app)


def walk(command=ROOT, path=()):
    """Every command with the words that call it."""
    yield path, command
    if isinstance(command, Group):
        for name in command.list_commands(None):
            yield from walk(command.commands[name], (*path, name))


COMMANDS = dict(walk())
IDS = [" ".join(path) or "dropscribe" for path in COMMANDS]
every_command = pytest.mark.parametrize("path", COMMANDS, ids=IDS)


def context_of(path):
    """A command's context, as when it is called."""
    context = typer.Context(ROOT, info_name="dropscribe", **ROOT.context_settings)
    for depth in range(len(path)):
        context = typer.Context(COMMANDS[path[: depth + 1]], info_name=path[depth], parent=context)
    return context


def help_of(path):
    return COMMANDS[path].get_help(context_of(path))


def test_all_commands_were_walked():
    assert {("status",), ("folders", "add"), ("service", "install"), ("config", "check"), ("tray",)} <= set(COMMANDS)


@every_command
def test_help_says_what_it_is_for_its_options_examples_and_exit_statuses(path):
    text = help_of(path)
    usage, _, rest = text.partition("\n\n  ")
    assert usage.startswith(" ".join(("Usage: dropscribe", *path)))
    assert rest[0].isupper(), "the docstring's first line is the summary"
    for section in ("Options:", "Examples:", "Exit status:", "See also:"):
        assert f"\n{section}\n" in text
    assert "<bool>" not in text
    assert "<int range>" not in text
    assert "..." not in text.replace("[ARGS]...", ""), "a summary is cut short"
    assert max(map(len, text.splitlines())) <= 80 or path == ()  # its files may be anywhere


@every_command
def test_every_argument_and_option_is_explained(path):
    for parameter in COMMANDS[path].params:
        assert getattr(parameter, "help", None), parameter.name


@every_command
def test_examples_are_command_lines_that_the_parser_takes(path):
    for line, meaning in COMMANDS[path].manual.examples:
        assert meaning.endswith((".", "?"))
        words = shlex.split(line.partition(" < ")[0].removesuffix(" &"))
        assert words.pop(0) == "dropscribe"
        command, context = ROOT, typer.Context(ROOT, info_name="dropscribe")
        while isinstance(command, Group) and words and not words[0].startswith("-"):
            name = words.pop(0)
            command = command.commands[name]
            context = typer.Context(command, info_name=name, parent=context)
        if words != ["--install-completion"]:  # it would
            command.make_context(context.info_name, words, parent=context.parent)
        if path:
            assert COMMANDS[path] is command or isinstance(COMMANDS[path], Group)


@every_command
def test_related_commands_exist(path):
    for name in COMMANDS[path].manual.see:
        assert tuple(name.removesuffix(" --help").split()) in COMMANDS
        assert tuple(name.split()) != path


def test_a_command_imports_only_what_it_needs():
    code = (
        "import sys; from service.cli import main; main(['--state-dir', '/nonexistent', 'status']);"
        "heavy = {'asyncio', 'rich', 'structlog', 'httpx', 'pydantic', 'starlette', 'sqlite3', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
