import os

import keyring
import keyring.backend
import keyring.errors
import pytest

from service.engines import credentials
from watcher.config import SpeechmaticsConfig
from watcher.errors import ConfigError

URL = "https://eu1.example/v2"
CONFIG = SpeechmaticsConfig(url=URL)


class MemoryKeyring(keyring.backend.KeyringBackend):
    priority = 1

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        if (service, username) not in self.kept:
            raise keyring.errors.PasswordDeleteError
        del self.kept[service, username]


class LockedKeyring(MemoryKeyring):
    def get_password(self, service, username):
        raise keyring.errors.KeyringLocked("locked")

    def set_password(self, service, username, password):
        raise keyring.errors.KeyringLocked("locked")

    def delete_password(self, service, username):
        raise keyring.errors.KeyringLocked("locked")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", credentials.ENVIRONMENT):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def use():
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_a_key_is_kept_found_and_forgotten(use):
    use(MemoryKeyring())
    assert credentials.find_key(CONFIG) is None
    credentials.keep("secret", URL)
    assert credentials.find_key(CONFIG) == "secret"
    assert credentials.find_key(SpeechmaticsConfig(url="https://us1.example/v2")) is None, "a key is for one address"
    assert credentials.forget(URL) == ["your keyring"]
    assert credentials.find_key(CONFIG) is None


def test_without_a_keyring_a_file_is_offered_and_nothing_is_kept(use):
    use(LockedKeyring())
    with pytest.raises(credentials.KeyringLocked, match=r"locked\..*dropscribe resume"):
        credentials.find_key(CONFIG)
    with pytest.raises(credentials.KeyringUnavailable, match="--file"):
        credentials.keep("secret", URL)
    file = credentials.write_key_file("secret")
    assert file.stat().st_mode & 0o777 == 0o600
    assert credentials.find_key(CONFIG) == "secret"
    assert credentials.forget(URL) == [str(file)]
    assert not file.exists()


def test_the_environment_wins_then_the_named_file(use, tmp_path, monkeypatch):
    use(MemoryKeyring())
    credentials.keep("kept", URL)
    file = tmp_path / "key"
    file.write_text("named\n")
    file.chmod(0o600)
    named = SpeechmaticsConfig(url=URL, api_key_file=str(file))
    assert credentials.find_key(named) == "named"
    monkeypatch.setenv(credentials.ENVIRONMENT, " env ")
    assert credentials.find_key(named) == "env"


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX'")
def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    file = tmp_path / "key"
    file.write_text("named")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        credentials.find_key(SpeechmaticsConfig(url=URL, api_key_file=str(file)))
    assert "named" not in str(caught.value)


@pytest.mark.parametrize("content", [None, ""])
def test_a_missing_or_empty_key_file_is_named(tmp_path, content):
    file = tmp_path / "key"
    if content is not None:
        file.touch(mode=0o600)
    with pytest.raises(ConfigError) as caught:
        credentials.find_key(SpeechmaticsConfig(url=URL, api_key_file=str(file)))
    assert str(file) in str(caught.value)
