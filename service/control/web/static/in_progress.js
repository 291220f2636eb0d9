// Recordings in progress: uploads in bytes; transcriptions in seconds of audio where the engine reports them, else by
// the time since the submission.

import { $, STATES, duration, el, nameOf, reconcile, show, size } from "./common.js";
import { isConnected } from "./connection.js";

let active = [];

export function showActive(entries) {
  active = entries;
  reconcile($("active"), entries, (entry) => entry.uid, make, update);
}

/** Show the progress of an upload or a transcription; returns whether the recording is shown. */
export function progressed({ uid, stage, ...known }) {
  const node = $("active").querySelector(`[data-key="${CSS.escape(uid)}"]`);
  const entry = active.find((each) => each.uid === uid);
  if (!node || !entry) return false;
  if (stage === "upload" && !known.total) return false;
  if (stage === "transcription") {
    if (entry.state !== "SUBMITTED") return false;
    entry.ahead = known.ahead ?? entry.ahead;
    entry.seconds_done = known.seconds_done;
    entry.progress = known.share;
  } else Object.assign(entry, known);
  update(node, entry);
  return true;
}

function make(entry) {
  const bar = el("progress", { max: 1, aria: { label: `Progress of ${entry.name}` } });
  return el("li", {}, nameOf(entry), el("span", { className: "note" }), bar, el("span", { className: "side state" }));
}

function update(node, entry) {
  const state = node.querySelector(".state");
  state.dataset.state = entry.state;
  show(state, entry.ahead ? "Submitted" : STATES[entry.state]);
  show(node.querySelector(".note"), note(entry));
  const bar = node.querySelector("progress");
  bar.hidden = entry.ahead > 0;
  const share = entry.total ? entry.sent / entry.total : entry.progress;
  if (share) bar.value = share;
  else bar.removeAttribute("value");
}

function note(entry) {
  if (entry.state === "SUBMITTING" && entry.total) return `${size(entry.sent)} of ${size(entry.total)}`;
  if (entry.state !== "SUBMITTED") return "";
  if (entry.ahead) return entry.ahead === 1 ? "1 recording ahead of it." : `${entry.ahead} recordings ahead of it.`;
  const length = entry.duration ? `${doneOf(entry)}${duration(entry.duration)} long · ` : "";
  return `${length}submitted ${duration(Math.max(0, Date.now() / 1000 - entry.changed_at))} ago`;
}

function doneOf(entry) {
  return entry.seconds_done ? `${duration(entry.seconds_done)} done · ` : "";
}

setInterval(() => {
  if (!isConnected()) return;
  for (const entry of active) {
    const node = entry.state === "SUBMITTED" && $("active").querySelector(`[data-key="${CSS.escape(entry.uid)}"]`);
    if (node) show(node.querySelector(".note"), note(entry));
  }
}, 1000);
