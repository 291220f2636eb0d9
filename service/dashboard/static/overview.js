// The overview: what Dropscribe is doing, what needs a person, every recording, the folders.

import {
  $, STATES, ask, duration, el, listen, nameOf, order, put, reconcile, say, seldom, show, trouble, whenText,
} from "./common.js";
import { showActive, progressed } from "./active.js";

const PAGE = 50;
const MANY = 20; // entries that change at once, from which on the list is read anew

const WORDS = { idle: "Idle", working: "Working", paused: "Paused", attention: "Needs your attention" };

// The whole picture

async function readStatus() {
  showStatus(await ask("/api/status"));
}

const statusSoon = seldom(readStatus, 500);

function showStatus(status) {
  const waiting = status.counts.WAITING;
  const paused = status.state === "paused";
  $("state").dataset.state = status.state;
  const until = status.paused_until ? ` until ${whenText(status.paused_until)}` : "";
  show($("state"), WORDS[status.state] + until);
  document.title = status.state === "idle" ? "Dropscribe" : `${WORDS[status.state]} – Dropscribe`;
  $("resume").hidden = !paused;
  $("pause").hidden = paused;
  show($("version"), `Dropscribe ${status.version}, running since ${whenText(status.started_at)}`);
  showAttention(status);
  showNow(status, waiting);
  showFolders(status.folders);
}

function showAttention(status) {
  const cards = status.holds.map((hold) => ({ key: `hold ${hold.name}`, ...hold, button: hold.name }));
  if (status.config_problem) {
    cards.push({ key: "config", reason: status.config_problem });
  }
  for (const folder of status.folders.filter(({ state }) => state === "unavailable")) {
    cards.push({ key: `folder ${folder.path}`, reason: `${folder.path}: ${folder.reason}`, fix: folder.fix });
  }
  for (const account of status.accounts.filter(({ paused_until: until }) => until)) {
    const again = `It is tried again at ${whenText(account.paused_until)}.`;
    cards.push({ key: `account ${account.name}`, reason: account.reason, fix: again });
  }
  if (status.counts.HELD) {
    const many = status.counts.HELD === 1 ? "One recording needs" : `${status.counts.HELD} recordings need`;
    cards.push({ key: "held", reason: `${many} your decision.`, choice: "HELD", look: them(status.counts.HELD) });
  }
  const failed = status.counts.FAILED;
  $("failed").hidden = !failed;
  show($("failed-show"), them(failed));
  show($("failed-text"), failed === 1 ? "1 recording failed." : `${failed} recordings failed.`);
  reconcile($("holds"), cards, (card) => card.key, makeCard, updateCard);
  $("attention").hidden = !cards.length;
}

const them = (number) => (number === 1 ? "Show it" : "Show them");

function makeCard(card) {
  const button = card.button === undefined ? null : el("button", {
    type: "button",
    className: "main",
    onclick: () => lift(button, card.button),
  }, card.button === "pause" ? "Resume" : "Try again now");
  const look = card.choice === undefined ? null : el("button", {
    type: "button",
    className: "look",
    onclick: () => choose(card.choice),
  });
  return el("li", {}, el("p", { className: "reason" }), el("p", { className: "fix" }), button, look);
}

function updateCard(node, card) {
  show(node.querySelector(".reason"), card.reason);
  show(node.querySelector(".fix"), card.fix ?? "");
  if (card.look) show(node.querySelector(".look"), card.look);
}

function lift(button, name) {
  return order(button, `/api/holds/${encodeURIComponent(name)}/lift`, {}, (status) => {
    showStatus(status);
    say("Dropscribe goes on.");
    $("recordings").focus({ preventScroll: true });
  });
}

function showNow(status, waiting) {
  const queue = waiting === 1 ? "1 recording waits." : `${waiting} recordings wait.`;
  const nothing = status.folders.length
    ? "Drop a recording into a watch folder."
    : "No folder is watched yet. Add one in a terminal: dropscribe folders add ~/Recordings";
  show($("now-text"), waiting ? queue : status.active.length ? "" : `Nothing to do. ${nothing}`);
  showActive(status.active);
}

function showFolders(folders) {
  const parts = ["name", "note", "side"];
  const make = () => el("li", {}, ...parts.map((className) => el("span", { className })));
  reconcile($("folders"), folders, (folder) => folder.path, make, (node, folder) => {
    show(node.querySelector(".name"), folder.path);
    const coming = folder.pending ? `${folder.pending} not whole yet` : "";
    const facts = [folder.engine, coming, folder.reason, folder.fix];
    show(node.querySelector(".note"), facts.filter(Boolean).join(" · "));
    const how = { events: "Watched", polling: "Watched by looking", starting: "Being read", unavailable: "Not there" };
    show(node.querySelector(".side"), folder.paused ? "Paused" : how[folder.state] ?? folder.state);
  });
}

// The list

let next = null; // the cursor of the following page
let asked = 0; // numbers the searches: an answer that was overtaken is dropped
const changed = new Set();

function query(before) {
  const values = { q: $("q").value, state: $("choice").value, limit: PAGE, before };
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value));
}

const below = new IntersectionObserver((seen) => {
  if (seen.some(({ isIntersecting }) => isIntersecting)) readMore().catch(trouble);
}, { rootMargin: "600px" });

async function readEntries() {
  const mine = ++asked;
  const page = await ask(`/api/entries?${query()}`);
  if (mine !== asked) return;
  next = page.next;
  reconcile($("entries"), page.entries, (entry) => entry.uid, makeRow, updateRow);
  showCount();
}

