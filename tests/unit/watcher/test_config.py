import os
import tomllib
from pathlib import Path

import msgspec
import pytest

from watcher.config import Config, FolderConfig, load_config, parse_config
from watcher.errors import ConfigError
from watcher.models import Engine, OutputFormat

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"


def uncommented(text: str) -> str:
    """The example with its commented-out keys in force."""
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        is_key = line.startswith("# ") and "=" in bare and bare.split("=")[0].strip().isidentifier()
        lines.append(bare if is_key else line)
    return "\n".join(lines)


def test_the_example_loads_and_says_the_defaults():
    config = parse_config(EXAMPLE.read_text(encoding="utf-8"), file=EXAMPLE)
    assert msgspec.structs.replace(config, folders=()) == Config()
    assert config.folders == (FolderConfig(path="~/Recordings"),)


def test_the_example_names_every_key():
    text = uncommented(EXAMPLE.read_text(encoding="utf-8"))
    parse_config(text, file=EXAMPLE)
    raw = tomllib.loads(text)
    tables = {(): Config, ("folders",): FolderConfig}
    for field in msgspec.structs.fields(Config):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            tables[(field.name,)] = field.type
    for path, model in tables.items():
        table = raw
        for key in path:
            table = table[key][0] if key == "folders" else table[key]
        assert set(table) == set(model.__struct_fields__), path


def test_every_line_of_the_example_that_sets_a_key_says_why():
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if "=" in line.split("#")[0] and not line.startswith(("#", "[")):
            assert "#" in line, line


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('engine = "locl"', 1, "local, speechmatics"),
        ("[speechmatics]\nmax_uploads = 0", 2, "max_uploads"),
        ('[[folders]]\npath = "/a"\n\n[[folders]]\npath = "/b"\nrecursiv = true', 6, "Did you mean 'recursive'?"),
        ('[[folders]]\npath = "/a"\nformats = ["txt", "pdf"]', 3, "pdf"),
        ('[[folders]]\npath = "/a"\nformats = []', 3, "empty"),
        ('[[folders]]\npath = "/a"\nafter = "burn"', 3, "burn"),
        ('[[folders]]\npath = "/a"\nwebhook = "ftp://x"', 3, "http"),
        ('[[folders]]\npath = "Recordings"', 2, "relative"),
        ('state_dir = "state"', 1, "relative"),
        ("engine = ", 1, "TOML"),
        ("engine = 'locall'", 1, "Did you mean 'local'?"),
        ('[folders]\npath = "/a"', 1, "[[folders]] in double brackets"),
        ('[folders]\npath = "/a"\n[folders]\npath = "/b"', 3, "[[folders]], in two brackets"),
        ('\n[[folder]]\npath = "/a"', 2, "Did you mean 'folders'?"),
        ("\n[speechmatic.x]\ny = 1", 2, "Did you mean 'speechmatics'?"),
        ("[local]\nthreads = 2.5", 2, "a whole number, got 2.5"),
        ('engine = "local"\n[[local]]\nthreads = 1', 2, "[local] in single brackets"),
        ('[[folders]]\npath = "/a"\nmodel = "small"', 3, "'model' belongs to [local]"),
        ("[local]\nrescan = 5", 2, "'rescan' belongs to the top"),
        ('language = "de"', 1, "'language' belongs to [transcription]"),
        ("[local]\nlangauge = 'de'", 2, "Did you mean 'language', which belongs to [transcription]"),
        ("[[folders]]\npath = '$HOME/a'", 2, "Variables are not replaced"),
        ("[[folders]]\npath = '~nobody-of-this-name/a'", 2, "no user 'nobody-of-this-name'"),
        ("[[folders]]\npath = '/a'\nformats = 'txt'", 3, 'formats = ["txt"]'),
        ("[[folders]]\npath = '/a'\nsettle = 2024-01-01", 3, "a number, got a date. Write, for example: settle = 2.0"),
        ("rescan = nan", 1, "rescan"),
        ("[[folders]]\npath = '/a'\nsettle = -1", 3, "0.0 or more"),
        ("[speechmatics]\nmax_uploads = '4'", 2, "max_uploads = 4"),
        ("# a\u0085b\u2028c\r\nengine = 'x'\r\n", 2, "local, speechmatics"),
        ("[dashboard]\nport = 70000", 2, "port"),
        ("[transcription]\nlanguage = 5", 2, "language"),
        ("[[folders]]\nsettle = 1", 1, "path"),
        ("colour = 1", 1, "colour"),
    ],
)
def test_a_mistake_is_named_with_its_line(text, line, says):
    with pytest.raises(ConfigError) as caught:
        parse_config(text, file="config.toml")
    assert f"config.toml, line {line}:" in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.exit_status == 78


