"""Attacks on the page by what is in recordings, and by other sites in the same browser."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Error, expect

from tests.support.dashboard import json_v2
from watcher.models import EntryState, OutputFormat

pytestmark = pytest.mark.long

PAYLOADS = [
    "<img src=x onerror=hacked()>",
    "<script>hacked()<",  # a name can't hold the slash of a closing tag
    "<svg onload=hacked()>",
    "\"><iframe srcdoc='<script>hacked()'>",
    "' onmouseover='hacked()' x='",
    "javascript:hacked()",
    "{{7*7}}${7*7}{%raw%}",
    "&lt;img src=x onerror=hacked()&gt;",
    "\u202egnp.exe",
]


def armed(page):
    """Any script that a payload gets to run leaves a trace."""
    page.evaluate("() => { window.hacked = () => { window.wasHacked = true } }")


def unharmed(page):
    assert page.evaluate("window.wasHacked") is None
    assert page.evaluate("document.querySelectorAll('main script, main iframe, main svg, main img').length") == 0


def test_names_and_reasons_are_text(page, running, plant):
    armed(page)
    page.evaluate(  # what a screen reader is told
        """() => {
          window.told = "";
          new MutationObserver(() => { window.told += said.textContent }).observe(said, {childList: true});
        }"""
    )
    for payload in PAYLOADS:
        running.do(plant.found(f"{payload}.wav", state=EntryState.FAILED, reason=payload, fix=payload))
        running.do(plant.holds(payload, payload, payload))
    expect(page.locator("#entries li")).to_have_count(len(PAYLOADS))
    expect(page.locator("#holds li")).to_have_count(len(PAYLOADS) + 1)
    assert set(page.locator("#entries .name").all_text_contents()) == {f"{payload}.wav" for payload in PAYLOADS}
    failed = f"{len(PAYLOADS)} recordings failed."
    assert set(page.locator("#holds .reason").all_text_contents()) == {*PAYLOADS, failed}
    assert f"{PAYLOADS[0]}.wav: Failed. {PAYLOADS[0]}" in page.evaluate("told")
    unharmed(page)
    # The buttons of holds with such names do what they say.
    holds = page.locator("#holds li").filter(has_not_text=failed)
    for left in range(len(PAYLOADS), 0, -1):
        holds.get_by_role("button").first.click()
        expect(holds).to_have_count(left - 1)


def test_transcripts_are_text(page, running, plant, client):
    armed(page)
    said = [payload for payload in PAYLOADS if " " not in payload and payload.isprintable()]
    phrases = [(payload, 10.0 * number, payload) for number, payload in enumerate(said)]
    originals = {OutputFormat.TXT: "\n".join(PAYLOADS).encode(), OutputFormat.JSON_V2: json_v2(*phrases)}
    entry = running.do(plant.transcribed(f"{PAYLOADS[0]}.wav", originals))
    page.goto(client.open_code(entry.uid))
    armed(page)
    expect(page.locator(".phrase")).to_have_count(len(said))
    assert page.locator(".phrase p .word").all_text_contents() == said
    assert page.locator(".voice").all_text_contents() == said
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{PAYLOADS[0]}.wav")
    page.locator(".word").first.hover()
    unharmed(page)


def test_a_transcript_without_times_is_text(page, running, plant, client):
    text = "<script>hacked()</script><img src=x onerror=hacked()>"
    running.do(plant.found("plain.wav", state=EntryState.WAITING))
    entry = running.do(plant.submitted(running.do(plant.submitting())))
    running.do(plant.done(entry, {OutputFormat.TXT: text.encode(), OutputFormat.JSON_V2: json_v2()}))
    plant.store.remove(entry.uid)
    plant.store.put(entry.uid, {OutputFormat.TXT: text.encode()})
    page.goto(client.open_code(entry.uid))
    armed(page)
    expect(page.locator("#words")).to_have_text(text)
    unharmed(page)


def test_the_policy_stops_what_would_run_all_the_same(page, trouble):
    """Were a payload ever taken for HTML: the page's policy is the second wall."""
    ways = {
        "innerHTML": "() => { document.body.innerHTML = '<b>x</b>' }",
        "a handler": "() => { document.createElement('img').setAttribute('onerror', 'hacked()') }",
        "a script": "() => { document.createElement('script').text = 'hacked()' }",
        "a timer": "() => { setTimeout('hacked()') }",
        "another site": "() => fetch('http://127.0.0.1:9/')",
    }
    for way in ways.values():
        with pytest.raises(Error, match=r"Trusted|Failed to fetch"):
            page.evaluate(way)
    assert len([text for text in trouble if "Trusted" in text or "Content Security Policy" in text]) >= len(ways)
    trouble.clear()
    trouble.asked.clear()


