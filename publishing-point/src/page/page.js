"use strict";

// Names, user agents and texts come from the network: they get into the page as textContent only.

const POLL_MS = 2000;
const MAX_CARDS = 100;
const PLOT = { width: 600, height: 120, seconds: 600 };
const histories = new Map();
const cards = new Map();
let nextSample = 0;
let serverNow = new Date();
let failedSince = null;

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function shape(className) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  made.setAttribute("class", className);
  return made;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function bits(rate) {
  if (rate >= 1e6) return (rate / 1e6).toFixed(2) + " Mbit/s";
  return Math.round(rate / 1e3) + " kbit/s";
}

function duration(from) {
  const seconds = Math.max(0, Math.round((serverNow - new Date(from)) / 1000));
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min";
  return Math.floor(seconds / 3600) + " h " + Math.floor(seconds / 60) % 60 + " min";
}

function count(number, noun) {
  return number.toLocaleString("en") + " " + noun + (number === 1 ? "" : "s");
}

// The path as it can stand in a URL and, without quotes, in a shell.
function safePath(point) {
  const escape = (byte) => "%" + byte.toString(16).toUpperCase().padStart(2, "0");
  return Array.from(new TextEncoder().encode(point), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9\-._~%\/:@,+=]/.test(character) ? character : escape(byte);
  }).join("");
}

function addresses(point) {
  const mmsh = "mmsh://" + location.host + safePath(point);
  return [mmsh, location.origin + safePath(point), "ffplay " + mmsh, "vlc " + mmsh];
}

// The clipboard is for secure origins only; elsewhere the selection is copied.
async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}

function watchRow(text) {
  const row = element("div");
  const code = element("code", "", text);
  const button = element("button", "", "Copy");
  button.type = "button";
  button.setAttribute("aria-label", "Copy " + text);
  button.addEventListener("click", () => copy(code, button));
  row.append(code, button);
  return row;
}

function figure(list, name) {
  const pair = element("div");
  const value = element("dd");
  pair.append(element("dt", "", name), value);
  list.append(pair);
  return value;
}

function plot(card) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 " + PLOT.width + " " + PLOT.height);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  const rate = shape("rate");
  const packets = shape("packets");
  svg.append(rate, packets);
  const axis = element("div", "legend");
  axis.append(element("span", "", "10 min ago"), element("span", "", "now"));
  const legend = element("div", "legend");
  const ofRate = element("span", "of-rate");
  const ofPackets = element("span", "of-packets");
  legend.append(ofRate, ofPackets);
  const root = element("div");
  root.append(svg, axis, legend);
  card.append(root);
  return { root, svg, rate, packets, ofRate, ofPackets };
}

function makeCard(point) {
  const root = element("article", "card");
  root.dataset.point = point;
  const head = element("div", "head");
  const state = element("span", "state");
  head.append(element("h2", "", point), state);
  const source = element("p", "source");
  const error = element("p", "error");
  const figures = element("dl");
  root.append(head, source, error, figures);
  const card = { root, state, source, error, figures };
  card.bitrate = figure(figures, "Bit rate");
  card.packets = figure(figures, "Packets");
  card.viewers = figure(figures, "Viewers");
  card.plot = plot(root);
  const watch = element("div", "watch");
  watch.append(...addresses(point).map(watchRow));
  const details = element("details");
  card.viewerTitle = element("summary");
  card.viewerList = element("ul");
  details.append(card.viewerTitle, card.viewerList);
  card.details = details;
  root.append(watch, details);
  return card;
}

function points(values, peak, seconds, current) {
  const x = (number) => PLOT.width - (current - number) * seconds / PLOT.seconds * PLOT.width;
  const y = (value) => PLOT.height - value / Math.max(peak, 1) * (PLOT.height - 6);
  return values.map(([number, value]) => x(number + 1).toFixed(1) + "," + y(value).toFixed(1));
}