def test_a_folder_inherits_what_it_does_not_set():
    config = parse_config(
        """
        engine = "speechmatics"
        [transcription]
        language = "de"
        domain = "finance"
        [[folders]]
        path = "~/a"
        engine = "local"
        formats = ["srt"]
        output = "out"
        [folders.transcription]
        language = "fr"
        [[folders]]
        path = "/b"
        """
    )
    first, second = config.watch_folders()
    assert first.path == Path("~/a").expanduser()
    assert first.engine is Engine.LOCAL
    assert first.transcription == {"language": "fr", "domain": "finance"}
    assert first.formats == (OutputFormat.SRT,)
    assert first.output == first.path / "out"
    assert second.engine is Engine.SPEECHMATICS
    assert second.transcription == {"language": "de", "domain": "finance"}


def test_folders_d_adds_folders_and_nothing_else(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('engine = "speechmatics"\n')
    (tmp_path / "folders.d").mkdir()
    (tmp_path / "folders.d" / "one.toml").write_text('[[folders]]\npath = "/one"\n')
    assert [folder.path for folder in load_config(file).folders] == ["/one"]
    (tmp_path / "folders.d" / "two.toml").write_text('engine = "local"\nrescan = 1\n')
    with pytest.raises(ConfigError, match=r"two\.toml"):
        load_config(file)


def test_a_folder_named_twice_is_refused(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[[folders]]\npath = "/one"\n[[folders]]\npath = "/one/../one"\n')
    with pytest.raises(ConfigError, match=r"line 4: .* named twice, first in .*config\.toml, line 2\."):
        load_config(file)


def test_a_folder_named_in_two_files_is_refused_with_both_places(tmp_path):
    file = tmp_path / "config.toml"
    file.write_text('[[folders]]\npath = "/one"\n')
    (tmp_path / "folders.d").mkdir()
    (tmp_path / "folders.d" / "more.toml").write_text('\n[[folders]]\npath = "/one"\n')
    with pytest.raises(ConfigError, match=r"more\.toml, line 3: .* first in .*config\.toml, line 2\."):
        load_config(file)


def test_addresses_without_a_scheme_are_completed():
    config = parse_config('[speechmatics]\nurl = "box:9000"\n[[folders]]\npath = "/a"\nwebhook = "example.com/x"\n')
    assert config.speechmatics.url == "http://box:9000"
    assert config.folders[0].webhook == "https://example.com/x"


def test_settings_that_only_a_newer_service_knows_still_load():
    config = parse_config('[transcription]\nlanguage = "en"\nsparkle = 1\nmodel = "oak-9"\n')
    assert config.transcription == {"language": "en", "sparkle": 1, "model": "oak-9"}


def test_a_missing_config_is_an_error_only_if_it_was_named(tmp_path):
    assert load_config(tmp_path / "none.toml", required=False) == Config()
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"engine = 'local'\nstate_dir = '\xff'", r"line 2: .*not UTF-8: the byte 0xff would be 'ÿ'"),
        ('engine = "local"'.encode("utf-16"), "UTF-16"),
        ('engine = "local"'.encode("utf-16-be"), "UTF-16"),
        (b"# " + bytes(2 << 20), "larger than 1 MiB"),
    ],
)
def test_text_that_is_not_utf8_is_refused_with_its_encoding(tmp_path, content, says):
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        load_config(file)


def test_a_byte_order_mark_and_line_ends_of_windows_are_fine(tmp_path):
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbfengine\t=\t'speechmatics'\r\nrescan = 5\r\n")
    assert load_config(file) == Config(engine=Engine.SPEECHMATICS, rescan=5.0)


@pytest.mark.parametrize(("make", "says"), [(Path.mkdir, "a folder"), (os.mkfifo, "a pipe")])
def test_what_is_no_file_is_refused_at_once(tmp_path, make, says):
    file = tmp_path / "config.toml"
    make(file)
    with pytest.raises(ConfigError, match=says):
        load_config(file)


def test_a_rescan_without_a_rest_between_is_refused():
    with pytest.raises(ConfigError, match="line 2: 'rescan'"):
        parse_config('engine = "local"\nrescan = 0\n')
