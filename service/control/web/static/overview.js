// The overview: what Dropscribe is doing, what needs the user, all recordings, and the watch folders.

import {
  $, STATES, ask, duration, el, nameOf, order, put, reconcile, say, seldom, show, trouble, whenText,
} from "./common.js";
import { showActive, progressed } from "./in_progress.js";
import { isConnected, listen } from "./connection.js";

const PAGE = 50;
const MANY = 20; // with more changes at once than this, the whole list is loaded again

const WORDS = { idle: "Idle", working: "Working", paused: "Paused", attention: "Needs your attention" };

// Status

async function readStatus() {
  showStatus(await ask("/api/status"));
}

const statusSoon = seldom(readStatus, 500);

function showStatus(status) {
  if (!isConnected()) return; // a response from before the connection was lost
  const waiting = status.counts.WAITING;
  const { paused } = status;
  const also = paused && status.state !== "paused" ? ", paused" : "";
  const until = status.paused_until ? ` until ${whenText(status.paused_until)}` : "";
  showState(status.state, `${WORDS[status.state]}${also}${until}`);
  $("resume").hidden = !paused;
  $("pause").hidden = paused;
  show($("version"), `Dropscribe ${status.version}, running since ${whenText(status.started_at)}`);
  showAttention(status);
  showNow(status, waiting);
  showFolders(status.folders);
}

function showState(state, words) {
  $("state").dataset.state = state;
  show($("state"), words);
  document.title = state === "idle" ? "Dropscribe" : `${words} – Dropscribe`;
}

/** Without a connection, nothing on the page is certain and no request can be sent. */
function showLost(words) {
  showState("down", words);
  $("resume").hidden = true;
  $("pause").hidden = true;
}

// Shown instead of the terminal commands
const ADVICE = {
  held: "Transcribing again may be billed again; cancelling is free.",
  failed: "Try again, or dismiss what you don't need. It stays in the list.",
};

function showAttention({ attention }) {
  reconcile($("holds"), attention, (item) => `${item.kind} ${item.name}`, makeCard, updateCard);
  $("attention").hidden = !attention.length;
}

const CARD_BUTTONS = {
  hold: ({ name }) => [button("Try again now", (node) => lift(node, name), "main")],
  held: () => [button("", () => choose("HELD"), "look")],
  failed: () => [button("", () => choose("attention"), "look"), button("", dismissAll, "dismiss")],
};

function makeCard(item) {
  const orders = CARD_BUTTONS[item.kind]?.(item) ?? [];
  return el("li", {}, el("p", { className: "reason" }), el("p", { className: "fix" }), ...orders);
}

function button(text, work, className) {
  const node = el("button", { type: "button", className, onclick: () => work(node) }, text);
  return node;
}

function updateCard(node, { kind, reason, fix, count }) {
  show(node.querySelector(".reason"), reason);
  show(node.querySelector(".fix"), ADVICE[kind] ?? fix);
  const [look, dismiss] = [node.querySelector(".look"), node.querySelector(".dismiss")];
  if (look) show(look, count === 1 ? "Show it" : "Show them");
  if (dismiss) show(dismiss, count === 1 ? "Dismiss it" : "Dismiss all");
}

function dismissAll(node) {
  return order(node, "/api/dismiss", {}, async ({ entries }) => {
    say(entries.length === 1 ? "1 failed recording dismissed." : `${entries.length} failed recordings dismissed.`);
    await readAll();
    $("recordings").focus({ preventScroll: true });
  });
}

function lift(button, name) {
  return order(button, `/api/holds/${encodeURIComponent(name)}/lift`, {}, (status) => {
    showStatus(status);
    say("Resumed.");
    $("recordings").focus({ preventScroll: true });
  });
}

function showNow(status, waiting) {
  const queue = waiting === 1 ? "1 recording waiting." : `${waiting} recordings waiting.`;
  const nothing = status.folders.length
    ? "Drop a recording into a watch folder."
    : "No watch folder yet. Add one in a terminal: dropscribe folders add ~/Recordings";
  show($("now-text"), waiting ? queue : status.active.length ? "" : `Nothing to do. ${nothing}`);
  showActive(status.active);
  const retries = status.accounts.filter(({ paused_until: until }) => until);
  reconcile($("retries"), retries, ({ name }) => name, () => el("li"), (node, account) => {
    show(node, `${account.reason} Next try at ${whenText(account.paused_until)}.`);
  });
}

