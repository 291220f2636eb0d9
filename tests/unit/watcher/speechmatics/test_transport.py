"""Addresses, proxies and regions."""

import pytest

from watcher.speechmatics import AsyncClient, ConfigurationError, Region
from watcher.speechmatics.transport import _proxy_for, normalised_url


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://eu1.asr.api.speechmatics.com/v2", "https://eu1.asr.api.speechmatics.com/v2"),
        ("https://asr.api.speechmatics.com/v2/", "https://asr.api.speechmatics.com/v2"),
        ("https://asr.api.speechmatics.com", "https://asr.api.speechmatics.com/v2"),
        (" http://10.0.0.7:8082/ ", "http://10.0.0.7:8082/v2"),
        ("http://box/speech/v2", "http://box/speech/v2"),
    ],
)
def test_urls_are_brought_into_one_form(given, used):
    assert normalised_url(given) == used


@pytest.mark.parametrize("bad", ["", "eu1", "ftp://host/v2", "https://", "https://key@host/v2", "https://host/v2?a=b"])
def test_urls_that_cannot_be_meant_are_refused(bad):
    with pytest.raises(ConfigurationError):
        normalised_url(bad)


def test_the_default_is_the_first_region_or_the_environments(monkeypatch):
    monkeypatch.delenv("SPEECHMATICS_BATCH_URL", raising=False)
    assert AsyncClient("key").url == Region.EU1.url == "https://eu1.asr.api.speechmatics.com/v2"
    assert Region("us1").url == "https://us1.asr.api.speechmatics.com/v2"
    assert Region("eu7").url == "https://eu7.asr.api.speechmatics.com/v2"
    monkeypatch.setenv("SPEECHMATICS_BATCH_URL", "http://box:8082")
    assert AsyncClient("key").url == "http://box:8082/v2"


def test_proxies_come_from_the_environment_but_never_for_this_machine(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert _proxy_for("https://host/v2", None) is None
    monkeypatch.setenv("https_proxy", "proxy:3128")
    monkeypatch.setenv("http_proxy", "http://plain:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert _proxy_for("https://host/v2", None) == "http://proxy:3128"
    assert _proxy_for("http://host:8082/v2", None) == "http://plain:3128"
    assert _proxy_for("https://inside.example/v2", None) is None
    assert _proxy_for("https://host/v2", "") is None
    assert _proxy_for("https://host/v2", "http://other:1") == "http://other:1"
    for local in ("http://127.0.0.1:1/v2", "http://localhost:1/v2", "http://[::1]:1/v2"):
        assert _proxy_for(local, None) is None
