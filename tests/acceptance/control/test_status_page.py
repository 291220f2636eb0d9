"""The page as a person meets it, in a real browser."""

import re
import time

import pytest
from playwright.sync_api import expect

from service.control.client import ControlClient
from tests.support.dashboard import Running, json_v2
from watcher.events import Event, EventBus
from watcher.models import EntryState, OutputFormat

pytestmark = pytest.mark.long

HELLO = {
    OutputFormat.TXT: b"SPEAKER: S1\nGood morning.\n",
    OutputFormat.JSON_V2: json_v2(
        ("S1", 0.0, "Good morning everybody, welcome."),
        ("S2", 4.0, "Thank you. Shall we begin with the budget?"),
        ("S1", 9.0, "Yes, please."),
    ),
}


def row(page, name):
    return page.locator("#entries li").filter(has=page.get_by_role("link", name=name, exact=True))


def test_the_whole_story_of_a_recording_without_a_reload(page, running, plant):
    page.evaluate("window.notReloaded = true")
    expect(page.locator("#now-text")).to_contain_text("Nothing to do.")
    expect(page.locator("#count")).to_have_text("No recordings yet.")

    entry = running.do(plant.found("meeting.wav", seconds=12))
    expect(row(page, "meeting.wav").locator(".state")).to_have_text("Waiting")
    expect(page.locator("#now-text")).to_have_text("1 recording waiting.")

    entry = running.do(plant.submitting())
    active = page.locator("#active li")
    expect(active.locator(".state")).to_have_text("Uploading")
    running.call(plant.progress, entry, 25, 100)
    expect(active.locator("progress")).to_have_js_property("value", 0.25)
    expect(active.locator(".note")).to_have_text("25 B of 100 B")
    running.call(plant.progress, entry, 100, 100)
    expect(active.locator("progress")).to_have_js_property("value", 1)

    entry = running.do(plant.submitted(entry))
    expect(active.locator(".state")).to_have_text("Transcribing")
    expect(active.locator("progress")).not_to_have_attribute("value", re.compile(".*"))
    expect(active.locator(".note")).to_have_text(re.compile(r"0:12 long · submitted \d+:\d\d(:\d\d)? ago"))
    before = active.locator(".note").text_content()
    expect(active.locator(".note")).not_to_have_text(before)  # it counts on by itself

    running.do(plant.done(entry, HELLO))
    expect(row(page, "meeting.wav").locator(".state")).to_have_text("Done")
    expect(active).to_have_count(0)
    expect(page.locator("#state")).to_have_text("Idle")
    expect(page.get_by_role("status").filter(has_text="meeting.wav: the transcript is ready.")).to_be_attached()

    row(page, "meeting.wav").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("meeting.wav")
    expect(page.locator(".voice")).to_have_text(["Speaker 1", "Speaker 2", "Speaker 1"])
    expect(page.locator("#history li")).to_have_text(
        [re.compile(text) for text in ("Waiting", "Uploading", "Transcribing", "Writing", "Done")]
    )
    page.go_back()
    expect(row(page, "meeting.wav")).to_be_visible()


def test_a_recordings_page_is_live_too(page, running, plant, client):
    entry = running.do(plant.found("talk.wav", seconds=12))
    page.goto(client.open_code(entry.uid))
    expect(page.locator("#state")).to_have_text("Waiting")
    expect(page.locator("#next")).to_have_text(re.compile("Next: It is next in line"))
    expect(page.locator("#words")).to_have_text("There is no transcript yet.")
    running.do(plant.done(running.do(plant.submitted(running.do(plant.submitting()))), HELLO))
    expect(page.locator("#words .phrase")).to_have_count(3)
    expect(page.locator("#state")).to_have_text("Done")


