"""A locked keyring opens a dialog each time it is asked: it is asked ever more rarely, and the message says why."""

import itertools

import keyring
import keyring.backend
import keyring.errors
import pytest

from service.engines import credentials
from service.engines.accounts import CloudConnector
from watcher.config import Config, SpeechmaticsConfig
from watcher.scheduler.retry import StopAccount, decide
from watcher.speechmatics import ConfigurationError
from watcher.timings import RetryDelays

pytestmark = pytest.mark.anyio


class Keyring(keyring.backend.KeyringBackend):
    """Counts how often it is asked; locked until `key` is set."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.asked = 0
        self.key = None

    def get_password(self, service, username):
        self.asked += 1
        if self.key is None:
            raise keyring.errors.KeyringLocked("Failed to unlock the collection!")
        return self.key

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError


@pytest.fixture
def locked(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", credentials.ENVIRONMENT):
        monkeypatch.delenv(name, raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(made := Keyring())
    yield made
    keyring.set_keyring(before)


@pytest.fixture
async def connector():
    now = [1000.0]
    made = CloudConnector(
        Config(speechmatics=SpeechmaticsConfig(url="https://eu1.example/v2")), monotonic=lambda: now[0]
    )
    made.now = now
    yield made
    await made.close()


async def refused(connector):
    with pytest.raises(ConfigurationError) as caught:
        await connector.connect()
    return caught.value


async def test_a_locked_keyring_is_asked_ever_more_rarely(locked, connector):
    asked_at = []
    for second in range(0, 6 * 3600, 5):
        connector.now[0] = 1000.0 + second
        before = locked.asked
        await refused(connector)
        if locked.asked > before:
            asked_at.append(second)
    pauses = [later - earlier for earlier, later in itertools.pairwise(asked_at)]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]


async def test_the_message_says_that_it_is_locked_and_what_to_do(locked, connector):
    decision = decide(await refused(connector), attempts=1, now=0.0, jitter=0.0, delays=RetryDelays())
    assert isinstance(decision, StopAccount)
    assert "keyring" in decision.reason
    assert "locked" in decision.reason
    assert "dropscribe resume" in decision.fix


async def test_a_person_who_unlocked_it_need_not_wait(locked, connector):
    await refused(connector)
    locked.key = "secret"
    await refused(connector)
    connector.ask_again()
    assert await connector.connect()


async def test_a_key_elsewhere_is_taken_although_the_keyring_is_locked(locked, connector):
    await refused(connector)
    credentials.write_key_file("secret")
    client = await connector.connect()
    assert await connector.connect() is client
    assert locked.asked == 1


async def test_the_known_key_stays_in_use_when_the_keyring_is_locked_later(locked, connector):
    locked.key = "secret"
    client = await connector.connect()
    locked.key = None
    for _ in range(3):
        assert await connector.connect() is client
    assert locked.asked == 2
