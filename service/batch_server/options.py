"""The options of a server's command line, defined once for every command that starts one."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from service.batch_server.settings import CLOUD_LIMITS, Limits, ServerSettings

_LISTENING: Final = "Where it listens"
_RECOGNITION: Final = "Recognition"
_JOBS: Final = "Jobs and limits"
_OTHERS: Final = "Calls to other servers"


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One option.

    Attributes:
        flag: As it is written, ``--data-dir``.
        kind: Type of its value; ``bool`` for one without a value.
        default: The value without it.
        help: What it does.
        group: Under which heading ``--help`` shows it.
        metavar: What stands for its value in ``--help``.
        choices: The values that are possible, if they are few.
        least: The smallest number that is possible.
        most: The largest number that is possible.
        repeatable: Whether it may be given several times.
        for_parents: Whether it is only of use to a program that starts the server as its child.
    """

    flag: str
    kind: type
    default: Any = None
    help: str
    group: str
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    repeatable: bool = False
    for_parents: bool = False

    @property
    def name(self) -> str:
        """The option's name in code."""
        return self.flag.removeprefix("--").replace("-", "_")


def _option(group: str, flag: str, kind: type, text: str, **more: Any) -> Option:  # noqa: ANN401 - Option's
    default = more.pop("default", False if kind is bool else None)
    return Option(flag=flag, kind=kind, default=default, help=text, group=group, **more)


OPTIONS: Final = (
    _option(_LISTENING, "--host", str, "Listen on this address; 0.0.0.0 or :: lets other machines in.",
            default="127.0.0.1", metavar="H"),
    _option(_LISTENING, "--port", int, "Listen on this port; 0: any free one.", default=0, metavar="P",
            least=0, most=65535),
    _option(_LISTENING, "--tls-cert", Path, "Serve https with this certificate (PEM, with its chain).", metavar="FILE"),
    _option(_LISTENING, "--tls-key", Path, "The certificate's private key (PEM).", metavar="FILE"),
    _option(_LISTENING, "--exit-with-parent", bool, "Stop when standard input is closed.", for_parents=True),
    _option(_RECOGNITION, "--model", str,
            "tiny.en (comes with the program, English), another faster-whisper model (base, small, large-v3 …; "
            "downloaded once), or a folder with one.", default="tiny.en", metavar="M"),
    _option(_RECOGNITION, "--threads", int, "Cores per worker process; 0: all.", default=0, metavar="N", least=0),
    _option(_RECOGNITION, "--workers", int, "Recognise so many recordings at a time.", default=1, metavar="N", least=1),
    _option(_RECOGNITION, "--cluster", str,
            "Recognise on the workers of this Dask scheduler; they must see --data-dir under the same path.",
            metavar="tcp://HOST:PORT"),
    _option(_RECOGNITION, "--idle-release", float, "Let the model go after so many seconds without work.",
            default=60.0, metavar="S", least=0),
    _option(_RECOGNITION, "--preload", bool, "Load the model at the start, not with the first job."),
    _option(_JOBS, "--data-dir", Path,
            "Keep jobs, audio and transcripts here; the next start goes on with them.", metavar="DIR"),
    _option(_JOBS, "--retention", float,
            "Seconds after which a finished job expires and its transcript is removed (604800 are 7 days).",
            default=7 * 86_400.0, metavar="S", least=0),
    _option(_JOBS, "--limits", str,
            "cloud: answer 429 and 413 where the cloud would (10 POST/s, 50 GET/s, 20,000 unfinished jobs, 1 GB).",
            default="none", choices=("none", "cloud")),
    _option(_JOBS, "--max-upload", int, "Largest recording, in bytes.", metavar="BYTES", least=1),
    _option(_JOBS, "--max-seconds", float, "Longest recording, in seconds.", metavar="S", least=0),
    _option(_JOBS, "--max-unfinished", int, "Unfinished jobs that a key may have at once.", metavar="N", least=1),
    _option(_OTHERS, "--allow-fetch", bool, "Honour fetch_data: get audio from public addresses."),
    _option(_OTHERS, "--allow-notify", bool, "Honour notification_config: tell public addresses."),
    _option(_OTHERS, "--allow-host", str,
            "A host that may be called although its address isn't public; may be repeated.",
            metavar="HOST[:PORT]", repeatable=True),
)  # fmt: skip
"""All options, in the order in which help shows them."""


def parser(program: str, description: str) -> argparse.ArgumentParser:
    """Build a parser that knows all options."""
    built = argparse.ArgumentParser(prog=program, description=description)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in OPTIONS:
        if option.group not in groups:
            groups[option.group] = built.add_argument_group(option.group)
        how: dict[str, Any] = {"help": option.help, "default": option.default}
        if option.kind is bool:
            how["action"] = "store_true"
        else:
            how |= {"type": option.kind, "metavar": option.metavar, "choices": option.choices or None}
            how["action"] = "append" if option.repeatable else "store"
        groups[option.group].add_argument(option.flag, **how)
    return built


def settings(values: Mapping[str, Any], *, key: str | None) -> ServerSettings:
    """Build a server's settings from the options' values, by their names.

    Args:
        values: All of them, as parsed.
        key: The key that clients must send, which is not an option: a command line can be read by every user.

    Raises:
        ValueError: If a value is out of its range, or options contradict each other.
    """
    for option in OPTIONS:
        _check(option, values[option.name])
    if values["data_dir"] is None:
        raise ValueError("--data-dir says where jobs and audio are kept; it is needed")
    if (values["tls_cert"] is None) != (values["tls_key"] is None):
        raise ValueError("--tls-cert and --tls-key belong together; give both or none")
    return ServerSettings(
        data_dir=values["data_dir"],
        host=values["host"],
        port=values["port"],
        tls=(values["tls_cert"], values["tls_key"]) if values["tls_cert"] is not None else None,
        key=key,
        model=values["model"],
        threads=values["threads"],
        workers=values["workers"],
        cluster=values["cluster"],
        idle_release=values["idle_release"],
        retention=values["retention"],
        limits=_limits(values),
        fetching=values["allow_fetch"],
        notifying=values["allow_notify"],
        allowed_hosts=tuple(values["allow_host"] or ()),
        exit_with_parent=values["exit_with_parent"],
        preload=values["preload"],
    )


def _check(option: Option, value: Any) -> None:  # noqa: ANN401 - of the option's kind
    if value is None or option.kind not in (int, float):
        return
    if (option.least is not None and value < option.least) or (option.most is not None and value > option.most):
        bounds = f"at least {option.least}" if option.most is None else f"from {option.least} to {option.most}"
        raise ValueError(f"{option.flag} is {bounds}, not {value}")


def _limits(values: Mapping[str, Any]) -> Limits:
    own = {
        "upload_bytes": values["max_upload"],
        "audio_seconds": values["max_seconds"],
        "concurrent_jobs": values["max_unfinished"],
    }
    preset = CLOUD_LIMITS if values["limits"] == "cloud" else Limits()
    return msgspec.structs.replace(preset, **{name: value for name, value in own.items() if value is not None})