def test_a_failure_says_what_to_do_and_is_tried_again(page, running, plant):
    running.do(plant.found("noise.wav", state=EntryState.FAILED, reason="There is no sound in it.", fix="Look at it."))
    failed = row(page, "noise.wav")
    expect(failed.locator(".note").first).to_contain_text("There is no sound in it.")
    expect(failed.locator(".fix")).to_have_text("Look at it.")
    expect(page.locator("#state")).to_have_text("Needs your attention")
    expect(page.locator("#holds .reason")).to_have_text("1 recording failed.")
    page.get_by_role("button", name="Show it").click()
    expect(page.locator("#choice")).to_have_value("attention")
    failed.get_by_role("button", name="Try again").click()
    expect(failed).to_have_count(0)
    page.locator("#choice").select_option("")
    expect(row(page, "noise.wav").locator(".state")).to_have_text("Waiting")
    expect(page.locator("#attention")).to_be_hidden()


def test_a_dismissed_failure_stays_in_the_list_and_needs_no_attention(page, running, plant, client):
    for name in ("one.wav", "two.wav", "three.wav"):
        running.do(plant.found(name, state=EntryState.FAILED, reason="There is no sound in it."))
    expect(page.locator("#holds .reason")).to_have_text("3 recordings failed.")
    expect(page).to_have_title(re.compile("^Needs your attention "))
    page.get_by_role("button", name="Dismiss: one.wav").click()
    expect(page.locator("#holds .reason")).to_have_text("2 recordings failed.")
    expect(row(page, "one.wav").locator(".note").first).to_contain_text("dismissed")
    expect(row(page, "one.wav").locator(".state")).to_have_text("Failed")
    expect(row(page, "one.wav").get_by_role("link")).to_be_focused()
    page.locator("#choice").select_option("attention")
    expect(page.locator("#entries li")).to_have_count(2)
    page.get_by_role("button", name="Dismiss all").click()
    expect(page.locator("#entries li")).to_have_count(0)
    expect(page.locator("#attention")).to_be_hidden()
    expect(page.locator("#state")).to_have_text("Idle")
    expect(page.get_by_role("status").filter(has_text="2 failed recordings dismissed.")).to_be_attached()
    page.locator("#choice").select_option("FAILED")
    expect(page.locator("#entries li")).to_have_count(3)
    assert client.status()["attention"] == []


def test_what_is_dismissed_elsewhere_disappears_here(page, running, plant, client):
    entry = running.do(plant.found("one.wav", state=EntryState.FAILED, reason="There is no sound in it."))
    page.goto(client.open_code(entry.uid))
    dismiss = page.get_by_role("button", name="Dismiss")
    expect(dismiss).to_be_visible()
    client.dismiss_all()
    expect(dismiss).to_have_count(0)
    expect(page.locator("#dismissed")).to_contain_text("Dismissed ")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#state")).to_have_text("Waiting")
    expect(page.locator("#dismissed")).to_be_hidden()


def test_a_pause_does_not_hide_what_needs_attention(page, running, plant, client):
    client.pause()
    running.do(plant.found("noise.wav", state=EntryState.FAILED, reason="There is no sound in it."))
    expect(page.locator("#state")).to_have_text("Needs your attention, paused")
    page.locator(".orders").get_by_role("button", name="Resume").click()
    expect(page.locator("#state")).to_have_text("Needs your attention")


def test_a_hold_is_lifted_by_its_button(page, running, plant, client):
    running.do(plant.holds("account:cloud", "The API key was rejected.", "dropscribe login"))
    card = page.locator("#holds li")
    expect(card).to_contain_text("The API key was rejected.")
    expect(page.locator("#state")).to_have_text("Needs your attention")
    card.get_by_role("button", name="Try again now").click()
    expect(page.locator("#attention")).to_be_hidden()
    assert client.status()["holds"] == []


