// What both pages need. Text from outside becomes text nodes only: nothing here, or that uses it, parses HTML.

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

/** Ask the API; with a body it is an order. Throws Problem. */
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
    throw new Problem(0, "Dropscribe does not answer.", "This page tries again by itself.");
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Problem(answer.status, told.error ?? `Dropscribe answered ${answer.status}.`, told.fix);
  return told;
}

/** Show a problem until something works again; without a connection, the page says so already. */
export function trouble(problem) {
  if (!document.body.dataset.connection) show($("problem"), problem.message);
}

/** Carry out an order that a button stands for; it can't be given twice at once. */
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

/** Bring a list's elements in line with the items by key: what stays is moved and updated, never made anew. */
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

/** Move an element without taking the focus from what is in it. */
export function put(list, node, before) {
  const focused = node.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(node, before);
  focused?.focus({ preventScroll: true });
}

/** A moment in words of the person's own language; the date only when it is not today. */
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
/** Tell a screen reader; what comes in one moment is told together. */
export function say(text) {
  const now = saying ? `${$("said").dataset.next} ${text}` : text;
  $("said").dataset.next = now;
  clearTimeout(saying);
  saying = setTimeout(() => {
    saying = undefined;
    $("said").textContent = $("said").dataset.next;
  }, 150);
}

/** Call `work` soon, once for all calls until it begins, and not more often than every `pause` milliseconds. */
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
      planned = false; // what is asked for from here on may come too late for this time
      last = performance.now();
      return work();
    }).catch(trouble);
  };
}
