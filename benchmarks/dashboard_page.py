"""The status page with 10,000 recordings, in Chromium: first content, one event, search; and the API behind it."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.control.client import ControlClient
from tests.support.dashboard import FORMATS, Running
from watcher.ledger import Ledger
from watcher.ledger.rows import NewEntry
from watcher.models import Engine, EntryState, Fingerprint, MediaInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Page

ENTRIES = 10_000
ROUNDS = 5
_PAINT = """() => new Promise((found) => new PerformanceObserver((list) => {
  const paint = list.getEntriesByName("first-contentful-paint")[0];
  if (paint) found(paint.startTime);
}).observe({type: "paint", buffered: true}))"""
_ROW = """(name) => new Promise((shown) => {
  const look = () => [...document.querySelectorAll("#entries .name")].some((node) => node.textContent === name);
  if (look()) return shown();
  new MutationObserver((_, observer) => {
    if (look()) { observer.disconnect(); shown() }
  }).observe(document.getElementById("entries"), {childList: true, subtree: true, characterData: true});
})"""


def run() -> Iterator[tuple[str, str, str]]:
    """Yield each figure with its goal."""
    with tempfile.TemporaryDirectory() as root, Running.start(Path(root)) as running:
        running.do(_fill(running))
        client = ControlClient.from_state(running.paths)
        if client is None:
            raise RuntimeError("the control API does not answer")
        yield "control API, 10,000 entries: status", _milliseconds(client.status), ""
        yield "control API, 10,000 entries: one page of 50", _milliseconds(lambda: client.entries(limit=50)), ""
        yield "control API, 10,000 entries: search that finds nothing", _milliseconds(_search(client)), ""
        chromium = shutil.which("chromium")
        if chromium is None:
            yield "page, 10,000 entries", "no Chromium here", ""
            return
        yield from _in_browser(chromium, running, client)


def _search(client: ControlClient) -> Callable[[], object]:
    return lambda: client.entries(search="no such name", limit=50)


async def _fill(running: Running) -> None:
    chance = random.Random(7)
    states = [EntryState.WAITING] * 3 + [EntryState.SKIPPED] * 96 + [EntryState.FAILED]
    plant = running.plant
    for start in range(0, ENTRIES, 1000):
        new = [
            NewEntry(
                plant.folder,
                plant.folder / f"recording {number:05}.wav",
                Fingerprint(1000, number, f"{number:064x}"),
                Engine.LOCAL,
                {"language": "en"},
                FORMATS,
                MediaInfo("wav", "pcm_s16le", 60.0, 1, 16000),
                chance.choice(states),
            )
            for number in range(start, start + 1000)
        ]
        await plant.ledger(Ledger.add, new, now=plant.clock.now())


def _in_browser(chromium: str, running: Running, client: ControlClient) -> Iterator[tuple[str, str, str]]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the other figures need no browser

    switches = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=switches)
        page = browser.new_page()
        page.goto(client.open_code())
        paints, lists = [], []
        for _ in range(ROUNDS):
            page.goto(f"{running.url}/", wait_until="commit")
            paints.append(page.evaluate(_PAINT))
            page.wait_for_selector("#entries li:nth-child(50)")
            resource = "performance.getEntriesByType('resource').find((r) => r.name.includes('/api/entries'))"
            lists.append(page.evaluate(f"{resource}.responseEnd"))
        yield "page, 10,000 entries: first content", f"{statistics.median(paints):.0f} ms", "≤ 500 ms"
        yield "page, 10,000 entries: the list is there", f"{statistics.median(lists):.0f} ms", "≤ 500 ms"
        yield from _one_event(page, running)
        browser.close()


def _one_event(page: Page, running: Running) -> Iterator[tuple[str, str, str]]:
    waits, asked = [], []
    listen: Any = lambda request: asked.append(request.url)  # noqa: E731 - given to two calls
    for number in range(ROUNDS):
        page.wait_for_timeout(700)  # what the last one set off has been told
        name = f"new {number}.wav"
        page.on("request", listen)
        began = time.perf_counter()
        running.do(running.plant.found(name))
        page.evaluate(_ROW, name)
        waits.append(time.perf_counter() - began)
        page.wait_for_timeout(700)
        page.remove_listener("request", listen)
    rows = page.locator("#entries li").count()
    yield "page: one event until its row is shown", f"{statistics.median(waits) * 1000:.0f} ms", ""
    yield "page: requests for one event (its entry, the status)", f"{len(asked) / ROUNDS:.1f}", "no reload of the list"
    yield "page: lists read for them; rows in the page", f"{sum('?' in url for url in asked)}; {rows}", "0"


def _milliseconds(work: Callable[[], object]) -> str:
    times = []
    for _ in range(21):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return f"{statistics.median(times) * 1000:.1f} ms"