ATTACK = """<!doctype html><title>evil</title><body><script>
const target = "%(target)s";
const json = {"Content-Type": "application/json"};
const tries = {
  read: () => fetch(`${target}/api/status`, {credentials: "include"}).then((a) => a.text()),
  order: () => fetch(`${target}/api/pause`, {method: "POST", credentials: "include", headers: json, body: "{}"}),
  blind: () => fetch(`${target}/api/pause`, {method: "POST", credentials: "include", mode: "no-cors", body: "{}"})
    .then((a) => { if (a.type !== "opaque") throw Error(); return "opaque" }),
  beacon: async () => { navigator.sendBeacon(`${target}/api/pause`, new Blob(["{}"], {type: "text/plain"})); throw 1 },
  listen: () => new Promise((heard, refused) => {
    const source = new EventSource(`${target}/api/events`, {withCredentials: true});
    source.addEventListener("hello", heard);
    source.onerror = () => { source.close(); refused() };
  }),
  include: () => new Promise((loaded, refused) => {
    const script = document.createElement("script");
    script.src = `${target}/static/common.js`;
    Object.assign(script, {onload: loaded, onerror: refused});
    document.body.append(script);
  }),
  picture: () => new Promise((loaded, refused) => {
    const image = new Image();
    Object.assign(image, {src: `${target}/static/icon.svg`, onload: loaded, onerror: refused});
  }),
  frame: () => new Promise((loaded, refused) => {
    const frame = document.createElement("iframe");
    frame.src = `${target}/`;
    frame.onload = () => {
      try { if (frame.contentDocument.querySelector("main")) return loaded() } catch {}
      setTimeout(() => frame.contentWindow.length ? loaded() : refused(), 50);
    };
    document.body.append(frame);
  }),
};
const found = {};
Promise.all(Object.entries(tries).map(([name, attempt]) =>
  attempt().then((what) => { found[name] = String(what) || "got in" }, () => { found[name] = "refused" })
)).then(() => { window.found = found });
</script>
<form id="form" method="post" action="%(target)s/api/pause" enctype="text/plain">
<input name='{"until":null,"x":"' value='"}'>
</form>
<a id="link" href="%(target)s/">a link</a>
"""


class Evil(BaseHTTPRequestHandler):
    target = ""

    def do_GET(self):
        body = (ATTACK % {"target": self.target}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def evil(running):
    handler = type("Handler", (Evil,), {"target": running.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


# Another port of the same host is "the same site" to a browser, so cookies go along: that is the hard one.
@pytest.mark.parametrize("host", ["127.0.0.1", "rebound.example", "localhost"])
def test_another_site_in_the_same_browser_gets_nowhere(page, context, client, evil, host):
    attacker = context.new_page()
    attacker.goto(f"http://{host}:{evil}/")
    attacker.wait_for_function("window.found")
    found = attacker.evaluate("window.found")
    assert (len(found), set(found.values())) == (8, {"refused"})
    assert client.status()["state"] == "idle"

    with attacker.expect_navigation():
        attacker.evaluate("document.getElementById('form').submit()")
    assert client.status()["state"] == "idle"

    attacker.goto(f"http://{host}:{evil}/")
    with attacker.expect_response(lambda answer: answer.url.startswith(client.url)) as led:
        attacker.click("#link")
    assert led.value.status in (401, 403)
    attacker.close()


def test_a_name_rebound_to_loopback_is_refused(page, context, running):
    attacker = context.new_page()
    answer = attacker.goto(f"http://rebound.example:{running.port}/")
    assert answer.status == 421
    told = attacker.evaluate("fetch('/api/status').then((a) => a.status, (e) => e.name)")
    assert told in (421, "TypeError")
    attacker.close()


def test_a_stolen_code_and_a_foreign_browser_are_no_use(page, browser, running, client):
    url = client.open_code()
    stranger = browser.new_context()
    try:
        tab = stranger.new_page()
        assert tab.goto(running.url).status == 401
        expect(tab.get_by_role("heading")).to_have_text("Dropscribe doesn't know this browser")
        page.goto(url)
        assert tab.goto(url).status == 403
        assert tab.goto(f"{running.url}/api/status").status == 401
    finally:
        stranger.close()


def test_scripts_of_the_page_cant_read_the_session(page):
    assert page.evaluate("document.cookie") == ""
