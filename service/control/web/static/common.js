// Shared by both pages. External text only ever becomes text nodes; no code here or in its users parses HTML.

export const $ = (id) => document.getElementById(id);

export const STATES = {
  WAITING: "Waiting",
  SUBMITTING: "Uploading",
  SUBMITTED: "Transcribing",
  TRANSCRIBED: "Writing",
  DONE: "Done",
  FAILED: "Failed",
  SKIPPED: "Skipped",
  CANCELLED: "Cancelled",
  HELD: "Needs your decision",
};

export class Problem extends Error {
  constructor(status, error, fix) {
    super([error, fix].filter(Boolean).join(" "));
    this.status = status;
  }
}

/** Make an element; `set` holds properties (`on…` handlers included), or `data` and `aria` objects. */
export function el(tag, set = {}, ...children) {
  const made = document.createElement(tag);
  const { data = {}, aria = {}, ...rest } = set;
  Object.assign(made, rest);
  Object.assign(made.dataset, data);
  for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A recording's name, as a link to its page. */
export function nameOf({ uid, name }) {
  return el("a", { className: "name", href: `/recordings/${encodeURIComponent(uid)}` }, name);
}

export function show(node, text) {
  if (node.textContent !== text) node.textContent = text;
  node.hidden = !text;
}

/** Send a request to the API: POST with a body, else GET. Throws Problem. */
export async function ask(path, body) {
  const order = body === undefined ? {} : {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...order });
  } catch {
    throw new Problem(0, "Dropscribe does not answer.", "This page tries again automatically.");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, told.error ?? `Dropscribe answered ${answer.status}.`, told.fix);
  return told;
}

/** Show a problem until a request succeeds. Without a connection, the page already says so. */
export function trouble(problem) {
  if (!document.body.dataset.connection) show($("problem"), problem.message);
}

/** Send the request of a button, which is disabled meanwhile. */
export async function order(button, path, body, then) {
  button.disabled = true;
  try {
    const told = await ask(path, body);
    show($("problem"), "");
    await then(told);
  } catch (problem) {
    trouble(problem);
  } finally {
    button.disabled = false;
  }
}

/** Update a list to match the items by key: existing elements are moved and updated, not replaced. */
export function reconcile(list, items, key, make, update) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let at = list.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = old.get(name);
    if (node) old.delete(name);
    else {
      node = make(item);
      node.dataset.key = name;
    }
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else put(list, node, at);
  }
  for (const gone of old.values()) gone.remove();
}

/** Move an element without losing the focus inside it. */
export function put(list, node, before) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(node, before);
  focused?.focus({ preventScroll: true });
}

/** Format a time in the user's language; with the date unless it is today. */
export function whenText(at, timeStyle = "short") {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(undefined, today ? { timeStyle } : { dateStyle: "medium", timeStyle }).format(date);
}

export function when(at, timeStyle) {
  return el("time", { dateTime: new Date(at * 1000).toISOString() }, whenText(at, timeStyle));
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [first, ...rest] = parts[0] ? parts : parts.slice(1);
  return [first, ...rest.map((part) => String(part).padStart(2, "0"))].join(":");
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(unit && value < 100 ? 1 : 0)} ${units[unit]}`;
}

let saying;
/** Announce to screen readers; texts that come close together are announced together. */
export function say(text) {
  const now = saying ? `${$("said").dataset.next} ${text}` : text;
  $("said").dataset.next = now;
  clearTimeout(saying);
  saying = setTimeout(() => {
    saying = undefined;
    $("said").textContent = $("said").dataset.next;
  }, 150);
}

/** Run `work` soon: once for all calls until it starts, and at most every `pause` milliseconds. */
export function seldom(work, pause) {
  let planned = false;
  let running = Promise.resolve();
  let last = -Infinity;
  return () => {
    if (planned) return;
    planned = true;
    running = running.then(() => new Promise((wake) => {
      setTimeout(wake, Math.max(0, last + pause - performance.now()));
    })).then(() => {
      planned = false; // a call from here on may come too late for this run
      last = performance.now();
      return work();
    }).catch(trouble);
  };
}
