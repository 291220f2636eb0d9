"""`dropscribe serve`: runs the Speechmatics-compatible server on its own."""

from __future__ import annotations

import inspect
import os
import secrets
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from service.batch_server import KEY_VARIABLE
from service.batch_server.options import OPTIONS, Option
from service.batch_server.options import settings as settings_from
from service.cli.console import say
from service.cli.help import manual
from service.cli.settings import settings_of
from watcher.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from service.batch_server import ServerSettings
    from service.cli.settings import Settings

__all__ = ["serve"]

PORT = 8585
# Options whose default comes from the config: the option, and the key of `[local]`.
_CONFIGURED = {"model": "model", "threads": "threads", "idle_release": "idle_release"}


@manual(
    ("dropscribe serve", "For programs on this machine; prints the address and the key."),
    ("dropscribe serve --port 0 --model base.en", "On any free port, with a larger model."),
    exits={1: "The address can't be used; or, with --preload, the model.", 78: "The config can't be used."},
    environment={KEY_VARIABLE: "The key that clients must send."},
    see=("run", "transcribe"),
)
def serve(context: typer.Context, **values: Any) -> int:  # noqa: ANN401 - as OPTIONS say
    """Serve the Speechmatics Batch API on local Whisper.

    Programs written for Speechmatics work with it: give them the address and the key that are printed. Clients send the
    key as `Authorization: Bearer KEY`. If you don't choose a key, one is generated and reused at the next start. Logs
    go to standard error.
    """
    from service.batch_server import serve as run_server  # noqa: PLC0415 - `--help` stays quick

    settings = settings_of(context)
    given = values.pop("key") or os.environ.get(KEY_VARIABLE)
    for name, configured in _CONFIGURED.items():
        if values[name] is None:
            values[name] = getattr(settings.config.local, configured)
    data_dir = values["data_dir"] = values["data_dir"] or _default_data_dir(settings)
    defaults = {option.name: option.default for option in OPTIONS}
    try:
        key = given or _kept_key(data_dir)
        server = settings_from({**defaults, **values}, key=key)
    except ValueError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(
            f"{data_dir} can't be used: {error.strerror or error}.", fix="Choose another: --data-dir"
        ) from None

    def announce(url: str) -> None:
        say(_welcome(url, server, None if given else key))

    return run_server(server, announce=announce)


def _parameter(option: Option) -> inspect.Parameter:
    """Describe an option for Typer."""
    setting = option.setting
    kind: Any = option.kind
    default = PORT if option.name == "port" else option.default
    how: dict[str, Any] = {"help": setting.help, "rich_help_panel": setting.group, "metavar": setting.metavar}
    if setting.choices:
        kind = Literal[setting.choices]
    if option.kind in {int, float}:
        how |= {"min": setting.least, "max": setting.most}
    if option.name in _CONFIGURED:
        default, how["show_default"] = None, f"[local] {_CONFIGURED[option.name]} of the config"
    if option.name == "data_dir":
        how["show_default"] = "server, in the state folder"
    if option.repeatable:
        kind = list[kind]
    if default is None:
        kind = kind | None
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, typer.Option(option.flag, **how)],
    )


_KEY = inspect.Parameter(
    "key",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            "--key",
            metavar="K",
            help=f"The key that clients must send. {KEY_VARIABLE} is safer: all users of this machine can read command "
            "lines.",
            rich_help_panel=OPTIONS[0].setting.group,
        ),
    ],
)
serve.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # Typer reads it
    [
        inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context),
        _KEY,
        *(_parameter(option) for option in OPTIONS if not option.setting.for_parents),
    ]
)


def _default_data_dir(settings: Settings) -> Path:
    return settings.paths.root / "server"


def _kept_key(data_dir: Path) -> str:
    """Return the key of the last start, or generate one; only this user can read the file."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data_dir / "key"
    try:
        kept = path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        kept = ""
    if kept:
        return kept
    made = secrets.token_urlsafe(24)
    partial = path.with_name("key.partial")  # a kill or a full disk must not leave half a key, which is easy to guess
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(made + "\n")
    partial.replace(path)
    return made


def _welcome(url: str, server: ServerSettings, made_key: str | None) -> str:
    """Format what a client needs to connect."""
    from service.batch_server.api.auth import is_loopback  # noqa: PLC0415 - `--help` stays quick

    key = made_key or f"${KEY_VARIABLE}"
    where = f"{made_key}   (stored in {server.data_dir / 'key'})" if made_key else "the one you chose"
    lines = [
        f"Serving the Speechmatics Batch API at {url}",
        f"Model: {server.model}",
        f"Key: {where}",
        "",
        "Try it:",
        f'  curl -H "Authorization: Bearer {key}" -F data_file=@recording.mp3 \\',
        """       -F 'config={"type": "transcription", "transcription_config": {"language": "en"}}' \\""",
        f"       '{url}/jobs?wait=60&format=txt'",
        "The official SDK, speechmatics-batch, reads both from the environment:",
        f'  export SPEECHMATICS_API_KEY="{key}" SPEECHMATICS_BATCH_URL={url}',
    ]
    if server.tls is None and not is_loopback(server.host):
        lines += [
            "",
            "Warning: recordings and key are sent unencrypted; others on the network can read them. Use --tls-cert.",
        ]
    return "\n".join([*lines, "", "Press Ctrl-C to stop."])
