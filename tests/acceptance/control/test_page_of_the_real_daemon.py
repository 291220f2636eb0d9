"""The page of the real daemon, with the real engine, in a real browser."""

import shutil

import pytest
from playwright.sync_api import expect

from service.control.client import ControlClient
from tests.support.daemon import DATA, Command
from tests.support.words import assert_reads
from watcher.paths import StatePaths

pytestmark = pytest.mark.long


@pytest.fixture
def command(tmp_path):
    found = Command(tmp_path)
    yield found
    found.close()


def test_a_recording_is_dropped_and_read_and_heard_on_the_page(context, trouble, command):
    command.start()
    client = ControlClient.from_state(StatePaths(command.state))
    page = context.new_page()
    trouble.watch(page)
    page.goto(client.open_code())
    expect(page.locator("#now-text")).to_contain_text("Drop a recording into a watch folder.")
    expect(page.locator("#folders .name")).to_have_text(str(command.folder))
    page.evaluate("() => { window.notReloaded = true }")

    shutil.copy(DATA / "leisure.flac", command.folder / "letter to john.flac")
    row = page.locator("#entries li")
    expect(row.locator(".name")).to_have_text("letter to john.flac", timeout=30_000)
    expect(row.locator(".state")).to_have_text("Done", timeout=60_000)
    expect(page.locator("#state")).to_have_text("Idle")
    assert page.evaluate("window.notReloaded")

    row.locator(".name").click()
    word = page.locator(".word").nth(6)
    word.click()
    assert_reads(page.locator("#words").inner_text(), "leisure")
    expect(page.locator(".word[aria-current]")).to_be_visible()
    assert page.evaluate("audio.currentTime") >= float(word.get_attribute("data-start"))
    page.wait_for_function("() => Math.abs(audio.duration - 7.1) < 0.3")  # not known before some of it was read
    expect(page.locator("#history li").last).to_contain_text("Done")
    page.close()
    assert list(trouble) == []
