import pytest

from watcher.addresses import problem_of, with_scheme


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("asr.example.com/v2", "https://asr.example.com/v2"),
        (" asr.example.com:8443 ", "https://asr.example.com:8443"),
        ("localhost:9000/v2", "http://localhost:9000/v2"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("[::1]:9000", "http://[::1]:9000"),
        ("192.168.1.5/v2", "http://192.168.1.5/v2"),
        ("10.0.0.1", "http://10.0.0.1"),
        ("8.8.8.8", "https://8.8.8.8"),
        ("asr-box:9000", "http://asr-box:9000"),
        ("asr.local", "http://asr.local"),
        ("https://localhost/v2", "https://localhost/v2"),
        ("http://asr.example.com", "http://asr.example.com"),
        ("ftp://asr.example.com", "ftp://asr.example.com"),
        ("two words", "two words"),
        ("", ""),
    ],
)
def test_an_address_without_a_scheme_is_completed(written, taken):
    assert with_scheme(written) == taken
    assert with_scheme(taken) == taken


@pytest.mark.parametrize(
    "address",
    ["", "ftp://a", "https://", "https:///v2", "https://a:99999", "https://a:0", "https://a b", "https://[::1"],
)
def test_what_is_no_address_is_named(address):
    assert problem_of(address)


@pytest.mark.parametrize("address", ["https://a", "http://127.0.0.1:8000/x?y=1", "https://[::1]:80/v2"])
def test_an_address_is_fine(address):
    assert not problem_of(address)
