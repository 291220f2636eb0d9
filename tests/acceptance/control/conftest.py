"""The page in a real browser, over a real ledger."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from service.control.client import ControlClient
from tests.support.dashboard import Running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("quic", "background-networking", "component-update", "sync")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", *(f"--disable-{part}" for part in QUIET)]
expect.set_options(timeout=60_000)  # it is waited for, not slept through; a busy machine is slow
ARGUMENTS += ["--autoplay-policy=no-user-gesture-required", "--host-resolver-rules=MAP rebound.example 127.0.0.1"]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium isn't installed; make test-deps installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def running(tmp_path):
    with Running.start(tmp_path) as running:
        yield running


@pytest.fixture
def plant(running):
    return running.plant


@pytest.fixture
def client(running):
    return ControlClient.from_state(running.paths)


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1000, "height": 800}, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(60_000)
    yield context
    context.close()


class Trouble(list):
    """What the browser complained about, and every address that it asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def watch(self, page):
        page.on("console", lambda message: self.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))


@pytest.fixture
def trouble():
    return Trouble()


@pytest.fixture
def page(context, client, trouble, running):
    """The overview, opened as `dropscribe open` does. No test may make the browser complain or look elsewhere."""
    page = context.new_page()
    trouble.watch(page)
    page.goto(client.open_code())
    page.wait_for_selector("#version:not(:empty)")
    yield page
    page.close()
    assert list(trouble) == []
    assert [url for url in trouble.asked if not url.startswith((running.url, "blob:"))] == []
