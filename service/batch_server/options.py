"""The command-line options of a server, made from its settings, for every command that starts one."""

import argparse
import math
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from service.batch_server.settings import PRESETS, Limits, ServerSettings, Setting


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option.

    Attributes:
        name: Its name in code, ``data_dir`` for ``--data-dir``.
        kind: Type of its value; ``bool`` for one without a value.
        default: The value without it.
        repeatable: Whether it may be given several times.
        setting: What it does, and which values are possible.
    """

    name: str
    kind: type
    default: Any
    repeatable: bool
    setting: Setting

    @property
    def flag(self) -> str:
        """The option as it is written on a command line."""
        return "--" + self.name.replace("_", "-")


def _options(settings: type[msgspec.Struct], *, preset: bool = False) -> Iterator[Option]:
    """Yield an option for each described field; with ``preset``, their defaults are chosen by another option."""
    for field in msgspec.structs.fields(settings):
        if get_origin(field.type) is not Annotated:
            continue
        declared, setting = get_args(field.type)
        if declared is Limits:
            yield Option(name=field.name, kind=str, default=next(iter(PRESETS)), repeatable=False, setting=setting)
            yield from _options(Limits, preset=True)
            continue
        repeatable = get_origin(declared) is tuple
        is_optional = get_origin(declared) in (Union, types.UnionType)
        kind = get_args(declared)[0] if repeatable or is_optional else declared
        default = None if preset or repeatable or field.default is msgspec.NODEFAULT else field.default
        yield Option(
            name=setting.option or field.name, kind=kind, default=default, repeatable=repeatable, setting=setting
        )


OPTIONS: Final = tuple(_options(ServerSettings))
"""All options, in the order in which ``--help`` shows them."""


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Build a parser for all options."""
    built = argparse.ArgumentParser(prog=program, description=description)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in OPTIONS:
        setting = option.setting
        if setting.group not in groups:
            groups[setting.group] = built.add_argument_group(setting.group)
        text = (
            setting.help
            if option.default is None or option.default is False
            else f"{setting.help} [default: {option.default}]"
        )
        how: dict[str, Any] = {"help": text, "default": option.default}
        if option.kind is bool:
            how["action"] = "store_true"
        else:
            how |= {"type": option.kind, "metavar": setting.metavar, "choices": setting.choices or None}
            how["action"] = "append" if option.repeatable else "store"
        groups[setting.group].add_argument(option.flag, **how)
    return built


def settings(values: Mapping[str, Any], *, key: str | None) -> ServerSettings:
    """Build a server's settings.

    Args:
        values: The values of all options, by name.
        key: The key that clients must send.

    Raises:
        ValueError: If a value is out of range, or options contradict each other.
    """
    for option in OPTIONS:
        _check(option, values[option.name])
    if values["data_dir"] is None:
        raise ValueError("--data-dir is required: the folder for jobs and audio")
    if (values["tls_cert"] is None) != (values["tls_key"] is None):
        raise ValueError("--tls-cert and --tls-key belong together; give both or none")
    own = {field.name: values[field.name] for field in msgspec.structs.fields(ServerSettings) if field.name in values}
    own |= {"limits": _limits(values), "allow_host": tuple(values["allow_host"] or ())}
    return ServerSettings(**own, key=key)


def _check(option: Option, value: Any) -> None:  # noqa: ANN401 - of the option's kind
    least, most = option.setting.least, option.setting.most
    if value is None or option.kind not in (int, float):
        return
    if not math.isfinite(value) or (least is not None and value < least) or (most is not None and value > most):
        bounds = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise ValueError(f"{option.flag} must be a number, {bounds}; got {value}")


def _limits(values: Mapping[str, Any]) -> Limits:
    """Return the chosen preset with the limits that were given."""
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(Limits):
        if get_origin(field.type) is Annotated:
            given[field.name] = values[get_args(field.type)[1].option]
    preset = PRESETS[values["limits"]]
    return msgspec.structs.replace(preset, **{name: value for name, value in given.items() if value is not None})