def test_a_held_recording_is_approved_or_given_up(page, running, plant, client):
    for name in ("one.wav", "two.wav"):
        running.do(plant.found(name))
        running.do(plant.held(running.do(plant.submitting()), "Did the service take it?"))
    page.locator("#holds").get_by_role("button", name="Show them").click()
    expect(page.locator("#entries li")).to_have_count(2)
    page.get_by_role("button", name="Transcribe again: one.wav").click()
    expect(row(page, "one.wav")).to_have_count(0)
    page.get_by_role("button", name="Cancel: two.wav").click()
    expect(page.locator("#entries li")).to_have_count(0)
    assert {e["name"]: e["state"] for e in client.entries()[0]} == {"one.wav": "WAITING", "two.wav": "CANCELLED"}


def test_pausing_and_going_on(page, client):
    page.get_by_text("Pause", exact=True).click()
    page.get_by_role("button", name="For an hour").click()
    expect(page.locator("#state")).to_have_text(re.compile(r"Paused until \d"))
    assert client.status()["paused_until"] is not None
    page.locator(".orders").get_by_role("button", name="Resume").click()
    expect(page.locator("#state")).to_have_text("Idle")
    client.pause()  # elsewhere, by the tray or the command line
    expect(page.locator("#state")).to_have_text("Paused")


def test_search_finds_by_name_and_state_and_survives_a_reload(page, running, plant):
    for name in ("budget 2025.wav", "Budget 2026.wav", "lecture.wav"):
        running.do(plant.found(name))
    expect(page.locator("#entries li")).to_have_count(3)
    page.get_by_label("Search by name").fill("budget")
    expect(page.locator("#entries li")).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text="2 recordings.")).to_be_attached()
    running.do(plant.found("another lecture.wav"))
    running.do(plant.found("the budget again.wav"))
    expect(page.locator("#entries li")).to_have_count(3)
    expect(row(page, "another lecture.wav")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("Search by name")).to_have_value("budget")
    expect(page.locator("#entries li")).to_have_count(3)
    page.get_by_label("Show").select_option("DONE")
    expect(page.locator("#count")).to_have_text("No recordings match.")
    page.get_by_label("Search by name").fill("")
    page.get_by_label("Show").select_option("")
    expect(page.locator("#entries li")).to_have_count(5)


def test_the_player_follows_the_words_and_a_click_jumps(page, running, plant, client):
    entry = running.do(plant.transcribed("meeting.wav", HELLO, seconds=12))
    page.goto(client.open_code(entry.uid))
    current = page.locator(".word[aria-current]")
    page.get_by_text("budget?", exact=True).click()
    expect(current).to_have_text("budget?")
    assert page.evaluate("audio.currentTime") >= 7.5
    expect(current).not_to_have_text("budget?")  # it plays on; a busy browser may leave words out
    page.evaluate("audio.pause()")
    page.get_by_role("button", name="Play from 0:00").click()
    expect(current).to_have_text("Good")
    page.evaluate("audio.pause(); audio.currentTime = 4.6")
    expect(current).to_have_text("you.")
    expect(current).to_have_count(1)


def test_every_format_can_be_downloaded(page, running, plant, client):
    entry = running.do(plant.transcribed("Gespräch: 1.wav", HELLO))
    page.goto(client.open_code(entry.uid))
    links = {"Text": ("txt", "txt"), "JSON": ("json-v2", "json")}
    links |= {"WebVTT subtitles": ("vtt", "vtt"), "Markdown": ("md", "md")}
    expect(page.locator("#downloads a")).to_have_text(list(links))
    for label, (form, suffix) in links.items():
        with page.expect_download() as started:
            page.get_by_role("link", name=label, exact=True).click()
        assert re.fullmatch(rf"Gespräch. 1\.{suffix}", started.value.suggested_filename)
        assert started.value.path().read_bytes() == client.transcript(entry.uid, form)


def test_a_recording_that_is_gone_is_explained(page, running, plant, client, trouble):
    entry = running.do(plant.transcribed("meeting.wav", HELLO))
    entry.path.unlink()
    page.goto(client.open_code(entry.uid))
    expect(page.locator("#audio-problem")).to_contain_text("The recording is no longer where it was.")
    expect(page.locator("#words .phrase")).to_have_count(3)
    assert [text for text in trouble if "410" not in text] == []
    trouble.clear()


