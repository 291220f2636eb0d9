// One recording: its transcript, which follows the audio, and its history.

import { $, STATES, ask, duration, el, order, reconcile, say, seldom, show, size, trouble, when, whenText } from "./common.js";
import { listen } from "./connection.js";

const uid = decodeURIComponent(location.pathname.split("/")[2]);
const api = `/api/entries/${encodeURIComponent(uid)}`;
const FORMATS = { txt: "Text", "json-v2": "JSON", srt: "SRT subtitles", vtt: "WebVTT subtitles", md: "Markdown" };
const FIRST = 60; // phrases, enough to fill any screen
const MOST = 480; // rendering more at once makes scrolling stutter
const SUFFIX = { "json-v2": "json" };
const ORDERS = {
  HELD: { retry: "Transcribe again", cancel: "Cancel" },
  FAILED: { retry: "Try again", dismiss: "Dismiss" },
  SKIPPED: { retry: "Transcribe anyway" },
  CANCELLED: { retry: "Transcribe anyway" },
  WAITING: { cancel: "Cancel" },
  SUBMITTED: { cancel: "Cancel" },
};

// State and facts

let shownState = null;

async function read() {
  showEntry(await ask(api));
}

function showEntry(entry) {
  document.title = `${entry.name} – Dropscribe`;
  show($("name"), entry.name);
  $("state").dataset.state = entry.state;
  show($("state"), STATES[entry.state]);
  show($("reason"), entry.reason);
  show($("dismissed"), entry.dismissed_at ? `Dismissed ${whenText(entry.dismissed_at)}.` : "");
  show($("fix"), entry.fix);
  show($("next"), entry.state === "DONE" ? "" : `Next: ${entry.next}`);
  showFacts(entry);
  $("history").replaceChildren(...entry.history.map((move) => el("li", {},
    when(move.at, "medium"), ` ${STATES[move.to]}`, move.reason ? ` – ${move.reason}` : "")));
  showOrders(entry);
  if (shownState === entry.state) return;
  if (shownState !== null) say(`${entry.name}: ${STATES[entry.state]}.`);
  shownState = entry.state;
  showTranscript(entry).catch(trouble);
}

function showFacts(entry) {
  const facts = {
    "File": entry.path,
    "Length": duration(entry.duration),
    "Size": size(entry.size),
    "Engine": entry.engine,
    "Found": when(entry.added_at),
    "Job": entry.job_id,
    "Attempts": entry.attempts ? String(entry.attempts) : "",
    "Transcript": entry.outputs.map((output) => output.path).join("\n"),
    "SHA-256": entry.sha256,
  };
  $("facts").replaceChildren(...Object.entries(facts).filter(([, value]) => value)
    .flatMap(([name, value]) => [el("dt", {}, name), el("dd", { className: "plain" }, value)]));
}

function showOrders(entry) {
  const known = Object.entries(ORDERS[entry.state] ?? {})
    .filter(([what]) => what !== "dismiss" || entry.needs_attention);
  reconcile($("orders"), known, ([what, text]) => `${what} ${text}`, ([what, text]) => {
    const button = el("button", { type: "button", onclick: () => order(button, `${api}/${what}`, {}, read) }, text);
    return button;
  }, () => {});
}

// The transcript

let words = []; // [start, end, element], by start
let current = -1;

async function showTranscript(entry) {
  const have = entry.available;
  $("downloads").hidden = !have.length;
  const stem = entry.name.replace(/\.[^.]+$/, "");
  $("downloads").replaceChildren("Download:", ...have.map((form) => el("a", {
    href: `${api}/transcript?format=${form}`,
    download: `${stem}.${SUFFIX[form] ?? form}`,
  }, FORMATS[form])));
  showPlayer();
  if (have.includes("json-v2")) await showPhrases(await ask(`${api}/phrases`));
  else if (have.includes("txt")) {
    const text = await fetch(`${api}/transcript?format=txt`).then((answer) => answer.text());
    $("words").replaceChildren(el("p", { className: "plain", dir: "auto" }, text));
  } else $("words").replaceChildren(el("p", { className: "quiet" }, "There is no transcript yet."));
}

