"""Help that reads like a man page: examples, exit statuses and what to see next, below the options of a command.

A command's docstring says what it is for; `manual` adds the rest. A test checks every command's examples with the
parser. Help is plain text: it is faster to print than boxes, easier to search, and works
with screen readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["Command", "Group", "LazyGroup", "Manual", "manual", "new_group"]

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE = "__manual__"
_DONE = {0: "Success.", 2: "Wrong usage; nothing was done."}


class Formatter(Protocol):
    """What is used of the parser's help formatter."""

    current_indent: int

    def section(self, name: str) -> AbstractContextManager[None]:
        """Begin a section."""

    def write(self, string: str) -> None:
        """Write as it is."""

    def write_text(self, text: str) -> None:
        """Write a paragraph, wrapped."""

    def write_dl(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write a table of two columns."""

    def indentation(self) -> AbstractContextManager[None]:
        """Write further in."""


@dataclass(frozen=True, slots=True)
class Manual:
    """What a command's help says beside its docstring, arguments and options.

    Attributes:
        examples: command lines and what each does.
        exits: what an exit status means.
        files: files it reads or writes, and what for.
        environment: variables that it reads.
        see: related commands without the leading `dropscribe`.
    """

    examples: tuple[tuple[str, str], ...]
    exits: Mapping[int, str]
    files: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    see: tuple[str, ...] = ()

    def write(self, formatter: Formatter) -> None:
        """Add the sections to a help text."""
        lists = {"Examples": self.examples, "Files": self.files.items(), "Environment": self.environment.items()}
        for title, rows in lists.items():
            if rows:
                with formatter.section(title):
                    for term, meaning in rows:
                        formatter.write(f"{'':{formatter.current_indent}}{term}\n")  # wrapped, it could not be copied
                        with formatter.indentation():
                            formatter.write_text(meaning)
        with formatter.section("Exit status"):
            formatter.write_dl([(str(number), meaning) for number, meaning in sorted(self.exits.items())])
        if self.see:
            with formatter.section("See also"):
                formatter.write_text(", ".join(f"dropscribe {name}" for name in self.see))


def manual(
    *examples: tuple[str, str],
    exits: Mapping[int, str] | None = None,
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    see: tuple[str, ...] = (),
) -> Callable[[F], F]:
    """Add sections to a command's help; see `Manual`. Statuses 0 and 2 mean the same for every command."""

    def keep(function: F) -> F:
        told = Manual(examples, {**_DONE, **(exits or {})}, files or {}, environment or {}, see)
        setattr(function, _ATTRIBUTE, told)
        return function

    return keep


class _Explained:
    """Writes a command's manual below its options."""

    callback: Callable[..., Any] | None
    get_params: Callable[[Any], list[Any]]

    @property
    def manual(self) -> Manual | None:
        """What `manual` added to it."""
        return getattr(self.callback, _ATTRIBUTE, None)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - the parser's own
        """Name the arguments as man pages do: FILE, not {FILE}."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc] # of the parser's class beside it
        return [piece.removeprefix("{").removesuffix("}") for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - the parser's own
        """Write arguments and options, each group of options (`rich_help_panel`) below its title."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(row)
        general = sections.pop("Options")
        for title, rows in {**sections, "Options": general}.items():
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002 - the parser's own
        """Write the manual; called by the parser after the options."""
        if self.manual is not None:
            self.manual.write(formatter)


class Command(_Explained, TyperCommand):
    """A command with a manual."""


class Group(_Explained, TyperGroup):
    """A command that has commands, with a manual."""

    command_class = Command

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - the parser's own
        """Write options, then commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


class LazyGroup(Group):
    """A group that imports a command only when that is called, or when all are listed."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - the parser's own
        super().__init__(**attributes)
        self.commands: MutableMapping[str, Any] = _Commands(self.places)

    places: Mapping[str, str] = {}
    """Where each command is: `module:function`, or `module:app` for a group."""

    headings: Mapping[str, str] = {}
    """Headings for the list of commands, each by the first command below it."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - the parser's own
        """List the commands below their headings."""
        names = self.list_commands(ctx)
        width = max(map(len, names))
        sections: dict[str, list[tuple[str, str]]] = {}
        heading = "Commands"
        for name in names:
            heading = self.headings.get(name, heading)
            row = (name.ljust(width), self.commands[name].get_short_help_str(formatter.width))
            sections.setdefault(heading, []).append(row)
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002 - the parser's own
        """Name all commands without importing any."""
        return list(self.places)


class _Commands(MutableMapping[str, Any]):
    """Commands by name, imported when they are asked for."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - the parser's own
        if name not in self._found:
            module, _, attribute = self._places[name].partition(":")
            self._found[name] = _build(name, getattr(import_module(module), attribute))
        return self._found[name]

    def __setitem__(self, name: str, command: Any) -> None:  # noqa: ANN401 - same
        self._places[name], self._found[name] = "", command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._found.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _build(name: str, what: Any) -> Any:  # noqa: ANN401 - a function or a Typer
    app = what
    if not isinstance(app, typer.Typer):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, cls=Command)(what)
    command = typer.main.get_command(app)
    command.name = name
    return command


def new_group(**settings: Any) -> typer.Typer:  # noqa: ANN401 - Typer's own
    """Make a group of commands whose help is plain text; `@group.command(NAME, cls=Command)` adds one."""
    defaults: dict[str, Any] = {"no_args_is_help": True, "add_completion": False, "cls": Group}
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, **(defaults | settings))