function showFolders(folders) {
  const parts = ["name", "note", "side"];
  const make = () => el("li", {}, ...parts.map((className) => el("span", { className })));
  reconcile($("folders"), folders, (folder) => folder.path, make, (node, folder) => {
    show(node.querySelector(".name"), folder.path);
    const coming = folder.pending ? `${folder.pending} still being written` : "";
    const facts = [folder.engine, coming, folder.reason, folder.fix];
    show(node.querySelector(".note"), facts.filter(Boolean).join(" · "));
    const how = { events: "Watched", polling: "Checked every few seconds", starting: "Starting", unavailable: "Missing" };
    show(node.querySelector(".side"), folder.paused ? "Paused" : how[folder.state] ?? folder.state);
  });
}

// The list

let next = null; // the cursor of the following page
let asked = 0; // numbers the searches, so that responses to outdated ones are dropped
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
  const nothing = filtered ? "No recordings match." : "No recordings yet.";
  show($("count"), next ? `The latest ${number}; more below.` : number ? `${number} recording${number === 1 ? "" : "s"}.` : nothing);
  $("more").hidden = !next;
  below.unobserve($("more")); // it may still be in view; then there is room for the next page
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
  const dismissed = entry.dismissed_at ? `dismissed ${whenText(entry.dismissed_at)}` : "";
  const facts = [whenText(entry.changed_at), duration(entry.duration), dismissed, entry.reason];
  show(node.querySelector(".note"), facts.filter(Boolean).join(" · "));
  show(node.querySelector(".fix"), entry.fix);
  const side = node.querySelector(".side");
  const of = `${entry.state} ${entry.needs_attention}`;
  if (side.dataset.of === of) return;
  side.dataset.of = of;
  side.replaceChildren(state, ...buttons(entry));
}

function buttons(entry) {
  return Object.entries(ordersOf(entry)).map(([what, text]) => {
    const node = el("button", {
      type: "button",
      aria: { label: `${text}: ${entry.name}` },
      onclick: () => order(node, `/api/entries/${encodeURIComponent(entry.uid)}/${what}`, {}, (told) => {
        changedNow(told);
        statusSoon();
        say(`${told.name}: ${what === "dismiss" ? "dismissed" : STATES[told.state]}.`);
        if (what === "dismiss") (rowOf(told.uid)?.querySelector(".name") ?? $("recordings")).focus();
      }),
    }, text);
    return node;
  });
}

function ordersOf(entry) {
  const failed = entry.needs_attention ? { retry: "Try again", dismiss: "Dismiss" } : { retry: "Try again" };
  const held = { retry: "Transcribe again", cancel: "Cancel" };
  return { HELD: held, FAILED: failed, WAITING: { cancel: "Cancel" } }[entry.state] ?? {};
}

/** Show a changed entry at the top of the list, if it matches the filter. */
function changedNow(entry) {
  const text = $("q").value.toLowerCase();
  const choice = $("choice").value;
  const chosen = choice === "attention" ? entry.needs_attention : !choice || entry.state === choice;
  const belongs = chosen && entry.name.toLowerCase().includes(text);
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

// Events

function onEvent({ kind, data }) {
  if (kind === "progress") {
    if (!progressed(data)) statusSoon();
    return;
  }
  if (data.uid) {
    changed.add(data.uid);
    readChanged();
  }
  if (kind === "attention" && !data.uid) readAll(); // all were dismissed at once
  if (kind === "transcript") say(`${data.name}: the transcript is ready.`);
  if (kind === "entry" && ["FAILED", "HELD"].includes(data.state)) {
    say(`${data.name}: ${STATES[data.state]}. ${data.reason}`);
  }
  statusSoon();
}

async function readAll() {
  await Promise.all([readStatus(), readEntries()]).catch(trouble);
}

// User actions

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
$("more").addEventListener("click", () => readMore().catch(trouble));

const given = new URLSearchParams(location.search);
$("q").value = given.get("q") ?? "";
$("choice").value = given.get("state") ?? "";
if ($("choice").selectedIndex < 0) $("choice").value = ""; // the address was typed by hand
listen(onEvent, readAll, showLost);
await readAll();
