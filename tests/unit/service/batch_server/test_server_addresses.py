import pytest

from service.batch_server.api.upload import base_name, name_from_url
from service.batch_server.job_config import Notification
from service.batch_server.outbound import ssrf, webhooks


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address):
    assert ssrf.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",  # noqa: S104 - not bound to
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::127.0.0.1",
        "2002:7f00:1::", "2002:a9fe:a9fe::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "2001:0:7f00:1::", "localhost", "", "0x7f.1", "2130706433",
    ],
)  # fmt: skip
def test_everything_else_is_not_public(address):
    assert not ssrf.is_public(address)


def test_one_private_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(ssrf.ForbiddenAddress, match=r"10\.0\.0\.1"):
        ssrf.check_public("example.org", ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(ssrf.ForbiddenAddress, match="no address"):
        ssrf.check_public("example.org", [])
    ssrf.check_public("example.org", ["8.8.8.8"])


@pytest.mark.parametrize(
    "url",
    ["", "example.org", "file:///etc/passwd", "ftp://example.org/a", "http://", "http:///a", "https://a:b@example.org/",
     "http://user@example.org", "http://example.org:99999/", "gopher://x", "http://[::1/", "http://x:0/"],
)  # fmt: skip
def test_only_http_urls_without_credentials_are_called(url):
    with pytest.raises(ssrf.ForbiddenAddress):
        ssrf.split(url)


def test_hosts_are_allowed_by_name_with_or_without_port():
    parts = ssrf.split("http://nas:8080/x")
    assert ssrf.is_allowed_by_name(parts, {"nas"})
    assert ssrf.is_allowed_by_name(parts, {"nas:8080"})
    assert not ssrf.is_allowed_by_name(parts, {"nas:80"})
    assert ssrf.port_of(ssrf.split("https://example.org")) == 443


def test_auth_headers():
    assert ssrf.split_header("Authorization: Bearer a:b") == ("Authorization", "Bearer a:b")
    for wrong in ("", "x", ": y", "A b: c", "A: b\r\nX: y", "A: ü"):
        with pytest.raises(ValueError, match="Name: value"):
            ssrf.split_header(wrong)


def test_names_are_never_paths():
    assert base_name("../../etc/passwd") == "passwd"
    assert base_name("C:\\temp\\a.wav") == "a.wav"
    assert base_name("") == "data_file"
    assert name_from_url("https://example.org/x/my%20talk.mp3?token=1") == "my talk.mp3"
    assert name_from_url("https://example.org") == "data_file"
    assert name_from_url("https://example.org/%2e%2e%2fa.wav") == "a.wav"


ITEMS = {
    "jobinfo": lambda: b"{}",
    "transcript": lambda: b"json",
    "transcript.json-v2": lambda: b"json",
    "transcript.txt": lambda: b"text",
    "transcript.srt": lambda: None,
    "data": lambda: b"audio",
    "text": lambda: None,
}


def build(**fields):
    return webhooks.message(
        Notification(url="https://example.org/a?x=1", **fields), job_id="j", status="success", items=ITEMS
    )


def test_id_and_status_are_added_to_the_query():
    assert build(contents=()).url == "https://example.org/a?x=1&id=j&status=success"


def test_no_contents_make_an_empty_body():
    told = build(contents=())
    assert (told.method, told.content, told.files, told.content_type) == ("POST", b"", (), None)


def test_one_item_is_the_body():
    told = build(contents=("transcript.txt",), method="put")
    assert (told.method, told.content, told.content_type) == ("PUT", b"text", "text/plain; charset=utf-8")
    assert build(contents=("data",)).content_type == "application/octet-stream"
    assert build(contents=("transcript",)).content_type == "application/vnd.speechmatics.v2+json"


def test_several_items_are_attached_and_missing_ones_left_out():
    told = build(contents=("jobinfo", "transcript.srt", "data"))
    assert [name for name, *_ in told.files] == ["jobinfo", "data"]


def test_unspecified_contents_attach_the_transcript_as_before():
    assert [(name, content) for name, _, content, _ in build().files] == [("data_file", b"json")]