function updatePlot(shown, point, status) {
  const history = histories.get(point);
  shown.root.hidden = !history;
  if (!history) return;
  const numbered = (values) => values.map((value, index) => [history.from + index, value]);
  const line = (values, peak) => points(numbered(values), peak, status.sample_seconds, status.sample);
  const peaks = [Math.max(0, ...history.bitrates), Math.max(0, ...history.packets)];
  const rate = line(history.bitrates, peaks[0]);
  if (rate.length) {
    rate.unshift(rate[0].split(",")[0] + "," + PLOT.height);
    rate.push(rate[rate.length - 1].split(",")[0] + "," + PLOT.height);
  }
  shown.rate.setAttribute("points", rate.join(" "));
  // At half the height: at a steady packet size the two lines would be one.
  shown.packets.setAttribute("points", line(history.packets, 2 * peaks[1]).join(" "));
  setText(shown.ofRate, "bit rate, at most " + bits(peaks[0]));
  const perSecond = (peaks[1] / status.sample_seconds).toFixed(1);
  setText(shown.ofPackets, "packets, at most " + perSecond + " a second");
  shown.svg.setAttribute("aria-label", shown.ofRate.textContent + "; " + shown.ofPackets.textContent);
}

// The session that counts: the one that receives, or the latest.
function mainSession(sessions) {
  return sessions.find((session) => session.state === "receiving") || sessions[sessions.length - 1];
}

function describeSource(session, others) {
  if (!session) return "No encoder pushes here.";
  const since = session.since ? ", since " + new Date(session.since).toLocaleTimeString()
    + " (" + duration(session.since) + ")" : "";
  const more = others ? "; " + count(others, "other session") + " waiting" : "";
  return (session.pusher || "An encoder without a name") + since + more;
}

function updateCard(card, point, sessions, status) {
  const session = mainSession(sessions);
  const receiving = Boolean(session) && session.state === "receiving";
  setText(card.state, receiving ? "receiving" : session ? "waiting for the encoder" : "idle");
  card.state.classList.toggle("receiving", receiving);
  setText(card.source, describeSource(session, sessions.length - 1));
  const error = session && session.last_error;
  card.error.hidden = !error;
  setText(card.error, error ? "Last error, " + duration(error.time) + " ago: " + error.error : "");
  card.figures.hidden = !session;
  setText(card.bitrate, bits(session ? session.bitrate : 0));
  setText(card.packets, (session ? session.packets : 0).toLocaleString("en"));
  const viewers = sessions.flatMap((session) => session.viewers);
  const total = sessions.reduce((sum, session) => sum + session.viewer_count, 0);
  setText(card.viewers, total.toLocaleString("en"));
  setText(card.viewerTitle, count(total, "viewer"));
  card.details.hidden = total === 0;
  updateViewers(card, viewers, total);
  updatePlot(card.plot, point, status);
}

function updateViewers(card, viewers, total) {
  const lines = viewers.map((viewer) => viewer.player + " – " + viewer.protocol + ", "
    + count(viewer.packets, "packet") + ", for " + duration(viewer.since));
  if (total > viewers.length) lines.push("… and " + (total - viewers.length) + " more");
  while (card.viewerList.children.length > lines.length) card.viewerList.lastChild.remove();
  lines.forEach((line, index) => {
    const item = card.viewerList.children[index] || card.viewerList.appendChild(element("li"));
    setText(item, line);
  });
}

function updateLog(id, notices, textOf) {
  const section = document.getElementById(id);
  section.hidden = notices.length === 0;
  const items = notices.slice().reverse().map((notice) => {
    const item = element("li");
    const time = element("time", "", new Date(notice.time).toLocaleTimeString());
    time.dateTime = notice.time;
    item.append(time, (notice.point || "unknown") + ": " + textOf(notice));
    if (notice.times > 1) item.append(element("span", "times", " × " + notice.times));
    return item;
  });
  section.querySelector("ol").replaceChildren(...items);
}