async function readMore() {
  if (!next) return;
  const mine = asked;
  const cursor = next;
  next = null;
  const page = await ask(`/api/entries?${query(cursor)}`);
  if (mine !== asked) return;
  next = page.next;
  for (const entry of page.entries) {
    if (!rowOf(entry.uid)) $("entries").append(fullRow(entry));
  }
  showCount();
}

function showCount() {
  const number = $("entries").childElementCount;
  const filtered = $("q").value || $("choice").value;
  const nothing = filtered ? "No recording is like that." : "No recording was found yet.";
  show($("count"), next ? `The latest ${number}; more below.` : number ? `${number} in all.` : nothing);
  $("more").hidden = !next;
  below.unobserve($("more")); // it may be in view still, or anew: then there is room for the next page
  if (next) below.observe($("more"));
}

const rowOf = (uid) => $("entries").querySelector(`[data-key="${CSS.escape(uid)}"]`);

function makeRow(entry) {
  const orders = el("span", { className: "side" }, el("span", { className: "state" }));
  return el("li", {}, nameOf(entry), el("span", { className: "note" }), el("span", { className: "note fix" }), orders);
}

function fullRow(entry) {
  const node = makeRow(entry);
  node.dataset.key = entry.uid;
  updateRow(node, entry);
  return node;
}

function updateRow(node, entry) {
  const state = node.querySelector(".state");
  state.dataset.state = entry.state;
  show(state, STATES[entry.state]);
  show(node.querySelector(".name"), entry.name);
  const facts = [whenText(entry.changed_at), duration(entry.duration), entry.reason];
  show(node.querySelector(".note"), facts.filter(Boolean).join(" · "));
  show(node.querySelector(".fix"), entry.fix);
  const side = node.querySelector(".side");
  if (side.dataset.of === entry.state) return;
  side.dataset.of = entry.state;
  side.replaceChildren(state, ...buttons(entry));
}

function buttons(entry) {
  const held = { retry: "Transcribe it", cancel: "Give it up" };
  const known = { HELD: held, FAILED: { retry: "Try again" }, WAITING: { cancel: "Cancel" } }[entry.state] ?? {};
  return Object.entries(known).map(([what, text]) => {
    const button = el("button", {
      type: "button",
      aria: { label: `${text}: ${entry.name}` },
      onclick: () => order(button, `/api/entries/${encodeURIComponent(entry.uid)}/${what}`, {}, (told) => {
        changedNow(told);
        say(`${told.name}: ${STATES[told.state]}.`);
      }),
    }, text);
    return button;
  });
}

/** Show one entry that changed, in its place: on top, if it belongs into what is shown. */
function changedNow(entry) {
  const text = $("q").value.toLowerCase();
  const choice = $("choice").value;
  const belongs = (!choice || entry.state === choice) && entry.name.toLowerCase().includes(text);
  const row = rowOf(entry.uid);
  if (!belongs) row?.remove();
  else if (row) {
    updateRow(row, entry);
    if (row !== $("entries").firstElementChild) put($("entries"), row, $("entries").firstElementChild);
  } else $("entries").prepend(fullRow(entry));
  showCount();
}

const readChanged = seldom(async () => {
  const uids = [...changed];
  changed.clear();
  if (uids.length > MANY) return readEntries();
  const found = await Promise.all(uids.map((uid) => ask(`/api/entries/${encodeURIComponent(uid)}`).catch(() => null)));
  return found.filter(Boolean).sort((a, b) => a.changed_at - b.changed_at).forEach(changedNow);
}, 100);

// What happens

function heard({ kind, data }) {
  if (kind === "progress") {
    if (!progressed(data)) statusSoon();
    return;
  }
  if (data.uid) {
    changed.add(data.uid);
    readChanged();
  }
  if (kind === "transcript") say(`${data.name}: the transcript is there.`);
  if (kind === "entry" && ["FAILED", "HELD"].includes(data.state)) {
    say(`${data.name}: ${STATES[data.state]}. ${data.reason}`);
  }
  statusSoon();
}

async function readAll() {
  await Promise.all([readStatus(), readEntries()]).catch(trouble);
}

// What a person does

let typing;
function searched() {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const kept = query();
    kept.delete("limit");
    history.replaceState(null, "", kept.size ? `?${kept}` : "/");
    await readEntries().then(() => say($("count").textContent), trouble);
  }, 150);
}

function choose(state) {
  $("choice").value = state;
  searched();
  $("recordings").focus();
}

function pauseUntil(choice) {
  const now = new Date();
  if (choice === "hour") return now.getTime() / 1000 + 3600;
  if (choice === "tomorrow") return new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1).getTime() / 1000;
  return null;
}

$("pause").addEventListener("click", ({ target }) => {
  if (!target.dataset.pause) return undefined;
  $("pause").open = false;
  return order(target, "/api/pause", { until: pauseUntil(target.dataset.pause) }, (status) => {
    showStatus(status);
    $("resume").focus();
    say($("state").textContent);
  });
});
$("pause").addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return;
  $("pause").open = false;
  $("pause").querySelector("summary").focus();
});
$("resume").addEventListener("click", () => order($("resume"), "/api/resume", {}, (status) => {
  showStatus(status);
  $("pause").querySelector("summary").focus();
  say($("state").textContent);
}));
$("search").addEventListener("submit", (event) => event.preventDefault());
$("search").addEventListener("input", searched);
$("failed-show").addEventListener("click", () => choose("FAILED"));
$("more").addEventListener("click", () => readMore().catch(trouble));

const given = new URLSearchParams(location.search);
$("q").value = given.get("q") ?? "";
$("choice").value = given.get("state") ?? "";
if ($("choice").selectedIndex < 0) $("choice").value = ""; // an address that was typed
listen(heard, readAll);
await readAll();