def test_an_address_that_leads_nowhere_leads_back(page, running, trouble):
    page.goto(f"{running.url}/recordings/of-another-time")
    expect(page.get_by_role("alert")).to_contain_text("There is no recording with this id. Find it in the list")
    expect(page.get_by_role("main")).to_be_hidden()
    page.goto(f"{running.url}/nowhere")
    page.get_by_role("link", name="All recordings").click()
    expect(page.locator("#state")).to_have_text("Idle")
    page.goto(f"{running.url}/?state=NONSENSE")
    expect(page.locator("#choice")).to_have_value("")
    assert [text for text in trouble if "404" not in text] == []
    trouble.clear()


def test_everything_works_with_the_keyboard_alone(page, running, plant, client):
    entry = running.do(plant.transcribed("meeting.wav", HELLO, seconds=12))
    running.do(plant.found("wrong.wav"))
    expect(page.locator("#entries li")).to_have_count(2)

    def tab_to(what, most=40):
        for _ in range(most):
            page.keyboard.press("Tab")
            if what in page.evaluate("`${document.activeElement.ariaLabel ?? ''} ${document.activeElement.innerText}`"):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", f"nobody sees where the focus is on {what}"
                return
        pytest.fail(f"the keyboard does not lead to {what!r}")

    page.evaluate("document.activeElement.blur()")
    tab_to("Skip to the recordings", most=1)
    page.keyboard.press("Enter")
    expect(page.locator("#recordings")).to_be_focused()
    tab_to("Cancel: wrong.wav")
    page.keyboard.press("Enter")
    expect(row(page, "wrong.wav").locator(".state")).to_have_text("Cancelled")

    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.keyboard.press("Control+Home")
    page.locator("#pause summary").focus()
    page.keyboard.press("Enter")
    tab_to("Until I resume")
    page.keyboard.press("Space")
    expect(page.locator("#state")).to_have_text("Paused")
    expect(page.locator("#resume")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("Idle")
    expect(page.locator("#pause summary")).to_be_focused()

    tab_to("meeting.wav")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("meeting.wav")
    expect(page.locator(".phrase")).to_have_count(3)
    tab_to("Play from 0:04")
    page.keyboard.press("Enter")
    expect(page.locator(".word[aria-current]")).to_have_text("Thank")
    assert entry.uid in page.url


def test_the_focus_stays_where_it_is_while_the_list_changes(page, running, plant):
    running.do(plant.found("first.wav"))
    link = row(page, "first.wav").get_by_role("link")
    link.focus()
    running.do(plant.found("second.wav"))
    expect(page.locator("#entries li")).to_have_count(2)
    expect(link).to_be_focused()
    running.do(plant.submitting())  # the focused row itself moves to the top
    expect(page.locator("#entries li").first.locator(".name")).to_have_text("first.wav")
    expect(link).to_be_focused()


def test_a_screen_reader_finds_its_way(page, running, plant):
    running.do(plant.found("meeting.wav"))
    running.do(plant.holds("disk", "The disk is full.", "Free some space."))
    expect(page.locator("#holds li")).to_be_visible()
    for role in ("banner", "main", "contentinfo", "search"):
        expect(page.get_by_role(role)).to_have_count(1)
    for name in ("Needs your attention", "Now", "Recordings", "Watch folders"):
        expect(page.get_by_role("region", name=name)).to_be_visible()
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, a, input, select, summary, audio, progress")]
           .filter((node) => node.checkVisibility())
           .filter((node) => !(node.innerText || node.ariaLabel || node.labels?.length || node.controls))
           .map((node) => node.outerHTML)"""
    )
    assert unnamed == []
    assert page.evaluate("document.documentElement.lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(page, running, plant, scheme):
    page.emulate_media(color_scheme=scheme)
    running.do(plant.found("x.wav", state=EntryState.FAILED, reason="It failed.", fix="Do this."))
    running.do(plant.holds("disk", "The disk is full.", "Free some space."))
    expect(page.locator("#holds li")).to_have_count(2)
    expect(page.locator("#entries li")).to_be_visible()
    weak = page.evaluate(
        """() => {
          const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
          const ground = (node) => {
            for (; node; node = node.parentElement) {
              const colour = rgb(getComputedStyle(node).backgroundColor);
              if (colour.length < 4 || colour[3] > 0) return colour;
            }
            return [255, 255, 255];
          };
          const found = [];
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walk.nextNode()) {
            const node = walk.currentNode.parentElement;
            if (!walk.currentNode.data.trim() || !node.checkVisibility() || node.matches("option, noscript")) continue;
            const pair = [light(rgb(getComputedStyle(node).color)), light(ground(node))].sort((a, b) => b - a);
            const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
            if (contrast < 4.5) found.push(`${walk.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
          }
          return found;
        }"""
    )
    assert weak == []


def test_a_burst_is_read_as_a_whole_and_nothing_is_missing(page, running, plant, trouble, monkeypatch):
    trouble.asked.clear()

    async def burst():  # told in one go: a busy machine would draw single news out until they are no burst
        found = []
        with monkeypatch.context() as patch:
            patch.setattr(plant, "announce", found.append)
            for number in range(120):
                await plant.found(f"{number}.wav", seconds=0.01)
        for entry in found:
            plant.announce(entry)

    running.do(burst())
    expect(page.locator("#entries .name").first).to_have_text("119.wav")
    expect(page.locator("#now-text")).to_have_text("120 recordings waiting.")
    assert len(trouble.asked) < 120
    deadline = time.monotonic() + 60
    while page.locator("#count").text_content() != "120 recordings." and time.monotonic() < deadline:
        page.keyboard.press("End")
        page.wait_for_timeout(50)
    expect(page.locator("#count")).to_have_text("120 recordings.")
    names = page.locator("#entries .name").all_text_contents()
    assert sorted(names) == sorted(f"{number}.wav" for number in range(120))


def test_a_page_that_missed_events_reads_the_whole_picture(page, running, plant):
    running.do(plant.found("first.wav"))
    expect(page.locator("#entries li")).to_have_count(1)

    async def more_than_a_listener_holds():
        bus, plant.control.bus, plant.bus = plant.bus, EventBus(), EventBus()
        await plant.found("never told of.wav")
        plant.control.bus = plant.bus = bus
        for number in range(5000):
            bus.publish(Event("config", number))

    running.do(more_than_a_listener_holds())
    expect(page.locator("#entries li")).to_have_count(2)


def test_a_page_out_of_view_lets_go_and_catches_up(page, running, plant):
    def show(*, hidden):
        page.evaluate(
            """(hidden) => {
              Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
              document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    async def listeners():
        return len(plant.bus._subscriptions)

    show(hidden=True)
    deadline = time.monotonic() + 60
    while running.do(listeners()) and time.monotonic() < deadline:
        page.wait_for_timeout(10)
    assert running.do(listeners()) == 0
    running.do(plant.found("meanwhile.wav"))
    show(hidden=False)
    expect(page.locator("#entries li")).to_have_count(1)
    running.do(plant.found("and now.wav"))
    expect(page.locator("#entries li")).to_have_count(2)


def test_nothing_that_happens_while_the_page_opens_is_missed(context, running, plant, client):
    page = context.new_page()
    held = []
    page.route("**/api/events", lambda route: held.append(route))  # noqa: PLW0108 - it takes no built-in
    page.goto(client.open_code())
    expect(page.locator("#count")).to_have_text("No recordings yet.")
    running.do(plant.found("in between.wav"))
    held[0].continue_()
    expect(page.locator("#entries .name")).to_have_text("in between.wav")
    page.close()


def test_a_broken_config_is_told(page, running, plant):
    async def broken():
        plant.control.config_problem = "config.toml, line 3: unknown key 'egnine'. Did you mean 'engine'?"
        plant.bus.publish(Event("config", 1.0))

    running.do(broken())
    expect(page.locator("#holds li")).to_contain_text("line 3: unknown key 'egnine'")


def test_without_the_daemon_the_page_says_so_and_comes_back_with_it(context, tmp_path):
    page = context.new_page()
    with Running.start(tmp_path) as running:
        page.goto(ControlClient.from_state(running.paths).open_code())
        expect(page.locator("#state")).to_have_text("Idle")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Dropscribe is not running. This page shows the state at")
    expect(page.locator("#state")).to_have_text("Not running")
    expect(page).to_have_title(re.compile("^Not running "))
    expect(page.locator("main")).to_have_css("opacity", "0.7")
    expect(page.locator("#pause")).to_be_hidden()
    page.set_viewport_size({"width": 360, "height": 300})
    page.get_by_role("heading", name="Watch folders").scroll_into_view_if_needed()
    expect(alert).to_be_in_viewport()  # where an order that fails far down is told, too
    with Running.start(tmp_path, port=running.port) as again:
        # Another start has other sessions: the page can only say how to get in.
        expect(alert).to_contain_text("Dropscribe was restarted.")
        expect(page.locator("#state")).to_have_text("Not connected")
        second = context.new_page()  # one browser has one session, in whichever tab it was opened
        second.goto(ControlClient.from_state(again.paths).open_code())
        expect(page.locator("#state")).to_have_text("Idle")
        expect(alert).to_be_hidden()
        expect(page.locator("main")).to_have_css("opacity", "1")
        again.do(again.plant.found("after the restart.wav"))
        expect(row(page, "after the restart.wav")).to_be_visible()
    page.close()


def test_a_daemon_that_hangs_or_fails_for_a_moment_is_noticed_and_found_again(page, trouble):
    page.clock.install()
    page.reload()
    expect(page.locator("#state")).to_have_text("Idle")
    page.route("**/api/folders", lambda route: route.abort())
    page.clock.fast_forward(16_000)  # its stream stays open
    expect(page.locator("#state")).to_have_text("Not running")
    page.unroute("**/api/folders")
    page.clock.fast_forward(3_000)
    expect(page.locator("#state")).to_have_text("Idle")
    expect(page.get_by_role("alert")).to_have_count(0)
    held = []
    page.route("**/api/folders", lambda route: held.append(route))  # noqa: PLW0108 - it takes no built-in
    page.clock.fast_forward(16_000)
    expect(page.locator("#state")).to_have_text("Not answering")
    assert [text for text in trouble if "ERR_FAILED" not in text] == []
    trouble.clear()
    page.unroute("**/api/folders")
    page.clock.fast_forward(3_000)
    expect(page.locator("#state")).to_have_text("Idle")


def test_a_long_transcript_is_shown_bit_by_bit_and_followed(page, running, plant, client):
    many = 3000  # three hours of speech
    phrases = [(f"S{number % 3 + 1}", number * 4.0, "one two three four five six seven") for number in range(many)]
    originals = {OutputFormat.TXT: b"", OutputFormat.JSON_V2: json_v2(*phrases)}
    entry = running.do(plant.transcribed("long.wav", originals, seconds=5))
    page.goto(client.open_code(entry.uid))
    expect(page.locator(".phrase").nth(50)).to_be_attached(timeout=20_000)
    page.get_by_role("button", name="Play from 0:04", exact=True).click()
    expect(page.locator(".word[aria-current]")).to_have_count(1)
    expect(page.locator(".phrase")).to_have_count(many, timeout=30_000)
    expect(page.locator(".word[aria-current]")).to_have_count(1)