// Appends the new samples, and forgets those that are too old.
function updateHistories(status) {
  const most = PLOT.seconds / status.sample_seconds;
  for (const [point, added] of Object.entries(status.history)) {
    const known = histories.get(point);
    const follows = known && known.from + known.bitrates.length === added.from;
    const from = follows ? known.from : added.from;
    const bitrates = (follows ? known.bitrates : []).concat(added.bitrates);
    const packets = (follows ? known.packets : []).concat(added.packets);
    const excess = Math.max(0, bitrates.length - most);
    histories.set(point, {
      from: from + excess, bitrates: bitrates.slice(excess), packets: packets.slice(excess),
    });
  }
  for (const point of histories.keys()) {
    if (!Object.hasOwn(status.history, point)) histories.delete(point);
  }
  nextSample = status.sample;
}

function sessionsByPoint(status) {
  const sessions = new Map();
  const names = [...status.configured, ...Object.keys(status.history)];
  for (const name of names) sessions.set(name, []);
  for (const session of status.points) {
    if (!sessions.has(session.point)) sessions.set(session.point, []);
    sessions.get(session.point).push(session);
  }
  const rank = ([, list]) => list.length === 0 ? 2 : mainSession(list).state === "receiving" ? 0 : 1;
  return [...sessions].sort((one, other) =>
    rank(one) - rank(other) || one[0].localeCompare(other[0], "en", { numeric: true }));
}

function updatePoints(status) {
  const parent = document.getElementById("points");
  const all = sessionsByPoint(status);
  const sorted = all.slice(0, MAX_CARDS);
  const present = new Set(sorted.map(([point]) => point));
  for (const [point, card] of cards) {
    if (present.has(point)) continue;
    card.root.remove();
    cards.delete(point);
  }
  sorted.forEach(([point, sessions], index) => {
    if (!cards.has(point)) cards.set(point, makeCard(point));
    const card = cards.get(point);
    updateCard(card, point, sessions, status);
    if (parent.children[index] !== card.root) parent.insertBefore(card.root, parent.children[index] || null);
  });
  updateNotice(parent, noticeOf(all.length));
}

function noticeOf(count) {
  if (count === 0) return "No encoder pushes at present. Push to " + location.origin + "/live, for instance.";
  if (count > MAX_CARDS) return "… and " + (count - MAX_CARDS).toLocaleString("en") + " more publishing points.";
  return "";
}

function updateNotice(parent, text) {
  const notice = document.getElementById("notice") || element("p", "notice");
  notice.id = "notice";
  notice.hidden = !text;
  setText(notice, text);
  if (parent.lastChild !== notice) parent.append(notice);
}

function update(status) {
  serverNow = new Date(status.now);
  updateHistories(status);
  updatePoints(status);
  updateLog("errors", status.errors, (notice) => notice.error);
  updateLog("events", status.events, (notice) => notice.event);
  const receiving = status.points.filter((point) => point.state === "receiving").length;
  const viewers = status.points.reduce((sum, point) => sum + point.viewer_count, 0);
  setText(document.getElementById("summary"), count(receiving, "push").replace("pushs", "pushes")
    + ", " + count(viewers, "viewer") + ", running for " + duration(status.since));
}

function showFailure(failed) {
  const summary = document.getElementById("summary");
  summary.classList.toggle("lost", failed);
  // Screen readers announce a failure, and not each update.
  if (!failed) {
    summary.removeAttribute("role");
    failedSince = null;
    return;
  }
  failedSince = failedSince || new Date();
  summary.setAttribute("role", "alert");
  setText(summary, "No answer from the server since " + failedSince.toLocaleTimeString() + ". Trying again.");
}

async function poll() {
  try {
    const response = await fetch("/status?samples=" + nextSample, {
      cache: "no-store", signal: AbortSignal.timeout(10000),
    });
    if (!response.ok) throw new Error(String(response.status));
    update(await response.json());
    showFailure(false);
  } catch {
    // Another server may answer next, whose samples have other numbers.
    nextSample = 0;
    showFailure(true);
  }
  setTimeout(poll, POLL_MS);
}

poll();
