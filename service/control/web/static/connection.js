// The connection to the daemon: its events while the page is visible, and messages while there is no connection.

import { $, show, whenText } from "./common.js";

const KINDS = ["entry", "progress", "transcript", "hold", "folder", "config", "attention"];
const PULSE = 15_000; // ms between two checks of a working connection: a daemon that hangs closes no stream
const ANSWER = 10_000; // ms until a request times out
const AGAIN = { gone: 2_000, silent: 2_000, locked: 5_000 }; // ms until the next try

const WORDS = { gone: "Not running", silent: "Not answering", locked: "Not connected" };
const FACT = {
  gone: "Dropscribe is not running.",
  silent: "Dropscribe does not answer.",
  locked: "Dropscribe was restarted.",
};
const ADVICE = {
  gone: "Start it: dropscribe service start (or: dropscribe run). This page reconnects automatically. "
    + "If Dropscribe is running, its address has changed: dropscribe open",
  silent: "Check it: dropscribe service status. This page reconnects automatically.",
  locked: "Open this page again from the tray icon, or with: dropscribe open",
};

let lastKnown = Date.now();

/** Whether there is a connection; without one, the page shows the last known state. */
export const isConnected = () => !document.body.dataset.connection;

/** Check the connection; returns the kind of failure, or an empty string. */
async function trouble() {
  try {
    const answer = await fetch("/api/folders", { credentials: "same-origin", signal: AbortSignal.timeout(ANSWER) });
    await answer.arrayBuffer();
    return answer.status === 401 ? "locked" : "";
  } catch (error) {
    return error.name === "TimeoutError" ? "silent" : "gone";
  }
}

function connected() {
  lastKnown = Date.now();
  if (isConnected()) return;
  delete document.body.dataset.connection;
  show($("connection"), "");
}

function disconnected(why, onLost) {
  if (document.body.dataset.connection === why) return;
  document.body.dataset.connection = why;
  show($("problem"), "");
  show($("connection"), `${FACT[why]} This page shows the state at ${whenText(lastKnown / 1000, "medium")}. ${ADVICE[why]}`);
  onLost(WORDS[why]);
}

/**
 * Receive the daemon's events while the page is visible. A hidden page closes its stream, because browsers open at most
 * six connections to a host for all tabs.
 *
 * `onEvent` gets each event, `onMissed` is called when some were missed, `onLost` gets the word for a lost connection.
 */
export function listen(onEvent, onMissed, onLost = () => {}) {
  let source = null;
  let missed = true; // includes what happened between the first request and the start of the stream
  let version;
  let check; // the timer of the next check
  let checks = 0; // numbers the checks, so that outdated results are dropped

  function open() {
    source = new EventSource("/api/events");
    for (const kind of KINDS) source.addEventListener(kind, ({ data }) => onEvent(JSON.parse(data)));
    source.addEventListener("resync", onMissed);
    source.addEventListener("hello", greeted);
    source.addEventListener("error", lost);
  }

  function close() {
    source?.close();
    source = null;
    missed = true;
  }

  function greeted(message) {
    const now = JSON.parse(message.data).data.version;
    if (version && version !== now) location.reload(); // the program was updated, so load the new page
    version = now;
    connected();
    if (missed) onMissed();
    missed = false;
  }

  function lost() {
    close(); // browsers differ in whether they reconnect
    look();
  }

  async function look() {
    clearTimeout(check);
    const mine = ++checks;
    const why = await trouble();
    if (mine !== checks || document.hidden) return;
    if (why) {
      close();
      disconnected(why, onLost);
    } else {
      lastKnown = Date.now();
      if (!source) open();
    }
    check = setTimeout(look, why ? AGAIN[why] : PULSE);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(check);
      checks += 1;
      close();
    } else look();
  });
  if (document.hidden) return;
  open();
  check = setTimeout(look, PULSE);
}
