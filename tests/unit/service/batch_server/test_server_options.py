import inspect
from pathlib import Path

import pytest

from service.batch_server import CLOUD_LIMITS, Limits, ServerSettings, options
from service.cli.serve import serve


def parsed(*line):
    values = vars(options.parser("server", "").parse_args(["--data-dir", "jobs", *line]))
    return options.settings(values, key="k")


def test_without_options_the_settings_have_their_own_defaults():
    assert parsed() == ServerSettings(data_dir=Path("jobs"), key="k")


def test_every_option_reaches_its_setting():
    found = parsed(
        *("--host", "::1", "--port", "1", "--tls-cert", "c", "--tls-key", "k", "--exit-with-parent"),
        *("--model", "base", "--threads", "2", "--workers", "3", "--cluster", "tcp://a:1", "--idle-release", "4"),
        *("--preload", "--retention", "5", "--limits", "cloud", "--max-seconds", "6", "--max-unfinished", "7"),
        *("--max-upload", "8", "--allow-fetch", "--allow-notify", "--allow-host", "a", "--allow-host", "b:1"),
    )
    limits = Limits(
        upload_bytes=8,
        audio_seconds=6,
        concurrent_jobs=7,
        posts_per_second=CLOUD_LIMITS.posts_per_second,
        gets_per_second=CLOUD_LIMITS.gets_per_second,
    )
    assert found == ServerSettings(
        data_dir=Path("jobs"),
        host="::1",
        port=1,
        tls_cert=Path("c"),
        tls_key=Path("k"),
        key="k",
        model="base",
        threads=2,
        workers=3,
        idle_release=4,
        retention=5,
        limits=limits,
        cluster="tcp://a:1",
        allow_fetch=True,
        allow_notify=True,
        allow_host=("a", "b:1"),
        exit_with_parent=True,
        preload=True,
    )


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (["--port", "65536"], "--port"),
        (["--workers", "0"], "--workers"),
        (["--threads", "-1"], "--threads"),
        (["--max-upload", "0"], "--max-upload"),
        (["--retention", "nan"], "--retention"),
        (["--idle-release", "inf"], "--idle-release"),
        (["--tls-cert", "c"], "--tls-key"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(line, named):
    with pytest.raises(ValueError, match=named):
        parsed(*line)


def test_the_command_offers_every_option_but_those_for_parents():
    offered = set(inspect.signature(serve).parameters)
    assert offered == {"context", "key"} | {option.name for option in options.OPTIONS if not option.setting.for_parents}


def test_the_documentation_lists_every_option_of_the_command():
    rows = []
    for parameter in inspect.signature(serve).parameters.values():
        if parameter.name == "context":
            continue
        (shown,) = parameter.annotation.__metadata__
        flag = " ".join(filter(None, ("--" + parameter.name.replace("_", "-"), shown.metavar)))
        default = shown.show_default if isinstance(shown.show_default, str) else parameter.default or ""
        rows.append(f"| `{flag}` | {shown.help} | {default} |")
    page = (Path(__file__).parents[4] / "docs" / "local-server.md").read_text(encoding="utf-8")
    table = "\n".join(rows)
    assert table in page, f"docs/local-server.md lacks this table of options:\n{table}"
