"""The rules as a decision about method, path and headers."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from service.control.auth import Access
from service.control.security import Rules

PORT = 7373
HOST = f"127.0.0.1:{PORT}"
ORIGIN = f"http://{HOST}"


def decide(method="GET", path="/api/status", port=PORT, **headers):
    access = Access("token", port=port, monotonic=time.monotonic)
    session = access.redeem(access.new_code())[0]
    named = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.replace("SESSION", session).encode()) for name, value in named.items() if value]
    refusal = Rules(access, port=port).refuse(method, path, Headers(raw=raw))
    return refusal.status if refusal else None


COOKIE = f"dropscribe-{PORT}=SESSION"
BEARER = "Bearer token"
JSON = "application/json"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": BEARER},
        {"cookie": COOKIE},
        {"cookie": COOKIE, "sec_fetch_site": "same-origin"},
        {"cookie": COOKIE, "sec_fetch_site": "none"},
        {"cookie": COOKIE, "origin": ORIGIN},
    ],
)
def test_questions_that_pass(headers):
    assert decide(**headers) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": BEARER, "content_type": JSON},
        {"authorization": BEARER, "content_type": "Application/JSON; charset=utf-8"},
        {"cookie": COOKIE, "origin": ORIGIN, "content_type": JSON, "sec_fetch_site": "same-origin"},
    ],
)
def test_orders_that_pass(headers):
    assert decide("POST", "/api/pause", **headers) is None


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"host": "", "authorization": BEARER}, 421),
        ("GET", {"host": "127.0.0.1", "authorization": BEARER}, 421),
        ("GET", {"authorization": BEARER, "origin": "null"}, 403),
        ("GET", {"authorization": BEARER, "sec_fetch_site": "same-site"}, 403),
        ("POST", {"authorization": BEARER}, 415),
        ("PUT", {"authorization": BEARER, "content_type": "text/plain"}, 415),
        ("GET", {}, 401),
        ("POST", {"cookie": COOKIE, "content_type": JSON}, 403),
    ],
)
def test_what_is_refused(method, headers, status):
    assert decide(method, **headers) == status


def test_only_the_address_of_codes_needs_no_credentials():
    assert decide(path="/enter") is None
    assert decide(path="/enter/") == 401
    assert decide(path="/enter", host="evil.example") == 421
    assert decide(path="/enter", sec_fetch_site="cross-site") == 403
    assert decide("POST", path="/enter") == 415


def test_on_port_80_browsers_leave_the_port_out():
    assert decide(host="127.0.0.1", authorization=BEARER, port=80) is None


@given(host=st.text(st.characters(codec="latin-1"), max_size=40).filter(lambda text: text != HOST))
def test_no_other_host_passes(host):
    access = Access("token", port=PORT, monotonic=time.monotonic)
    raw = [(b"host", host.encode("latin-1")), (b"authorization", b"Bearer token")]
    assert Rules(access, port=PORT).refuse("GET", "/api/status", Headers(raw=raw)).status == 421