function showPlayer() {
  if (!$("player").hidden) return;
  $("audio").src = `${api}/audio`;
  $("player").hidden = false;
}

/**
 * Show the phrases: the first at once, the rest of a long transcript in growing parts, because each part costs a
 * layout. Each phrase has its own `dir="auto"`: one for all would be computed again with every phrase, for seconds.
 */
async function showPhrases(transcript) {
  const mine = []; // a later call replaces `words`, and this one stops
  words = mine;
  current = -1;
  show($("summary"), transcript.summary);
  $("words").replaceChildren();
  if (!transcript.phrases.length) $("words").append(el("p", { className: "quiet" }, "No speech was found."));
  const chapters = [...transcript.chapters].sort((a, b) => a.start - b.start);
  let voice = null;
  let shown = 0;
  while (shown < transcript.phrases.length && words === mine) {
    const part = transcript.phrases.slice(shown, shown + Math.min(shown + FIRST, MOST));
    shown += part.length;
    const made = new DocumentFragment();
    for (const phrase of part) {
      while (chapters.length && chapters[0].start <= phrase.words[0][1]) {
        made.append(el("h3", { dir: "auto" }, chapters.shift().title));
      }
      made.append(makePhrase(phrase, phrase.voice === voice ? "" : phrase.voice));
      voice = phrase.voice;
    }
    $("words").append(made);
    words.sort((a, b) => a[0] - b[0]); // two channels may overlap
    await new Promise((done) => setTimeout(done));
  }
}

function makePhrase(phrase, voice) {
  const start = phrase.words[0][1];
  const text = el("p", { dir: "auto" }, voice ? el("span", { className: "voice" }, voice) : null);
  phrase.words.forEach(([said, from, to, before], number) => {
    if (number) text.append(before);
    const node = el("span", { className: "word", data: { start: from } }, said);
    words.push([from, to, node]);
    text.append(node);
  });
  const label = `Play from ${duration(start)}`;
  const time = el("button", { type: "button", className: "time", data: { start }, aria: { label } }, duration(start));
  return el("div", { className: "phrase" }, time, text);
}

// The player

function jump(target) {
  const start = target.closest("[data-start]")?.dataset.start;
  if (start === undefined || !getSelection().isCollapsed) return;
  $("audio").currentTime = Number(start);
  follow();
  $("audio").play().catch(() => {}); // a browser may refuse to play; the position is set anyway
}

/** Find the last word that starts at or before this time. */
function wordAt(time) {
  let low = 0;
  let high = words.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle][0] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function follow() {
  const found = wordAt($("audio").currentTime + 0.02);
  if (found === current) return;
  words[current]?.[2].removeAttribute("aria-current");
  current = found;
  const node = words[current]?.[2];
  if (!node) return;
  node.setAttribute("aria-current", "true");
  const box = node.getBoundingClientRect();
  const hidden = box.top < $("player").getBoundingClientRect().bottom || box.bottom > innerHeight;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if ($("follow").checked && hidden) node.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
}

function everyFrame() {
  follow();
  if (!$("audio").paused) requestAnimationFrame(everyFrame);
}

$("words").addEventListener("click", ({ target }) => jump(target));
$("audio").addEventListener("play", everyFrame);
$("audio").addEventListener("seeked", follow);
$("audio").addEventListener("timeupdate", follow); // a hidden page gets no animation frames
$("audio").addEventListener("error", async () => {
  const answer = await fetch(`${api}/audio`, { headers: { Range: "bytes=0-0" } }).catch(() => null);
  const told = answer && !answer.ok ? await answer.json().catch(() => null) : null;
  show($("audio-problem"), told ? `${told.error} ${told.fix}` : "This browser can't play this kind of recording.");
});

const readSoon = seldom(read, 300);
listen(({ kind, data }) => {
  if (data.uid === uid || (kind === "attention" && !data.uid)) readSoon(); // no uid: all were dismissed
}, readSoon);
await read().catch((problem) => {
  trouble(problem);
  if (problem.status !== 404) return;
  show($("name"), "Recording not found");
  show($("state"), "");
  document.querySelector("main").hidden = true;
});
